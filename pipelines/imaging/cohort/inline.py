"""A cohort in this process, several scans at once: one is read or written while another is segmented."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.errors import WorkbenchError
from infra.telemetry import logger
from pipelines.imaging.cohort.entries import Entry
from pipelines.imaging.cohort.keys import as_one_file, content_digest, work_key
from pipelines.imaging.cohort.outcomes import Outcome, Outcomes
from pipelines.imaging.cohort.results import CohortResult, entry_of, write_results, write_table
from pipelines.imaging.cohort.scans import CohortScan, FoundScans, find_scans
from pipelines.jobs.retry import as_workbench_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.settings import Settings
    from serving.roles import Roles

    Told = Callable[[int, int, Entry], None]

log = logger(__name__)


def analyze_cohort(folder: Path | str, out: Path | str, **options: Any) -> CohortResult:
    """:func:`analyze_cohort_async` for code without an event loop."""
    return asyncio.run(analyze_cohort_async(folder, out, **options))


async def analyze_cohort_async(
    folder: Path | str,
    out: Path | str,
    *,
    settings: Settings | None = None,
    roles: Roles | None = None,
    options: Mapping[str, Any] | None = None,
    found: FoundScans | None = None,
    limit: int | None = None,
    told: Told | None = None,
) -> CohortResult:
    """Analyse every scan below ``folder``, and leave table, page and each scan's files in ``out``.

    A scan that fails stops no other: its entry says why. Run again, also after a kill, what has ended is taken over
    and not done twice; scans of the same content are analysed once.

    Args:
        options: as of :func:`pipelines.imaging.analyze`, for every scan.
        found: what :func:`find_scans` gave, where it was asked already.
        limit: scans at once; by default what the machine holds.
        told: called with how many have ended, how many there are, and the one that just did.

    Raises:
        NotFound, InvalidInput: there is no such folder, or no scan in it.
        Conflict: another process works on ``out``.
    """
    from infra.settings import load_settings
    from pipelines.imaging.pipeline import PIPELINE
    from serving.local import local_roles
    from serving.registry.champions import read_champions

    began = time.monotonic()
    settings = settings or load_settings()
    found = found or await asyncio.to_thread(find_scans, Path(folder))
    model = read_champions(settings).get("segmentation")
    roles = roles or local_roles(settings)
    outcomes = Outcomes(Path(out))
    work = _Work(settings, roles, dict(options or {}), asdict(model) if model else None, PIPELINE.version, outcomes)
    entries: dict[str, Entry] = {scan.name: Entry(scan.name, "waiting", scan.facts) for scan in found.scans}
    room = asyncio.Semaphore(limit or settings.jobs.at_once)
    writing, ended = asyncio.Lock(), 0

    async def one(scan: CohortScan) -> None:
        nonlocal ended
        async with room:
            entries[scan.name] = await work.entry(scan)
        async with writing:
            ended += 1
            await asyncio.to_thread(write_table, outcomes.out, list(entries.values()))
            if told:
                told(ended, len(entries), entries[scan.name])

    with outcomes.owned():
        await asyncio.gather(*[one(scan) for scan in found.scans])
        result = CohortResult(found.folder.resolve().name, outcomes.out, tuple(entries.values()), time.monotonic() - began)
        await asyncio.to_thread(write_results, result)
    return result


class _Work:
    """One run: which contents are at work, so that a second scan of the same waits for the first."""

    def __init__(
        self, settings: Settings, roles: Roles, options: dict[str, Any], model: dict[str, Any] | None, plan: str, outcomes: Outcomes
    ) -> None:
        self._settings, self._roles, self._options = settings, roles, options
        self._model, self._plan, self._outcomes = model, plan, outcomes
        self._running: dict[str, tuple[str, asyncio.Task[tuple[Outcome, bool]]]] = {}
        self._in_turn = asyncio.Lock()

    async def entry(self, scan: CohortScan) -> Entry:
        same_as = None
        async with self._in_turn:  # of two scans of one content the first by name is analysed, whichever is read faster
            try:
                key = work_key(await asyncio.to_thread(content_digest, scan.files), self._options, self._model, self._plan)
            except WorkbenchError as error:
                return Entry(scan.name, "failed", scan.facts, error=error.as_dict())
            if key in self._running:
                same_as, task = self._running[key]
            else:
                task = asyncio.create_task(self._kept_or_new(scan, key))
                self._running[key] = (scan.name, task)
        outcome, taken_over = await task
        taken_over = taken_over and same_as is None
        return await asyncio.to_thread(entry_of, self._outcomes, scan, outcome, taken_over=taken_over, same_as=same_as)

    async def _kept_or_new(self, scan: CohortScan, key: str) -> tuple[Outcome, bool]:
        """The outcome, and whether an earlier run left it."""
        if kept := await asyncio.to_thread(self._outcomes.find, key):
            return kept, True
        return await self._analyse(scan, key), False

    async def _analyse(self, scan: CohortScan, key: str) -> Outcome:
        from pipelines.imaging.inline import analyze_async

        began = time.monotonic()
        folder = ""
        error: WorkbenchError | None = None
        try:
            work = await asyncio.to_thread(self._outcomes.work_folder, key)
            with tempfile.TemporaryDirectory(prefix="workbench-") as packed:
                file = await asyncio.to_thread(as_one_file, scan.files, Path(packed), "series")
                await analyze_async(
                    file, work, settings=self._settings, roles=self._roles, options=self._options, name=scan.name.rsplit("/", 1)[-1]
                )
            folder = await asyncio.to_thread(self._outcomes.place, work, scan.name)
        except Exception as caught:
            error = as_workbench_error(caught, "cohort")
            log.warning("a scan of a cohort failed", code=error.code, error=error.message)
        said = error.as_dict() if error else {}
        outcome = Outcome(key, "failed" if error else "done", folder, said, round(time.monotonic() - began, 3))
        await asyncio.to_thread(self._outcomes.keep, outcome)
        return outcome
