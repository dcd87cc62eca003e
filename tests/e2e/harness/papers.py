"""An index service in the harness's process, with an embedding model of words, and a collection to look at."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from docx import Document as WordDocument
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate

from infra.database.tables import AnalysisJob
from infra.errors import WorkbenchError, find_workbench_error
from infra.settings import Settings
from pipelines.index_service.local import LocalIndexService
from pipelines.ingestion import open_knowledge
from pipelines.ingestion.pipeline import PIPELINE
from pipelines.jobs.inline import run_inline
from pipelines.jobs.job_store import JobStore
from serving.roles import Roles
from tests.embedders import WordsEmbedding
from workbench.services.context import Services

COLLECTION = "Cardiology"
HEART = """# Aspirin and the heart

## How it acts

Aspirin thins the blood: it keeps platelets from clumping, and so prevents clots in the arteries of the heart.

## Dose

Between 75 and 100 milligrams a day are usual after an infarct. Higher doses bleed more and protect no better.
"""


def add_index_service(services: Services, job_store: JobStore, seconds: float) -> Callable[[AnalysisJob], Coroutine[Any, Any, None]]:
    """Give ``services`` an index service of their own; the function given runs a job of the ingestion pipeline beside it."""
    roles = Roles(embedding=WordsEmbedding(seconds=seconds))
    index = services.index_client = LocalIndexService(services.settings, services.database, services.store, roles)

    async def run(job: AnalysisJob) -> None:
        await job_store.begin_stage(job.id, PIPELINE.plan[0])
        try:
            state = await run_inline(
                PIPELINE, input=job.input, settings=services.settings, store=services.store, roles=roles, title=job.title,
                owner_id=job.owner_id, job_id=job.id, index_service=index,
            )  # fmt: skip
        except Exception as caught:
            error = find_workbench_error(caught) or WorkbenchError(str(caught))
            await job_store.failed(job.id, PIPELINE.plan[1], error)
            return
        await job_store.begin_stage(job.id, PIPELINE.plan[-1])
        await job_store.done(job.id, state)

    return run


def seed_collection(settings: Settings) -> None:
    """A few documents of every state that can be waited for."""
    with open_knowledge(settings, roles=Roles(embedding=WordsEmbedding())) as knowledge, tempfile.TemporaryDirectory() as folder:
        papers = Path(folder) / "papers"
        (papers / "guidelines").mkdir(parents=True)
        (papers / "aspirin.md").write_text(HEART.replace("75 and 100", "75 and 150"))
        knowledge.add(papers, COLLECTION)
        (papers / "aspirin.md").write_text(HEART)
        (papers / "guidelines" / "anticoagulation-in-atrial-fibrillation.pdf").write_bytes(_pdf())
        (papers / "guidelines" / "note.docx").write_bytes(_word())
        (papers / "broken-report.pdf").write_bytes(b"%PDF-1.7 this is no PDF")
        (papers / "herz.txt").write_text("Das Herz pumpt das Blut durch den Körper, und die Klappen sorgen für die Richtung. " * 8)
        knowledge.add(papers, COLLECTION)


def _pdf() -> bytes:
    buffer, styles = io.BytesIO(), getSampleStyleSheet()
    parts: list[Any] = []
    for page in range(1, 13):
        parts.append(Paragraph(f"Section {page}: risk class {page}", styles["Heading1"]))
        for number in range(6):
            text = f"In risk class {page}, recommendation {number + 1} weighs the risk of stroke against that of bleeding. "
            parts.append(Paragraph(text * 7, styles["BodyText"]))
        parts.append(PageBreak())
    SimpleDocTemplate(buffer, pagesize=A4, title="Anticoagulation in atrial fibrillation").build(parts)
    return buffer.getvalue()


def _word() -> bytes:
    document, buffer = WordDocument(), io.BytesIO()
    document.add_heading("Note of the ward", 1)
    document.add_paragraph("Warfarin is stopped five days before surgery; the coagulation is measured on the day before.")
    document.save(buffer)
    return buffer.getvalue()
