"""The neuroradiology primer's collection over several starts: real tables, store and index service; an embedding model of words."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlmodel import select

from infra.database import Database, migrate
from infra.database.tables import User
from infra.database.tables_knowledge import KbDocument
from infra.datafolder import DataFolder
from infra.objectstore import make_object_store
from infra.settings import load_settings
from pipelines.imaging import primer_articles
from tests.e2e.harness.papers import add_index_service
from tests.e2e.harness.world import SimulatedJobs
from workbench.accounts import Accounts
from workbench.services import knowledge
from workbench.services.context import Services
from workbench.services.primer import index_primer

KEPT = ("hippocampus.md", "evans-index.md", "motion-artefact.md")


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Services, User, Path]]:
    """Services of an empty data folder, its owner, and a copy of three articles that stands in for the bundled ones."""
    articles = tmp_path / "primer"
    articles.mkdir()
    for name in (*KEPT, "README.md"):
        shutil.copy(primer_articles.PRIMER / name, articles / name)
    monkeypatch.setattr(primer_articles, "PRIMER", articles)
    settings = load_settings(home=tmp_path / "home")
    folder = DataFolder(settings.home).make()
    database = Database(settings.database_url)
    migrate(database)
    accounts = Accounts(settings, database, folder)
    jobs = SimulatedJobs(settings, database, {}, 0.0)
    services = Services(settings, folder, database, make_object_store(settings), accounts, jobs)
    jobs.runs["ingestion"] = add_index_service(services, jobs.job_store, 0.0)
    yield services, accounts.ensure_owner(), articles
    await asyncio.gather(*jobs.tasks, return_exceptions=True)
    assert services.index_client is not None
    await services.index_client.close()  # type: ignore[attr-defined]
    services.close()


async def start(services: Services, owner: User) -> list[str] | None:
    """What a start indexes: the names of the documents that its job added; None where it begins no job."""
    job = await index_primer(services, owner)
    if job is None:
        return None
    for _ in range(1200):
        found = await services.jobs.get(job.id, owner.id)
        if found.state in ("done", "failed"):
            assert found.state == "done", found.error
            rows = await services.database.run(
                lambda session: session.exec(select(KbDocument.name).where(KbDocument.job_id == job.id)).all()
            )
            return sorted(rows)
        await asyncio.sleep(0.05)
    raise AssertionError("the job did not end")


async def test_it_is_indexed_once_for_everybody_and_not_again_once_its_owner_deleted_it(place: tuple[Services, User, Path]) -> None:
    services, owner, articles = place
    assert await start(services, owner) == sorted(KEPT)  # not the README
    assert await start(services, owner) is None
    (card,) = await knowledge.list_collections(services, User(id="someone-else", name="eve", role="researcher"))
    assert (card.name, card.documents, card.shared, card.may_write) == (primer_articles.COLLECTION, 3, True, False)
    assert "not clinical guidance" in card.description and "not literature" in card.description
    assert services.index_client is not None
    ((best, *_),) = await services.index_client.search(card.id, ["hippocampus temporal horn volume"], 3)
    assert best.document == "hippocampus.md" and best.title == "Primer: Hippocampus"

    await knowledge.change_collection(services, owner, primer_articles.COLLECTION, new_name="Brain primer", shared=False)
    assert await start(services, owner) is None  # a renamed one is still the same
    await knowledge.delete_collection(services, owner, "Brain primer")
    (articles / "hippocampus.md").write_text("# Primer: Hippocampus\n\nA newer text.\n")
    assert await start(services, owner) is None
    assert await knowledge.list_collections(services, owner) == []


async def test_only_what_changed_is_indexed_again_and_what_the_owner_removed_stays_away(place: tuple[Services, User, Path]) -> None:
    services, owner, articles = place
    await start(services, owner)
    await knowledge.remove_documents(services, owner, primer_articles.COLLECTION, ["evans-index.md"])
    assert await start(services, owner) is None
    (articles / "hippocampus.md").write_text("# Primer: Hippocampus\n\nA newer text about the hippocampus.\n")
    (articles / "motion-artefact.md").unlink()
    assert await start(services, owner) == ["hippocampus.md"]
    documents, _ = await knowledge.list_documents(services, owner, primer_articles.COLLECTION)
    assert [document.document for document in documents] == ["hippocampus.md"]


async def test_a_collection_of_the_owner_with_its_name_is_left_alone(place: tuple[Services, User, Path]) -> None:
    services, owner, _ = place
    await knowledge.new_collection(services, owner, primer_articles.COLLECTION)
    assert await start(services, owner) is None
    (card,) = await knowledge.list_collections(services, owner)
    assert (card.documents, card.shared) == (0, False)
