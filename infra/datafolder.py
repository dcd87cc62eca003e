"""The data folder: everything the program writes lives under it, and one workbench at a time owns it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.errors import Conflict, StorageFull


@dataclass(frozen=True)
class Running:
    """What a running workbench leaves in its data folder for those who look for it."""

    pid: int
    url: str
    ray_address: str | None
    mlflow_url: str | None
    started_at: str


class DataFolder:
    """Paths under the data folder, its lock, and the note a running workbench leaves there."""

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()

    def make(self) -> DataFolder:
        """Create the folder, readable by its owner alone (it holds scans and secrets)."""
        try:
            self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StorageFull(f"The data folder {self.home} cannot be made: {error.strerror}.") from error
        return self

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def cache(self) -> Path:
        """Compiled models and the like: may be deleted at any time."""
        return self.home / "cache"

    @property
    def owner_token(self) -> Path:
        """The owner's API token, readable by the owner of the folder alone."""
        return self.home / "owner-token"

    @property
    def champions(self) -> Path:
        """Snapshot of MLflow's champions, which replicas read when they start."""
        return self.home / "champions.json"

    def secret(self) -> str:
        """The key that signs sessions and links; made at first use."""
        path = self.home / "secret"
        with contextlib.suppress(FileExistsError):
            write_private(path, secrets.token_urlsafe(48), exclusive=True)
        return path.read_text().strip()

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Own the folder while the block runs.

        A lock of the operating system: it goes with its process, so a killed workbench leaves none behind.

        Raises:
            Conflict: another workbench runs on this folder; the message names its process and address.
        """
        self.make()
        with open(self.home / "lock", "a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                running = self.running()
                who = f" (process {running.pid}, {running.url})" if running else ""
                raise Conflict(
                    f"A workbench already runs on the data folder {self.home}{who}. "
                    "Use it, stop it with `workbench down`, or name another folder with --home."
                ) from error
            yield

    def locked(self) -> bool:
        """Whether a workbench owns the folder now."""
        try:
            with open(self.home / "lock") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
        except FileNotFoundError:
            return False
        except OSError:
            return True

    def write_running(self, running: Running) -> None:
        write_private(self.home / "running.json", json.dumps(asdict(running)))

    def running(self) -> Running | None:
        """The note of the workbench that owns the folder; None when none does (a stale note is ignored)."""
        if not self.locked():
            return None
        try:
            return Running(**json.loads((self.home / "running.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None


def write_private(path: Path, content: str | bytes, *, exclusive: bool = False) -> None:
    """Write a small file whole or not at all, readable by its owner alone.

    Raises:
        FileExistsError: ``exclusive`` was asked for and the file is there.
        StorageFull: the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        if exclusive:
            os.link(temporary, path)  # unlike rename, fails where the name is taken
        else:
            os.replace(temporary, path)
    except FileExistsError:
        raise
    except OSError as error:
        raise StorageFull(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
