"""What a cohort has finished, kept beside its results so that a second run does nothing twice.

``DIR/.cohort/KEY.json`` is written whole and last, when a scan's files are in place: a scan with an outcome is
finished, one without is not, whenever the process was killed. One process at a time works on a folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from infra.datafolder import write_private
from infra.errors import Conflict, StorageFull

STATE = ".cohort"
SCANS = "scans"


@dataclass(frozen=True)
class Outcome:
    """How the analysis of one content ended.

    Attributes:
        key: of :func:`pipelines.imaging.cohort.keys.work_key`.
        state: ``done`` or ``failed``.
        folder: where its files are, below ``DIR/scans``; empty where it failed.
        error: ``WorkbenchError.as_dict()`` of a failed one.
        seconds: it took.
    """

    key: str
    state: str
    folder: str = ""
    error: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def final(self) -> bool:
        """Whether trying again would give the same."""
        return self.state == "done" or not self.error.get("retryable")


class Outcomes:
    """The outcomes of one results folder."""

    def __init__(self, out: Path) -> None:
        self.out = out
        try:
            (out / STATE).mkdir(parents=True, exist_ok=True)
            (out / SCANS).mkdir(exist_ok=True)
        except OSError as error:
            raise StorageFull(f"Cannot create the results folder: {error.strerror}.") from error

    @contextlib.contextmanager
    def owned(self) -> Iterator[None]:
        """Work on the folder alone. Raises Conflict where another process does."""
        with open(self.out / STATE / "lock", "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Conflict("The results folder is in use by another process. Wait, or choose another folder with --out.") from None
            for left in (self.out / STATE).glob("work-*"):  # of a killed process
                shutil.rmtree(left, ignore_errors=True)
            yield

    def find(self, key: str) -> Outcome | None:
        """The outcome of a finished analysis whose files are still there; None where it has to be done (again)."""
        try:
            found = Outcome(**json.loads((self.out / STATE / f"{key}.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None
        there = found.state != "done" or (self.out / SCANS / found.folder / "report.json").is_file()
        return found if found.final and there else None

    def keep(self, outcome: Outcome) -> None:
        write_private(self.out / STATE / f"{outcome.key}.json", json.dumps(asdict(outcome)))

    def work_folder(self, key: str) -> Path:
        """An empty folder to gather a scan's files in, before they take their place."""
        folder = self.out / STATE / f"work-{os.getpid()}-{key}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def place(self, work: Path, name: str) -> str:
        """Move a scan's files to their place, all at once; gives the folder's name."""
        folder = folder_name(name)
        target = self.out / SCANS / folder
        if target.exists():
            shutil.rmtree(target)
        os.replace(work, target)
        return folder

    def share(self, outcome: Outcome, name: str) -> str:
        """The files of ``outcome`` also under another scan's name (links where the disk can), for a scan that is there twice."""
        folder = folder_name(name)
        target, source = self.out / SCANS / folder, self.out / SCANS / outcome.folder
        if folder != outcome.folder and not (target / "report.json").exists():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, copy_function=_link)
        return folder


def folder_name(name: str) -> str:
    """A scan's name as the name of one folder: ``sub-01/anat/a.nii.gz`` is ``sub-01__anat__a.nii.gz``."""
    flat = "__".join(part for part in name.split("/") if part not in ("", ".", ".."))
    return re.sub(r"[^\w.+-]", "_", flat).lstrip(".")[:180] or "scan"


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
        return target
    except OSError:
        return str(shutil.copy2(source, target))
