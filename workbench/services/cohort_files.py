"""What a cohort can be downloaded as: its table, and its quality page."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from infra.database.tables import AnalysisResult, User
from infra.errors import NotFound, WorkbenchError
from pipelines.imaging.cohort.entries import Entry
from pipelines.imaging.cohort.page import quality_page
from pipelines.imaging.cohort.table import measurements_csv
from pipelines.imaging.cohort.thumbnail import thumbnail
from pipelines.imaging.report import Report
from pipelines.jobs import LIVE
from workbench.services.cohorts import CohortRow, CohortView, show_cohort
from workbench.services.context import Services
from workbench.services.results import artifact_info


async def cohort_csv(services: Services, user: User, cohort_id: str) -> str:
    """``measurements.csv`` of what has ended so far. Raises NotFound."""
    view = await show_cohort(services, user, cohort_id)
    return await asyncio.to_thread(lambda: measurements_csv(_entries(services, view, pictures=False)))


async def cohort_html(services: Services, user: User, cohort_id: str) -> str:
    """The quality page of what has ended so far. Raises NotFound."""
    view = await show_cohort(services, user, cohort_id)

    def make() -> str:
        entries = _entries(services, view, pictures=True)
        champion = services.champions().get("segmentation")
        models = [f"{champion.name} version {champion.version} ({champion.backend} on {champion.device})"] if champion else []
        return quality_page(view.cohort.title, entries, models=models, table=f"/imaging/cohorts/{view.cohort.id}/measurements.csv")

    return await asyncio.to_thread(make)


def _entries(services: Services, view: CohortView, *, pictures: bool) -> Sequence[Entry]:
    """Every scan as the table and the page tell it. Blocks: a report is read for each."""
    read: dict[str, tuple[Report, bytes | None]] = {}
    entries = []
    for row in view.rows:
        if row.job.state == "done" and row.job.id not in read:
            read[row.job.id] = _result(services, row, pictures)
        entries.append(_entry(row, read))
    return entries


def _entry(row: CohortRow, read: dict[str, tuple[Report, bytes | None]]) -> Entry:
    job = row.job
    seconds = (job.finished_at - job.started_at).total_seconds() if job.finished_at and job.started_at else None
    facts = {name: str(value) for name, value in row.scan.facts.items()}
    if job.state != "done":
        return Entry(
            row.scan.name, "waiting" if job.state in LIVE else job.state, facts, error=job.error or {}, seconds=seconds, same_as=row.same_as
        )
    report, picture = read[job.id]
    link = f"/imaging?job={job.id}"
    return Entry.of_report(row.scan.name, report, facts=facts, seconds=seconds, same_as=row.same_as, link=link, thumbnail=picture)


def _result(services: Services, row: CohortRow, pictures: bool) -> tuple[Report, bytes | None]:
    with services.database.session() as session:
        result = session.get(AnalysisResult, row.job.id)
    if result is None:
        raise NotFound(f"The result of {row.scan.name} no longer exists.")
    info = artifact_info(result, "report.json")
    report = Report.model_validate_json(services.store.get(info.bucket, info.key))
    if not pictures:
        return report, None
    try:
        drawn = artifact_info(result, "overlay.png")
        with services.store.open(drawn.bucket, drawn.key) as stream:
            return report, thumbnail(stream)
    except (WorkbenchError, OSError):  # a page without one picture is better than no page
        return report, None
