"""Files that people upload to pages: kept in a folder of the person's sign-in, and taken by an event from nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.errors import InvalidInput, NotAllowed
from infra.telemetry import logger

log = logger(__name__)
OLDEST_SECONDS = 3600
NOT_YOURS = "A file in this request was not uploaded in this session. Upload it again."
# What of Gradio's FileData is passed on. Its `url` is not: it would name a second source of the same file.
KEPT = ("path", "orig_name", "size", "mime_type", "meta")


class PageFiles:
    """The uploads of all people, below Gradio's own upload folder.

    Args:
        root: Gradio's upload folder (``GRADIO_TEMP_DIR``).
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def folder(self, user_id: str, sign_in: str) -> Path:
        """Where one sign-in of one person uploads to; ``sign_in`` is a hex digest that names it."""
        if not (user_id.isalnum() and sign_in.isalnum()):
            raise ValueError(f"no folder can be named after {user_id!r} and {sign_in!r}")
        return self.root / "people" / user_id / sign_in

    def find(self, folder: Path, path: str) -> Path:
        """The file at ``path``, with links followed, if it lies in ``folder``.

        Raises:
            NotAllowed: it lies elsewhere, is no regular file, or is not named by a plain absolute path.
        """
        with contextlib.suppress(OSError, ValueError):  # a null byte, a name that is too long
            if os.path.isabs(path) and ".." not in Path(path).parts:
                found = Path(path).resolve(strict=True)
                if found.is_relative_to(folder.resolve()) and found.is_file():
                    return found
        raise NotAllowed(NOT_YOURS)

    def check(self, folder: Path, inputs: Any) -> None:
        """Check every file in the inputs of an event, and reduce each to what the event needs.

        Every object with a ``path`` counts as a file, whatever component it is meant for: Gradio copies and opens
        files wherever they stand in the inputs.

        Raises:
            NotAllowed: a file lies outside ``folder``.
            InvalidInput: a file is not described as Gradio describes it.
        """
        for described in _files(inputs):
            path, meta = described["path"], described.get("meta")
            if not isinstance(path, str) or not isinstance(meta, dict) or meta.get("_type") != "gradio.FileData":
                raise InvalidInput("The request describes a file in an unexpected form.")
            described["path"] = str(self.find(folder, path))
            for name in set(described) - set(KEPT):
                del described[name]

    async def keep_swept(self) -> None:
        """Remove what an earlier process left, then, every hour, what nobody has used for an hour. Runs until it is cancelled."""
        await asyncio.to_thread(self.sweep, older_than=0)
        while True:
            await asyncio.sleep(OLDEST_SECONDS)
            try:
                await asyncio.to_thread(self.sweep)
            except OSError as error:
                log.warning("old uploads could not be removed", error=str(error))

    def sweep(self, *, older_than: float = OLDEST_SECONDS) -> int:
        """Remove files that have lain here for longer than ``older_than`` seconds, and empty folders; how many files went."""
        limit, gone = time.time() - older_than, 0
        # Their ages are read before anything is removed: removing a file makes its folder look new.
        folders = [(Path(folder), names, os.stat(folder).st_mtime) for folder, _, names in os.walk(self.root)]
        for folder, names, changed in reversed(folders):
            for path in (folder / name for name in names):
                with contextlib.suppress(OSError):
                    if path.lstat().st_ctime <= limit:
                        path.unlink()
                        gone += 1
            if folder != self.root and changed <= limit:
                with contextlib.suppress(OSError):  # not empty
                    folder.rmdir()
        return gone


def _files(inputs: Any) -> Iterator[dict[str, Any]]:
    waiting = [inputs]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "path" in value:
                yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
