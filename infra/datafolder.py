"""The data folder: everything the program writes lives under it, and one workbench at a time owns it.

It holds scans, documents and secrets, so only the user whose processes run the workbench may enter it (mode 0700):

- A folder that is not there is made so.
- A folder of this user that others may enter is closed to them if it is empty, or if the workbench made it: it has one
  of the workbench's own files, ``OWN_FILES``, or nothing but folders that a pipeline called from Python leaves, ``OWN_FOLDERS``.
- A folder that belongs to another user, or that others may enter and that has other things in it (a home folder, /tmp, a
  project), is refused and left as it is.

What others may have changed in a folder while it was open to them is not undone by closing it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.errors import ConfigurationError, Conflict, StorageFull

OWN_FILES = ("lock", "secret", "workbench.sqlite")
OWN_FOLDERS = ("cache", "logs", "objects", "work")
OTHERS = stat.S_IRWXG | stat.S_IRWXO
LONGEST_SOCKET_PATH = 100  # the smallest limit of the systems we run on is 103 bytes


def private_umask() -> None:
    """From here on, what this process and its children create is for its user alone, whatever the umask was before."""
    os.umask(0o077)


@dataclass(frozen=True)
class Running:
    """What a running workbench leaves in its data folder for those who look for it."""

    pid: int
    url: str
    ray_address: str | None
    mlflow_socket: str | None
    started_at: str


class DataFolder:
    """Paths under the data folder, its lock, and the note a running workbench leaves there."""

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()

    def make(self) -> DataFolder:
        """Create the folder, or close it to other users; see the rule at the top of this module.

        Raises:
            ConfigurationError: it belongs to another user, or others may enter it and the workbench did not make it.
            StorageFull: it cannot be made.
        """
        try:
            self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
            found = self.home.stat()
        except OSError as error:
            raise StorageFull(f"Cannot create the data folder {self.home}: {error.strerror}.") from error
        if found.st_uid != os.geteuid():
            raise ConfigurationError(
                f"The data folder {self.home} belongs to another user (id {found.st_uid}). Run the workbench as that user, "
                "or choose another folder with --home."
            )
        if found.st_mode & OTHERS:
            self._close()
        return self

    def _close(self) -> None:
        """Take other users' rights away from a folder that is the workbench's own or empty."""
        if not self._is_own():
            raise ConfigurationError(
                f"Other users can access {self.home}, and it was not created by the workbench. Choose a new folder with "
                f"--home, or restrict access first: chmod 700 {self.home}"
            )
        try:
            self.home.chmod(0o700)
            for path in self.home.iterdir():
                kind = path.lstat()
                if stat.S_ISREG(kind.st_mode) and kind.st_uid == os.geteuid() and kind.st_mode & OTHERS:
                    path.chmod(stat.S_IMODE(kind.st_mode) & ~OTHERS)
            closed = not self.home.stat().st_mode & OTHERS
        except OSError as error:
            raise ConfigurationError(f"The data folder {self.home} cannot be closed to other users: {error.strerror}.") from error
        if not closed:
            raise ConfigurationError(f"The file system of {self.home} keeps no access rights. Name a folder on another one with --home.")

    def _is_own(self) -> bool:
        if all(path.name in OWN_FOLDERS and path.is_dir() for path in self.home.iterdir()):
            return True
        for name in OWN_FILES:
            with contextlib.suppress(OSError):
                kind = (self.home / name).lstat()
                if stat.S_ISREG(kind.st_mode) and kind.st_uid == os.geteuid():
                    return True
        return False

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

    def socket_path(self, name: str) -> Path:
        """Where a server listens on a Unix socket, in a directory that its owner alone can enter.

        It lies in the data folder, or in a new directory of the temporary folder where the data folder's path is longer
        than a socket's may be.
        """
        path = self.home / "sockets" / f"{name}.sock"
        if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
            return Path(tempfile.mkdtemp(prefix="workbench-")) / path.name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.parent.chmod(0o700)
        return path

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
        """The note of the workbench that owns the folder; None when none does (a stale note is ignored).

        A note in another user's folder is ignored, too: a client would send its token to the address that stands there.
        """
        if not self.locked():
            return None
        try:
            if self.home.stat().st_uid != os.geteuid():
                return None
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
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
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
