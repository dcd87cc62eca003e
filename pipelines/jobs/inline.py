"""A pipeline as a function call: the same stages, retries and errors as a job, in this process, kept nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from infra.database.tables import new_id
from infra.errors import WorkbenchError
from infra.objectstore import ObjectStore
from infra.settings import Settings
from pipelines.jobs.definition import Pipeline, Progress, StageContext, State, no_progress
from pipelines.jobs.execution import run_stage
from pipelines.jobs.retry import RetryPolicy, with_retries
from serving.roles import Roles

if TYPE_CHECKING:
    from pipelines.index_service import IndexService


INLINE_OWNER = "local"
"""Whose an inline run is, unless the caller says so: no person's, and no row of the tables names it."""


async def run_inline(
    pipeline: Pipeline,
    *,
    input: Mapping[str, Any],
    options: Mapping[str, Any] | None = None,
    settings: Settings,
    store: ObjectStore,
    roles: Roles,
    title: str,
    owner_id: str = INLINE_OWNER,
    job_id: str | None = None,
    progress: Progress | None = None,
    index_service: IndexService | None = None,
) -> State:
    """The final state: everything that the stages returned, merged.

    Args:
        progress: called with the share of the whole (0 to 1) and what is being done.
        index_service: collections of documents, for pipelines that use them.

    Raises:
        WorkbenchError: a stage failed; ``details["stage"]`` says which.
    """
    tell = progress or no_progress
    plan = pipeline.plan
    state: State = {}
    for name in plan:
        stage = pipeline.stage(name)
        begin, end = pipeline.span(plan, name)
        tell(begin, stage.title)
        context = StageContext(
            job_id=job_id or new_id(),
            owner_id=owner_id,
            title=title,
            input=input,
            options=options or {},
            store=store,
            roles=roles,
            settings=settings,
            workdir=settings.home.resolve() / "work",
            progress=_within(tell, begin, end),
            index_service=index_service,
        )
        job_id = context.job_id

        async def attempt(number: int, name: str = name, context: StageContext = context, state: State = state) -> State:
            return await run_stage(pipeline, name, context, state)

        async def told(error: WorkbenchError, number: int, wait: float, begin: float = begin) -> None:
            tell(begin, f"{error.message} Trying again in {wait:g} s.")

        try:
            state |= await with_retries(name, attempt, RetryPolicy.of(settings.jobs).within(stage.seconds), told)
        except WorkbenchError as error:
            error.details.setdefault("stage", name)
            raise
    tell(1.0, "Done")
    return state


def _within(tell: Progress, begin: float, end: float) -> Progress:
    """A stage's progress (0 to 1) as a part of the whole."""

    def progress(fraction: float, message: str) -> None:
        tell(begin + (end - begin) * min(max(fraction, 0.0), 1.0), message)

    return progress
