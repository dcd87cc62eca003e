"""A pipeline is a list of stages, defined once and run either durably (a job) or inline (a notebook, a test).

A stage is one async function ``run(context, state) -> dict``. ``state`` is small JSON: object-store keys, numbers,
short texts; what a stage returns is merged into it for the stages after. Arrays and files go through
``context.store``. A stage must be safe to begin again (a killed process begins it anew): objects are named by
their content or by the job, so writing them twice is the same as once. What blocks (numpy, files) belongs in
``asyncio.to_thread``: the stages of other jobs share the event loop, and only what is awaited can be cancelled.

In the final state, ``summary``, ``artifacts`` (name to ``ObjectInfo.as_dict()``) and ``models`` become the job's
result; ``notification`` (a sentence) tells its owner.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.objectstore import ObjectStore
from infra.settings import Settings
from serving.roles import Roles

if TYPE_CHECKING:
    from pipelines.index_service import IndexService

State = dict[str, Any]
Progress = Callable[[float, str], None]


def no_progress(fraction: float, message: str) -> None:
    """Says nothing."""


@dataclass(frozen=True)
class StageContext:
    """What a stage may use.

    Attributes:
        job_id: the job (also the DBOS workflow); unique, safe in an object key.
        owner_id: whose job it is.
        title: the job's name, for a person.
        input: what the job was given (object keys, file names), small JSON.
        options: the job's choices, for example ``{"models": {"segmentation": "2"}}`` (role to version).
        store: objects.
        roles: models.
        settings: the program's.
        workdir: an empty folder for this stage, removed after it.
        progress: ``progress(fraction, message)`` tells people how far the stage is (0 to 1); cheap, from any thread.
        index_service: collections of documents; None where the program runs without them.
    """

    job_id: str
    owner_id: str
    title: str
    input: Mapping[str, Any]
    options: Mapping[str, Any]
    store: ObjectStore
    roles: Roles
    settings: Settings
    workdir: Path
    progress: Progress = no_progress
    index_service: IndexService | None = None

    def version(self, role: str) -> str | None:
        """The version of ``role`` that the job asked for; None is the champion."""
        return (self.options.get("models") or {}).get(role)


StageFunction = Callable[[StageContext, State], Awaitable[State]]


@dataclass(frozen=True)
class Stage:
    """One durable step.

    Attributes:
        name: short and stable; job rows, events and retries name it.
        title: what a person reads while it runs ("Measuring structures").
        run: the work.
        weight: its usual share of the whole time, for the progress bar.
        errors: codes of the errors it may end with, for ``workbench pipelines show``.
        seconds: how long it may take, where that is not ``jobs.stage_timeout_seconds``: its work grows with what it is given.
    """

    name: str
    title: str
    run: StageFunction
    weight: float = 1.0
    errors: tuple[str, ...] = ()
    seconds: float | None = None


@dataclass(frozen=True)
class Pipeline:
    """Stages in their order.

    ``retired`` keeps the functions of stages that this version no longer plans: a job begun by an older version
    finishes by its own plan, which is kept in its workflow's arguments.
    """

    name: str
    title: str
    stages: tuple[Stage, ...]
    retired: Mapping[str, Stage] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [*self.plan, *self.retired]
        if len(set(names)) != len(names):
            raise ValueError(f"The stages of {self.name} need names of their own: {', '.join(names)}.")

    @property
    def plan(self) -> list[str]:
        """The names of the stages, in order: what a new job will do."""
        return [stage.name for stage in self.stages]

    def stage(self, name: str) -> Stage:
        """The stage of that name, planned or retired. Raises KeyError."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        return self.retired[name]

    def span(self, plan: Sequence[str], name: str) -> tuple[float, float]:
        """Where stage ``name`` begins and ends in the whole of ``plan``, 0 to 1, by the stages' weights."""
        weights = [self._weight(item) for item in plan]
        total, at = sum(weights) or 1.0, list(plan).index(name)
        return sum(weights[:at]) / total, sum(weights[: at + 1]) / total

    def _weight(self, name: str) -> float:
        try:
            return self.stage(name).weight
        except KeyError:
            return 1.0

    @property
    def version(self) -> str:
        """Twelve hex digits over the name and the plan."""
        return hashlib.sha256(json.dumps([self.name, self.plan]).encode()).hexdigest()[:12]
