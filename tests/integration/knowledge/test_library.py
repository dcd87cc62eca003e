"""Documents through tables, objects and index, and searched: the whole library on real parts, with a small real embedder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from infra.database import Database, migrate
from infra.database.tables import User
from infra.errors import Conflict, InvalidInput, NotAllowed, NotFound
from infra.objectstore import LocalObjectStore
from knowledge.chunking import ChunkOptions, chunk_document, embedded_tokens, embedding_text
from knowledge.index import open_index
from knowledge.library import (
    Library,
    Source,
    StoredChunks,
    create_collection,
    find_collection,
    heal,
    readable_collections,
    rebuild,
    set_member,
    versions,
)
from knowledge.metadata import extract_facts
from knowledge.reading import Document
from knowledge.reading.records import record_document
from knowledge.retriever import KnowledgeRetriever
from knowledge.search import FAST, Searcher


@dataclass(frozen=True)
class Answer:
    vectors: np.ndarray


class HashedWords:
    """An embedder that needs no model: each word has a direction of its own."""

    dimensions = 64

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        out = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()):
                out[row, int(hashlib.sha1(word.encode()).hexdigest(), 16) % self.dimensions] += 1
            out[row] /= np.linalg.norm(out[row]) or 1
        return out

    async def embed(self, texts: Sequence[str]) -> Answer:
        return Answer(self.vectors(texts))


class House:
    """A library and what stands around it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database(f"sqlite:///{folder / 'w.sqlite'}")
        migrate(self.database)
        self.store = LocalObjectStore(folder / "objects")
        self.embedder = HashedWords()
        with self.database.session() as session:
            for name in ("ada", "bob"):
                session.add(User(id=name, name=name, role="member"))
        with self.database.session() as session:
            self.collection = create_collection(session, "ada", "Papers")
        self.index = open_index(folder / "indexes", self.collection.id, HashedWords.dimensions)
        self.library = self.open()

    def open(self) -> Library:
        return Library(self.database, self.store, self.collection, self.index, raw="kb-raw", vectors="kb-vectors")

    def put(self, document: Document, tokens: int = 40):
        chunks = chunk_document(document, embedded_tokens(), ChunkOptions(tokens=tokens, overlap=10))
        facts = extract_facts(document)
        vectors = self.embedder.vectors([embedding_text(facts.title, chunk.context, chunk.text) for chunk in chunks])
        digest = hashlib.sha256(document.text.encode()).hexdigest()
        return self.library.put(document, chunks, vectors, facts, Source(None, len(document.text), digest))

    def put_file(self, name: str, text: str):
        """The same, of a document that has a file."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        key = self.store.put("kb-raw", f"{self.collection.id}/files/{digest}", text.encode(), media_type="text/plain").key
        document = record_document(name, text)
        chunks = chunk_document(document, embedded_tokens())
        vectors = self.embedder.vectors([chunk.text for chunk in chunks])
        return self.library.put(document, chunks, vectors, extract_facts(document), Source(key, len(text), digest))

    @property
    def searcher(self) -> Searcher:
        return Searcher(self.index, StoredChunks(self.database, self.store, self.collection.id, raw="kb-raw"), self.embedder)

    def objects(self) -> int:
        return sum(1 for bucket in ("kb-raw", "kb-vectors") for _ in self.store.list(bucket))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


HEART = "The heart pumps blood. " * 6 + "Aspirin thins the blood and prevents clots in the arteries. " + "Veins carry it back. " * 6
BRAIN = "The brain has two hemispheres. The hippocampus stores memories. Cortex folds into gyri."


async def test_a_passage_is_verbatim_and_says_where_it_stands(house: House):
    house.put(record_document("heart", HEART, title="On hearts"))
    house.put(record_document("brain", BRAIN, title="On brains"))
    passages = await house.searcher.search("aspirin prevents clots", 3)
    assert passages[0].document == "heart" and passages[0].title == "On hearts" and passages[0].page is None
    assert "Aspirin" in passages[0].text
    for passage in passages:
        source = HEART if passage.document == "heart" else BRAIN
        assert source[passage.start : passage.end] == passage.text
    assert [p.score for p in passages] == sorted((p.score for p in passages), reverse=True) and all(0 <= p.score <= 1 for p in passages)
    assert set(passages[0].as_dict()) == {"document", "title", "page", "start", "end", "text", "score"}


async def test_neighbours_become_one_passage(house: House):
    house.put(record_document("heart", HEART))
    passages = await house.searcher.search("blood heart veins aspirin", 10)
    assert len(passages) == 1 and passages[0].text == HEART[passages[0].start : passages[0].end] and len(passages[0].chunks) > 1


async def test_a_records_title_is_searched_but_is_no_part_of_its_text(house: House):
    house.put(record_document("x", "Nothing of note.", title="Zygomatic arches"))
    passage = (await house.searcher.search("zygomatic", 1))[0]
    assert passage.text == "Nothing of note." and passage.title == "Zygomatic arches"


async def test_a_new_version_replaces_the_old_one(house: House):
    first = house.put(record_document("a", "Old words about penguins."))
    second = house.put(record_document("a", "New words about walruses."))
    assert (first.id, first.version, second.version) == (second.id, 1, 2)
    assert [p.text for p in await house.searcher.search("words", 5)] == ["New words about walruses."]
    assert house.objects() == 2 and len(house.index) == 1
    assert house.library.unchanged("a", second.sha256) is not None and house.library.unchanged("a", first.sha256) is None


def test_versions_of_a_file_stay_until_there_are_too_many_or_it_is_removed(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(versions, "KEPT", 2)
    for number in (1, 2, 2, 3, 4):  # the same again is no new version
        house.put_file("a", f"Text number {number} about penguins.")
    with house.database.session() as session:
        kept = versions.versions_of(session, house.library.find(["a"])[0].id)
    assert [one.version for one in kept] == [4, 3] and house.library.find(["a"])[0].version == 5
    texts = [versions.version_text(house.store, "kb-raw", one, "a").text for one in kept]
    assert texts == ["Text number 3 about penguins.", "Text number 2 about penguins."]
    assert house.store.get("kb-raw", kept[0].key) == texts[0].encode()
    assert len(house.index) == 1 and house.objects() == 2 + 1 + 4  # texts and vectors, the file, two versions with theirs
    house.store.put("kb-raw", f"{house.collection.id}/versions/left-by-a-kill.zip", b"x", media_type="application/zip")
    heal(house.library)
    assert house.objects() == 7
    assert len(house.library.remove("a")) == 3 and house.objects() == 0


async def test_there_is_no_moment_without_the_document(house: House, monkeypatch: pytest.MonkeyPatch):
    house.put(record_document("a", "Old words about penguins."))
    seen, save = [], house.index.save

    def save_and_look() -> None:
        save()
        query = house.embedder.vectors(["words"])[0]
        found = StoredChunks(house.database, house.store, house.collection.id, raw="kb-raw").get(
            [h.id for h in house.index.dense(query, 5)]
        )
        seen.append([chunk.text for chunk in found.values()])

    monkeypatch.setattr(house.index, "save", save_and_look)
    house.put(record_document("a", "New words about walruses."))
    assert seen == [["Old words about penguins."], ["New words about walruses."]]


async def test_removal_leaves_nothing(house: House):
    house.put(record_document("a", HEART))
    house.put(record_document("b", BRAIN))
    house.library.remove("a")
    assert {p.document for p in await house.searcher.search("blood brain", 5)} == {"b"}
    house.library.delete_everything()
    assert house.objects() == 0 and len(house.index) == 0
    with house.database.session() as session, pytest.raises(NotFound):
        find_collection(session, "ada", "Papers")
    with pytest.raises(NotFound):
        house.library.remove("b")


async def test_an_index_that_is_lost_is_built_again_as_it_was(house: House):
    for number in range(5):
        house.put(record_document(f"d{number}", f"{HEART} number{number}"))
    before = await house.searcher.search("number3 aspirin", 5)
    house.index.clear()
    assert await house.searcher.search("number3 aspirin", 5) == []
    count = rebuild(house.library)
    assert count == len(house.index) > 5
    after = await house.searcher.search("number3 aspirin", 5)
    assert [(p.document, p.start, p.text) for p in after] == [(p.document, p.start, p.text) for p in before]
    assert [p.score for p in after] == pytest.approx([p.score for p in before], abs=1e-6)


async def test_a_chunk_that_is_switched_off_is_in_no_answer(house: House):
    house.put(record_document("a", "Only one chunk about otters."))
    passage = (await house.searcher.search("otters", 1))[0]
    house.library.switch(passage.chunks[0], enabled=False)
    assert await house.searcher.search("otters", 1) == []
    house.library.switch(passage.chunks[0], enabled=True)
    assert len(await house.searcher.search("otters", 1)) == 1


async def test_filters_and_names_in_the_question(house: House):
    for company, year in (("Acme", 2018), ("Acme", 2019), ("Borg", 2018)):
        metadata = {"company": company, "year": str(year), "type": "10-k"}
        house.put(record_document(f"{company}-{year}", f"Capital expenditure rose in the {company} report.", metadata=metadata))
    named = await house.searcher.search("What was the capital expenditure of Borg?", 3)
    assert {p.document for p in named} == {"Borg-2018"}
    assert (await house.searcher.search("Acme's FY2019 capital expenditure", 3))[0].document == "Acme-2019"
    assert {p.document for p in await house.searcher.search("capital expenditure", 5, {"year": 2018})} == {"Acme-2018", "Borg-2018"}


async def test_in_reports_a_figure_is_found_under_the_name_that_they_give_it(house: House):
    metadata = {"company": "Acme", "year": "2018", "type": "10-k"}
    flows = "Consolidated Statements of Cash Flows\nPurchases of property, plant and equipment\t(1,577)\t(1,373)"
    notes = "Risks of our spending: how much capex there is in 2018 depends on what the FY2018 budget of Acme says."
    house.put(record_document("flows", flows, metadata=metadata))
    house.put(record_document("notes", notes, metadata=metadata))
    question = "How much was the FY2018 capex of Acme, by the cash flow statement?"
    assert (await house.searcher.search(question, 2))[0].document == "flows"
    plain = replace(FAST, title_bonus=0.0, year_bonus=0.0)
    assert {p.document for p in await house.searcher.search(question, 2, None, plain)} == {"flows", "notes"}


@pytest.mark.parametrize(("query", "k"), [("", 5), ("  \n", 5), ("x", 0)])
async def test_questions_that_are_none_are_refused(house: House, query: str, k: int):
    with pytest.raises(InvalidInput):
        await house.searcher.search(query, k)


async def test_an_empty_collection_gives_nothing(house: House):
    assert await house.searcher.search("anything", 5) == []


async def test_it_is_a_langchain_retriever(house: House):
    house.put(record_document("brain", BRAIN, title="On brains"))
    retriever = KnowledgeRetriever(searcher=house.searcher, k=2)
    (found,) = await retriever.ainvoke("hippocampus memories")
    assert found.page_content in BRAIN and found.metadata["document"] == "brain" and found.metadata["title"] == "On brains"
    assert retriever.invoke("hippocampus memories")[0].page_content == found.page_content


def test_who_may_see_and_change_a_collection(house: House):
    with house.database.session() as session:
        with pytest.raises(NotFound):
            find_collection(session, "bob", "Papers")
        set_member(session, house.collection, "bob", "read")
        session.flush()
        assert find_collection(session, "bob", "Papers").id == house.collection.id
        with pytest.raises(NotAllowed):
            find_collection(session, "bob", "Papers", write=True)
        set_member(session, house.collection, "bob", "write")
        session.flush()
        assert find_collection(session, "bob", house.collection.id, write=True).name == "Papers"
        own = create_collection(session, "bob", " Papers ")
        assert find_collection(session, "bob", "Papers").id == own.id
        with pytest.raises(Conflict):
            create_collection(session, "bob", "Papers")
        set_member(session, house.collection, "bob", None)
        session.flush()
        assert [c.id for c in readable_collections(session, "bob")] == [own.id]


def test_chunks_that_are_not_the_documents_are_refused(house: House):
    document = record_document("a", BRAIN)
    chunks = chunk_document(document, embedded_tokens())
    other = record_document("a", BRAIN.replace("brain", "train"))
    vectors = house.embedder.vectors([chunk.text for chunk in chunks])
    with pytest.raises(InvalidInput):
        house.library.put(other, chunks, vectors, extract_facts(other), Source(None, 1, "x"))
    with pytest.raises(InvalidInput):
        house.library.put(document, chunks, vectors[:0], extract_facts(document), Source(None, 1, "x"))
