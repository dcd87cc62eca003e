"""A cohort whose scans are the sequences of one visit: brought together once all have ended, and kept with the cohort."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from infra.database.tables import AnalysisResult, User
from infra.database.tables_cohorts import Cohort
from infra.errors import InvalidInput, NotFound, WorkbenchError, from_dict
from infra.objectstore import ObjectInfo
from infra.telemetry import correlation_id, logger
from pipelines.imaging.cohort.outcomes import folder_name
from pipelines.imaging.study.inline import sequence_folders
from workbench.services.cohorts import CohortView, show_cohort
from workbench.services.context import Services
from workbench.services.results import StillRunning, artifact_info

if TYPE_CHECKING:
    from pipelines.imaging.study import Study

log = logger(__name__)
REPORT, SEGMENTATION = "study.json", "study_segmentation.nii.gz"
_MEDIA = {REPORT: "application/json", SEGMENTATION: "application/gzip"}
FEWEST = 2


@dataclass(frozen=True)
class StudyState:
    """Where a study stands: its scans are analysed, they are being brought together, that is done, or it cannot be done."""

    state: Literal["waiting", "merging", "done", "refused"]
    files: Mapping[str, ObjectInfo] = field(default_factory=dict)
    error: WorkbenchError | None = None

    @property
    def may_pass(self) -> bool:
        """Whether trying again could go better (no room on the disk, for example)."""
        return self.error is not None and not isinstance(self.error, InvalidInput)


@dataclass(frozen=True)
class _Plan:
    """What a study is made of: analysed sequences by name with their job, and the others with why they are left out."""

    cohort_id: str
    jobs: Mapping[str, str]
    missing: Mapping[str, str]

    @property
    def digest(self) -> str:
        told = json.dumps([list(self.jobs.items()), list(self.missing.items())])
        return hashlib.sha256(told.encode()).hexdigest()[:32]


def study_state(services: Services, view: CohortView) -> StudyState | None:
    """Where the study of a cohort stands; None where the cohort is none.

    The first look after the last scan has ended begins the merge, in the background. It is done once for the scans as they
    are; a scan that is added, or retried, makes it due again.
    """
    if not view.cohort.study:
        return None
    if view.live or not view.rows:
        return StudyState("waiting")
    plan = _plan(view)
    if len(plan.jobs) < FEWEST:
        return StudyState("refused", error=InvalidInput(_too_few(plan)))
    kept = view.cohort.merged
    if kept.get("of") != plan.digest:
        services.background.begin(f"study {plan.cohort_id} {plan.digest}", partial(_merge, services, plan))
        return StudyState("merging")
    if "error" in kept:
        return StudyState("refused", error=from_dict(kept["error"]))
    return StudyState("done", files={name: ObjectInfo(**noted) for name, noted in kept["artifacts"].items()})


async def load_study(services: Services, state: StudyState) -> Study:
    """What a study that is done has found."""
    from pipelines.imaging.study.report import Study

    info = state.files[REPORT]
    return Study.model_validate_json(await asyncio.to_thread(services.store.get, info.bucket, info.key))


async def open_study_file(services: Services, user: User, cohort_id: str, name: str) -> tuple[BinaryIO, ObjectInfo]:
    """A file of a cohort's study, its digest checked; the caller closes the stream.

    Raises:
        NotFound: no such cohort of this person, it is no study, or there is no such file.
        StillRunning: its scans are not analysed, or not brought together yet.
        WorkbenchError: why they could not be brought together.
    """
    state = study_state(services, await show_cohort(services, user, cohort_id))
    if state is None:
        raise NotFound("This cohort is not a multi-sequence study.")
    if state.error is not None:
        raise state.error
    if state.state != "done":
        raise StillRunning("The study is not finished yet.", state=state.state)
    if name not in state.files:
        raise NotFound(f"File {name} not found in this study. Available: {', '.join(state.files)}.")
    info = state.files[name]
    return await asyncio.to_thread(services.store.open, info.bucket, info.key), info


def _plan(view: CohortView) -> _Plan:
    scans = [row.scan.name for row in view.rows]
    names = dict(zip(scans, sequence_folders([Path("/", name) for name in scans], Path()), strict=True))
    jobs, missing = {}, {}
    for row in view.rows:
        name = names[row.scan.name]
        if row.same_as is not None:
            missing[name] = f"it is the same file as {names[row.same_as]}."
        elif row.job.state == "done":
            jobs[name] = row.job.id
        else:
            missing[name] = row.reason or "its analysis was cancelled."
    return _Plan(view.cohort.id, jobs, missing)


def _too_few(plan: _Plan) -> str:
    there = f"only {next(iter(plan.jobs))} could be used" if plan.jobs else "none could be used"
    told = "".join(f" {name}: {reason}" for name, reason in plan.missing.items())
    what = "Retry what failed, or send" if told else "Send"
    return f"A study needs two analysed sequences or more, and {there}.{told} {what} the sequences of the visit together."


def _merge(services: Services, plan: _Plan) -> None:
    """Bring the sequences together and note the outcome with the cohort. Blocks: some seconds a sequence."""
    with services.database.session() as session:
        cohort = session.get(Cohort, plan.cohort_id)
    if cohort is None or cohort.merged.get("of") == plan.digest:  # done between the look and this turn
        return
    try:
        outcome: dict[str, Any] = {"artifacts": _merged_files(services, plan)}
    except WorkbenchError as error:
        outcome = {"error": error.as_dict()}
    except Exception as error:  # kept as well: nobody would see it in the background, and each look would begin it again
        log.error("the sequences of a visit could not be brought together", cohort=plan.cohort_id, exc_info=error)
        said = f"Unexpected error. Details are in the gateway's log (correlation ID {correlation_id()})."
        outcome = {"error": WorkbenchError(said).as_dict()}
    before = cohort.merged
    with services.database.session() as session:
        session.add(cohort)
        cohort.merged = {"of": plan.digest, **outcome}
    for noted in before.get("artifacts", {}).values():  # of the scans as they were
        services.store.delete(noted["bucket"], noted["key"])


def _merged_files(services: Services, plan: _Plan) -> dict[str, Any]:
    from pipelines.imaging.study import merge_study

    work = services.folder.home / "work"
    work.mkdir(exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(prefix="study-", dir=work) as made:
        folders = {name: Path(made, str(number), folder_name(name)) for number, name in enumerate(plan.jobs)}
        for job_id, folder in zip(plan.jobs.values(), folders.values(), strict=True):
            _bring(services, job_id, folder)
        merge_study(folders, Path(made), missing=plan.missing)
        bucket = services.settings.storage.buckets.analysis_reports
        place = f"cohorts/{plan.cohort_id}/{plan.digest}"
        return {name: services.store.put(bucket, f"{place}/{name}", Path(made, name), media_type=_MEDIA[name]).as_dict() for name in _MEDIA}


def _bring(services: Services, job_id: str, folder: Path) -> None:
    """What the merge reads of a sequence, as files."""
    with services.database.session() as session:
        result = session.get(AnalysisResult, job_id)
    if result is None:
        raise NotFound(f"The result of the job {job_id} no longer exists. Upload the sequences again.")
    folder.mkdir(parents=True)
    for name in ("report.json", "segmentation.nii.gz"):
        info = artifact_info(result, name)
        with services.store.open(info.bucket, info.key) as stream, open(folder / name, "wb") as file:
            shutil.copyfileobj(stream, file)
