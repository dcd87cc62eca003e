"""One scan of a cohort as the table and the page tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.imaging.report import Report
from pipelines.imaging.statistics import flat_row

FACTS = ("participant", "session", "run", "sequence")


@dataclass(frozen=True)
class Entry:
    """One scan.

    Attributes:
        name: unique in the cohort.
        state: ``done``, ``failed``, ``cancelled``, or ``waiting`` (queued, or at work).
        facts: participant, session, sequence, where the file's name tells.
        row: the measurements of a finished one by name (``flat_row``).
        reasons: sentences on its quality.
        error: why it failed: ``{"code", "message", ...}``.
        same_as: the scan of the same content that was analysed in its place.
        taken_over: finished by an earlier run.
        link: where its report is.
        seconds: its analysis took; None where it has not.
        thumbnail: JPEG bytes of the labelled planes, or None.
    """

    name: str
    state: str
    facts: Mapping[str, str] = field(default_factory=dict)
    row: Mapping[str, float | str] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    error: Mapping[str, Any] = field(default_factory=dict)
    same_as: str | None = None
    taken_over: bool = False
    link: str = ""
    seconds: float | None = None
    thumbnail: bytes | None = None

    @property
    def reason(self) -> str:
        """Why it failed; empty where it did not."""
        return str(self.error.get("message", "")) if self.state == "failed" else ""

    @property
    def quality(self) -> str:
        return str(self.row.get("quality", ""))

    @classmethod
    def of_report(cls, name: str, report: Report, **more: Any) -> Entry:
        """A finished scan."""
        return cls(name, "done", row=flat_row(report), reasons=tuple(report.quality.reasons), **more)

    def as_dict(self) -> dict[str, Any]:
        """What ``--json`` prints of it."""
        said: dict[str, Any] = {"name": self.name, "state": self.state, **self.facts}
        if self.state == "done":
            values = {name: value for name, value in self.row.items() if name not in ("scan", "quality", "quality_score")}
            said |= {"quality": self.quality, "quality_score": self.row.get("quality_score"), "measurements": values}
        if self.error:
            said["error"] = {"code": self.error.get("code"), "message": self.error.get("message")}
        return said | {"same_as": self.same_as, "taken_over": self.taken_over, "files": self.link, "seconds": self.seconds}
