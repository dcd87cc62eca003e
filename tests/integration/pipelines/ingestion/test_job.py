"""Adding documents as a job on the real application: its processes are killed in the middle, and nothing is read twice."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from docx import Document as WordDocument
from sqlmodel import Session, select

from infra.database import Database, migrate
from infra.database.people import owner_of
from infra.database.tables import AnalysisResult
from infra.database.tables_knowledge import KbDocument
from infra.objectstore import make_object_store
from knowledge.library import create_collection
from pipelines.index_service.remote import INDEX, remote_index_service
from pipelines.ingestion.job_files import JobFiles
from pipelines.jobs.service import Jobs
from serving.cluster.remote import APP
from tests.integration.conftest import Served

pytestmark = pytest.mark.timeout(600)

SUBJECTS = ("kidney", "liver", "heart", "brain", "lung", "spleen", "retina", "cochlea")


def text_about(subject: str) -> str:
    body = " ".join(f"Sentence {number} tells something of the {subject} that nobody knew before." for number in range(150))
    return f"# The {subject}\n\n{body}\n"


def logged(home: Path, component: str, event: str) -> list[dict]:
    found = []
    path = home / "logs" / f"pipelines-{component}.log"
    for line in path.read_text(errors="replace").splitlines() if path.exists() else []:
        with contextlib.suppress(ValueError):
            if (said := json.loads(line)).get("event") == event:
                found.append(said)
    return found


async def test_killed_in_the_middle_it_goes_on_and_reads_nothing_twice(served: Served, tmp_path: Path):
    from ray import serve

    settings = served.settings
    database = Database(settings.database_url)
    migrate(database)
    jobs = Jobs(settings, database)
    index = remote_index_service(serve.get_deployment_handle(INDEX, app_name=APP))

    def make(session: Session) -> tuple[str, str]:
        owner, _ = owner_of(session)
        return owner.id, create_collection(session, owner.id, "organs").id

    owner, collection = await database.run(make)
    stored = JobFiles(make_object_store(settings), settings.storage.buckets.kb_raw, collection)
    files = []
    for subject in SUBJECTS:
        (tmp_path / f"{subject}.md").write_text(text_about(subject))
        files.append(stored.keep(f"{subject}.md", tmp_path / f"{subject}.md"))
    job = await jobs.submit(
        "ingestion", owner_id=owner, title="8 files", input={"collection": collection, "manifest": stored.write(files), "name": "8 files"}
    )

    def ready() -> set[str]:
        with database.session() as session:
            query = select(KbDocument.name).where(KbDocument.collection_id == collection, KbDocument.state == "ready")
            return set(session.exec(query))

    while len(before := await asyncio.to_thread(ready)) < 2:
        assert (await jobs.get(job.id)).state in ("queued", "running")
        await asyncio.sleep(0.05)
    # Questions are answered while documents are being added.
    assert (await index.search(collection, ["kidney"], 1))[0]
    victims = [
        logged(settings.home, "ingestion", "stage worker ready")[-1]["pid"],
        logged(settings.home, "index", "index service ready")[-1]["pid"],
    ]
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(400):
        assert (await jobs.wait(job.id)).state == "done"

    with database.session() as session:
        result = session.exec(select(AnalysisResult).where(AnalysisResult.job_id == job.id)).one()
    assert result.summary["ready"] == len(SUBJECTS) and result.summary["failed"] == 0 and result.models[0]["role"] == "embedding"
    times = Counter(said["content"] for said in logged(settings.home, "ingestion", "document read"))
    digest = {f"{subject}.md": hashlib.sha256(text_about(subject).encode()).hexdigest()[:16] for subject in SUBJECTS}
    assert all(times[digest[name]] == 1 for name in before) and set(digest.values()) == set(times)
    answers = await index.search(collection, [f"what nobody knew of the {subject}" for subject in SUBJECTS], 1)
    assert [passages[0].document for passages in answers] == [f"{subject}.md" for subject in SUBJECTS]
    await index.delete(collection)
    jobs.close()
    database.close()


async def test_a_document_of_one_endless_word_leaves_the_others_ready(served: Served, tmp_path: Path):
    """The word is one token to the model, so chunks were as long as it, and one call of the model too large for a message."""
    from ray import serve

    settings = served.settings
    database = Database(settings.database_url)
    migrate(database)
    jobs = Jobs(settings, database)
    index = remote_index_service(serve.get_deployment_handle(INDEX, app_name=APP))

    def make(session: Session) -> tuple[str, str]:
        owner, _ = owner_of(session)
        return owner.id, create_collection(session, owner.id, "words").id

    owner, collection = await database.run(make)
    stored = JobFiles(make_object_store(settings), settings.storage.buckets.kb_raw, collection)
    word = WordDocument()
    word.add_paragraph("a" * 5_000_000)
    word.save(str(tmp_path / "word.docx"))
    for subject in ("kidney", "liver"):
        (tmp_path / f"{subject}.md").write_text(f"# The {subject}\n\nOne sentence about the {subject}.\n")
    files = [stored.keep(name, tmp_path / name) for name in ("kidney.md", "word.docx", "liver.md")]
    job = await jobs.submit(
        "ingestion", owner_id=owner, title="3 files", input={"collection": collection, "manifest": stored.write(files), "name": "3 files"}
    )
    async with asyncio.timeout(200):
        assert (await jobs.wait(job.id)).state == "done"
    said = {one["document"]: one for one in await index.states(collection, ["kidney.md", "liver.md", "word.docx"])}
    assert {name: one["state"] for name, one in said.items()} == {"kidney.md": "ready", "liver.md": "ready", "word.docx": "ready"}
    assert said["word.docx"]["chunks"] == 1250
    assert [found[0].document for found in await index.search(collection, ["kidney", "liver"], 1)] == ["kidney.md", "liver.md"]
    await index.delete(collection)
    jobs.close()
    database.close()
