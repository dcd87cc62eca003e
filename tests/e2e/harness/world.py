"""Services with people, finished results and simulated jobs in a folder of their own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from infra.database import Database, migrate
from infra.database.tables import AnalysisJob, User, now
from infra.datafolder import DataFolder
from infra.errors import Cancelled, CorruptFile, WorkbenchError
from infra.objectstore import make_object_store
from infra.settings import Settings, load_settings
from pipelines.imaging.measure import measure
from pipelines.imaging.report import Report, ReportInput, ReportModel, ReportQuality
from pipelines.imaging.sentences import overall_confidence, what_was_not_looked_at, write_sentences
from pipelines.jobs.catalog import CATALOG, Catalog
from pipelines.jobs.definition import Pipeline, Stage, State
from pipelines.jobs.job_store import JobStore
from pipelines.jobs.service import Jobs
from serving.roles.segmentation import Structure
from tests.e2e.harness.brain import write_brain
from tests.e2e.harness.papers import add_index_service, seed_collection
from tests.e2e.harness.policies import checks_documents, seed_analyses, seed_policies, simulated_roles
from workbench.accounts import Accounts
from workbench.services.context import Services

DIGEST = "6f0c2a4b9d1e7835" * 4
MODELS = [
    {"role": "segmentation", "name": "workbench-segmentation", "version": "1", "digest": DIGEST, "backend": "openvino", "device": "cpu"}
]


async def _nothing(context: Any, state: State) -> State:
    return {}


PIPELINE = Pipeline(
    "imaging",
    "Brain MRI report",
    tuple(
        Stage(name, title, _nothing)
        for name, title in (
            ("receive", "Reading scan"),
            ("check", "Checking scan"),
            ("segment", "Segmentation and measurement"),
            ("write", "Writing report"),
            ("verify", "Verifying report"),
            ("store", "Saving results"),
            ("notify", "Sending notification"),
        )
    ),
)


class NoWorkflows:
    """Stands where DBOS would: every stage of the plan is said to have finished, and nothing is to be stopped."""

    async def finished_steps(self, job_id: str) -> list[str]:
        return PIPELINE.plan

    async def cancel(self, job_id: str) -> None:
        return None

    def close(self) -> None:
        return None


class SimulatedJobs(Jobs):
    """Real rows and events, no models: a job walks through its stages by the clock and leaves the seeded result.

    A file whose name contains ``broken`` fails at the stage ``check``; ``slow`` makes each stage take ten times as long.
    """

    def __init__(self, settings: Settings, database: Database, left: dict[str, Any], seconds: float = 0.7) -> None:
        super().__init__(settings, database, Catalog({**CATALOG.entries, "imaging": "tests.e2e.harness.world:PIPELINE"}))
        self._workflows = NoWorkflows()  # type: ignore[assignment]
        self.left = left
        self.seconds = seconds
        self.job_store = JobStore(database)
        self.tasks: set[asyncio.Task[None]] = set()
        self.runs: dict[str, Callable[[AnalysisJob], Coroutine[Any, Any, None]]] = {"imaging": self._walk}

    async def _launch(self, job: AnalysisJob) -> None:
        task = asyncio.create_task(self.runs[job.pipeline](job))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _walk(self, job: AnalysisJob) -> None:
        seconds = self.seconds * (10 if "slow" in job.title else 1)
        try:
            for number, name in enumerate(job.plan):
                await self.job_store.begin_stage(job.id, name)
                await self.job_store.event(
                    job.id, "started", stage=name, message=PIPELINE.stage(name).title, fraction=number / len(job.plan)
                )
                if name == "check" and "broken" in job.title:
                    await asyncio.sleep(seconds / 2)
                    message = f"{job.title} ends before its header says it should. Copy it again from where it came, and try with that."
                    await self.job_store.failed(job.id, name, CorruptFile(message))
                    return
                for part in range(4):
                    await asyncio.sleep(seconds / 4)
                    await self.job_store.event(
                        job.id, "progress", stage=name, message=f"Step {part + 1} of 4", fraction=(number + (part + 1) / 4) / len(job.plan)
                    )
                await self.job_store.event(
                    job.id,
                    "finished",
                    stage=name,
                    message=PIPELINE.stage(name).title,
                    fraction=(number + 1) / len(job.plan),
                    seconds=seconds,
                )
            await self.job_store.done(job.id, self.left)
        except Cancelled:
            return


def make_world(home: Path, *, port: int, seconds: float = 0.7, seeded: bool = True) -> tuple[Services, User]:
    """Services over ``home`` and their owner; with ``seeded``, a few finished jobs of each kind are there."""
    settings = load_settings(home=home, gateway={"port": port})
    folder = DataFolder(settings.home).make()
    database = Database(settings.database_url)
    migrate(database)
    store = make_object_store(settings)
    accounts = Accounts(settings, database, folder)
    owner = accounts.ensure_owner()
    left = _leave_result(settings, store, folder.home)
    jobs = SimulatedJobs(settings, database, left, seconds)
    services = Services(settings=settings, folder=folder, database=database, store=store, accounts=accounts, jobs=jobs)
    if seeded:
        with database.session() as session:
            empty = session.get(AnalysisJob, "seed0") is None
        if empty:
            asyncio.run(_seed(services, owner, jobs))
            seed_collection(settings)
            seed_policies(settings)
            asyncio.run(seed_analyses(services, owner, jobs.job_store))
    services.connected = simulated_roles()
    jobs.runs["compliance"] = checks_documents(services, jobs.job_store)
    jobs.runs["ingestion"] = add_index_service(services, jobs.job_store, seconds)
    return services, owner


async def _seed(services: Services, owner: User, jobs: SimulatedJobs) -> None:
    job_store = jobs.job_store
    rows: Iterable[tuple[str, str, str, float]] = (
        ("seed0", "mni152.nii.gz", "done", 2.1),
        ("seed1", "sub-01_ses-2_acq-mprage_run-1_T1w_defaced_reoriented.nii.gz", "done", 26),
        ("seed2", "truncated.nii.gz", "failed", 27),
        ("seed3", "knee.dcm", "cancelled", 50),
    )
    for job_id, title, state, hours in rows:
        began = now() - timedelta(hours=hours)
        job = AnalysisJob(id=job_id, owner_id=owner.id, pipeline="imaging", title=title, plan=PIPELINE.plan, created_at=began)

        def add(session: Any, job: AnalysisJob = job) -> None:
            session.add(job)

        await services.database.run(add)
        for number, name in enumerate(PIPELINE.plan):
            await job_store.begin_stage(job_id, name)
            await job_store.event(job_id, "started", stage=name, message=PIPELINE.stage(name).title, fraction=number / 7)
            if state == "failed" and name == "check":
                error: WorkbenchError = CorruptFile(f"{title} ends before its header says it should. Copy it again from where it came.")
                await job_store.failed(job_id, name, error)
                break
            if state == "cancelled" and name == "segment":
                await job_store.cancelled(job_id)
                break
            await job_store.event(
                job_id, "finished", stage=name, fraction=(number + 1) / 7, seconds=(0.31, 0.05, 2.84, 0.02, 0.01, 0.4, 0.01)[number]
            )
        else:
            await job_store.done(job_id, jobs.left)

        def date(session: Any, job_id: str = job_id, began: Any = began) -> None:
            row = session.get(AnalysisJob, job_id)
            row.started_at, row.finished_at = began + timedelta(seconds=0.2), began + timedelta(seconds=3.9)

        await services.database.run(date)


def _leave_result(settings: Settings, store: Any, home: Path) -> dict[str, Any]:
    bucket = settings.storage.buckets.analysis_reports
    made = home / "seed"
    made.mkdir(exist_ok=True)
    scan, labels, volumes = write_brain(made)
    report = _report(volumes)
    (made / "report.json").write_text(json.dumps(report))
    (made / "report.pdf").write_bytes(_pdf(report))
    (made / "statistics.csv").write_text(
        "name,value,unit\n" + "".join(f"{m['name']},{m['value']},{m['unit']}\n" for m in report["measurements"])
    )
    _overlay(scan, labels, made / "overlay.png")
    names = ("scan.nii.gz", "segmentation.nii.gz", "report.json", "report.pdf", "statistics.csv", "overlay.png")
    artifacts = {name: store.put(bucket, f"seed/{name}", made / name).as_dict() for name in names}
    values = {m["name"]: m["value"] for m in report["measurements"]}
    summed = {f"{name.replace(' ', '_')}_ml": values[f"{name} volume"] for name in ("brain", "grey matter", "white matter", "ventricle")}
    summary = {
        "headline": report["sentences"][0]["text"], "quality": "good", "confidence": report["confidence"], "lesions": 0, **summed,
    }  # fmt: skip
    return {"summary": summary, "artifacts": artifacts, "models": MODELS, "notification": "Your report is ready."}


def _overlay(scan: Path, labels: Path, target: Path) -> None:
    import io

    import nibabel as nib
    import numpy as np
    from PIL import Image

    from workbench.services.slices import draw_labels, draw_scan

    grey, drawn = np.asanyarray(nib.load(scan).dataobj), np.asanyarray(nib.load(labels).dataobj)
    picture = Image.open(io.BytesIO(draw_scan(grey, "axial", 82))).convert("RGB")
    colours = Image.open(io.BytesIO(draw_labels(drawn, "axial", 82))).convert("RGBA")
    colours.putalpha(colours.getchannel("A").point(lambda alpha: alpha * 45 // 100))
    picture.paste(colours, (0, 0), colours)
    picture.save(target)


def _pdf(report: dict[str, Any]) -> bytes:
    import io

    from reportlab.pdfgen import canvas

    buffer = io.BytesIO()
    page = canvas.Canvas(buffer)
    page.drawString(72, 720, report["sentences"][0]["text"])
    page.save()
    return buffer.getvalue()


def _report(volumes: dict[int, float]) -> dict[str, Any]:
    """A report written by the pipeline's own functions from the seeded volumes (their confidences are made up)."""
    quality = ReportQuality(
        verdict="good", score=0.93, reasons=["The whole brain is in the field of view.", "The grid is 1 mm on every side."]
    )
    uneven = {label: ml * (1 + 0.035 * ((label * 7) % 5 - 2) / 2) for label, ml in volumes.items()}
    sure = {label: Structure(label, ml, ml * 0.98, 0.97 - 0.012 * (label % 9)) for label, ml in uneven.items()}
    measurements = measure(uneven, sure, quality, [])
    sentences = write_sentences(measurements, [], quality)
    report = Report(
        job="seed0",
        input=ReportInput(name="mni152.nii.gz", format="NIfTI", shape=(197, 233, 189), spacing_mm=(1.0, 1.0, 1.0), orientation="RAS"),
        quality=quality,
        models=[ReportModel(**model) for model in MODELS],
        measurements=measurements,
        lesions=[],
        sentences=sentences,
        confidence=overall_confidence(sentences),
        seconds={"receive": 0.31, "check": 0.05, "segment": 2.84, "write": 0.02, "verify": 0.01, "store": 0.4, "notify": 0.01},
        not_looked_at=what_was_not_looked_at(["vlm", "entailment"], lesions_found=False),
    )
    return report.model_dump()
