"""What the runner tells a stage worker, and what it is told back. Light imports; both sides pickle these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class StageCall:
    """One stage of one job.

    Attributes:
        job_id, owner_id, title, input, options: from the job's row.
        plan: every stage of the job, in order (for the share of the whole that is done).
        stage: the one to run.
        state: what the stages before it returned, merged.
        attempt: from 1.
        correlation_id: of the request that began the job.
    """

    job_id: str
    owner_id: str
    title: str
    input: dict[str, Any]
    options: dict[str, Any]
    plan: list[str]
    stage: str
    state: dict[str, Any]
    attempt: int
    correlation_id: str | None


@dataclass(frozen=True)
class StageAnswer:
    """What came of it: ``added`` to the state, or ``error`` (``WorkbenchError.as_dict``). Errors travel as data,
    so that neither side needs the other's classes."""

    added: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
