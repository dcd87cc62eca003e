"""Documents in, through the whole pipeline in this process: real files, tables, objects and index; an embedder of words."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.errors import Conflict, InvalidInput, ModelMissing, NotFound, Unavailable, WorkbenchError
from infra.settings import Settings, load_settings
from knowledge.library import Library
from pipelines.ingestion import KnowledgeClient, open_knowledge, workers
from serving.roles import Roles
from tests.embedders import WordsEmbedding

HEART = "# Hearts\n\nThe heart pumps blood. Aspirin thins the blood and prevents clots in the arteries.\n"
BRAIN = "# Brains\n\nThe brain has two hemispheres. The hippocampus stores memories.\n"
ROOT = Path(__file__).parents[4]
MANY = 1300  # more than two batches of records


@pytest.fixture
def model() -> WordsEmbedding:
    return WordsEmbedding()


@pytest.fixture
def knowledge(settings: Settings, model: WordsEmbedding) -> Iterator[KnowledgeClient]:
    with open_knowledge(settings, roles=Roles(embedding=model)) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "papers"
    (found / "deep").mkdir(parents=True)
    (found / "heart.md").write_text(HEART)
    (found / "deep" / "brain.md").write_text(BRAIN)
    return found


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read."""
    names: list[str] = []
    real = workers.read_file

    def told(path, item, *rest):
        names.append(item.name)
        return real(path, item, *rest)

    monkeypatch.setattr(workers, "read_file", told)
    return names


def states(added: dict) -> dict[str, str]:
    return {said["document"]: said["state"] for said in added["documents"]}


def objects(knowledge: KnowledgeClient) -> list[str]:
    buckets = knowledge.settings.storage.buckets
    return [info.key for bucket in (buckets.kb_raw, buckets.kb_vectors, buckets.uploads_raw) for info in knowledge.store.list(bucket)]


def test_a_folder_with_one_bad_file(knowledge: KnowledgeClient, folder: Path):
    (folder / "bad.pdf").write_bytes(b"%PDF-1.7 this is no PDF")
    (folder / ".hidden").write_text("not looked at")
    told: list[tuple[float, str]] = []
    added = knowledge.add(folder, "papers", progress=lambda fraction, message: told.append((fraction, message)))
    assert added["collection"] == "papers"
    assert states(added) == {"heart.md": "ready", "deep/brain.md": "ready", "bad.pdf": "failed"}
    bad = next(said for said in added["documents"] if said["document"] == "bad.pdf")
    assert set(bad) == {"document", "state", "pages", "chunks", "error"}
    assert bad["error"]["code"] == "corrupt_file" and bad["error"]["message"] and bad["chunks"] == 0
    assert told[-1][0] == 1.0 and any("3 of 3" in message for _, message in told)
    passage = knowledge.search("hippocampus memories", "papers", 1)[0]
    assert (passage.document, passage.page) == ("deep/brain.md", None) and "hippocampus" in passage.text
    assert BRAIN[passage.start : passage.end] == passage.text
    # A file that was mended is read when it is added again; the others are not.
    (folder / "bad.pdf").unlink()
    (folder / "bad.pdf").write_text("Plain words about kidneys, whatever the name says.")
    assert set(states(knowledge.add(folder, "papers")).values()) == {"ready"}
    assert knowledge.search("kidneys", "papers", 1)[0].document == "bad.pdf"


def test_what_is_ready_is_not_read_again(knowledge: KnowledgeClient, folder: Path, read: list[str], model: WordsEmbedding):
    knowledge.add(folder, "papers")
    assert sorted(read) == ["deep/brain.md", "heart.md"]
    calls = len(model.calls)
    assert states(knowledge.add(folder, "papers")) == {"heart.md": "ready", "deep/brain.md": "ready"}
    assert len(read) == 2 and len(model.calls) == calls


def test_a_new_version_replaces_the_old_one(knowledge: KnowledgeClient, folder: Path, read: list[str]):
    knowledge.add(folder, "papers")
    before = objects(knowledge)
    (folder / "heart.md").write_text(HEART.replace("Aspirin", "Warfarin"))
    knowledge.add(folder, "papers")
    assert sorted(read) == ["deep/brain.md", "heart.md", "heart.md"]
    assert [said["version"] for said in knowledge.documents("papers")] == [1, 2]
    assert "Warfarin" in knowledge.search("thins the blood", "papers", 1)[0].text and len(knowledge.search("Aspirin", "papers", 10)) == 2
    assert not any("Aspirin" in passage.text for passage in knowledge.search("Aspirin", "papers", 10))
    # The old version's file is kept for what was cited from it, beside the two that are searched.
    files = [key for key in objects(knowledge) if "/files/" in key]
    assert len(files) == 3 and len(set(files) - set(before)) == 1


def test_a_copy_is_not_read_and_found_once(knowledge: KnowledgeClient, folder: Path, read: list[str], model: WordsEmbedding):
    shutil.copy(folder / "heart.md", folder / "copy.md")
    added = knowledge.add(folder, "papers")
    assert set(states(added).values()) == {"ready"} and len(read) == 2
    assert len(knowledge.search("aspirin clots", "papers", 10)) == 2  # the brain is the other one
    shutil.copy(folder / "heart.md", folder / "later.md")
    calls = len(model.calls)
    knowledge.add(folder / "later.md", "papers")
    assert len(read) == 2 and len(model.calls) == calls
    # The first of the copies goes, and the others still answer.
    knowledge.remove("copy.md", "papers")
    knowledge.remove("heart.md", "papers")
    assert knowledge.search("aspirin clots", "papers", 1)[0].document == "later.md"


def test_removal_leaves_nothing(knowledge: KnowledgeClient, folder: Path, tmp_path: Path):
    records = tmp_path / "r.jsonl"
    records.write_text("\n".join(json.dumps({"id": f"r{n}", "title": f"Title {n}", "text": f"Secret{n} walrus."}) for n in range(30)))
    knowledge.add([folder, records], "papers")
    knowledge.remove("r7", "papers")
    assert not any("Secret7 " in passage.text for passage in knowledge.search("Secret7", "papers", 40))
    assert "Secret8" in knowledge.search("Secret8", "papers", 1)[0].text
    for info in knowledge.store.list(knowledge.settings.storage.buckets.kb_raw):
        content = knowledge.store.get(info.bucket, info.key)
        assert b"Secret7 " not in content and b"r7.json" not in content
    with pytest.raises(NotFound):
        knowledge.remove("r7", "papers")
    knowledge.delete("papers")
    assert objects(knowledge) == [] and knowledge.collections() == []
    left = [path.name for path in (knowledge.settings.home / "indexes").iterdir()]
    assert left == []
    with pytest.raises(NotFound):
        knowledge.search("walrus", "papers")


def test_records(knowledge: KnowledgeClient, tmp_path: Path):
    path = tmp_path / "corpus.jsonl"
    lines = [json.dumps({"id": 1, "title": "Zygomatic arches", "text": "Nothing of note."}), "{broken", '{"id": "x"}', ""]
    lines += [json.dumps({"id": "2", "title": "", "text": ""}), json.dumps({"id": "3", "text": "About otters.\u2028Still the same line."})]
    path.write_text("\n".join(lines))
    added = knowledge.add(path, "corpus")
    assert states(added) == {
        "1": "ready", "corpus.jsonl, line 2": "failed", "corpus.jsonl, line 3": "failed", "2": "failed", "3": "ready",
    }  # fmt: skip
    passage = knowledge.search("zygomatic", "corpus", 1)[0]
    assert (passage.document, passage.title, passage.text) == ("1", "Zygomatic arches", "Nothing of note.")
    assert not [key for key in objects(knowledge) if key.endswith(".jsonl")]


def test_many_records(knowledge: KnowledgeClient, tmp_path: Path, model: WordsEmbedding):
    path = tmp_path / "many.jsonl"
    path.write_text(
        "\n".join(json.dumps({"id": f"d{n}", "title": f"T{n}", "text": f"Word{n} and {n % 7} others. " * 6}) for n in range(MANY))
    )
    added = knowledge.add(path, "many")
    assert len(added["documents"]) == MANY and set(states(added).values()) == {"ready"}
    assert len(objects(knowledge)) < 60 and max(model.calls) > 100
    assert knowledge.search("Word1234", "many", 1)[0].document == "d1234"
    calls = len(model.calls)
    assert len(knowledge.add(path, "many")["documents"]) == MANY and len(model.calls) == calls


class Picky(WordsEmbedding):
    """Fails, without saying why, on any call that holds a text with the word "poison"."""

    async def embed(self, texts, *, version=None):
        if any("poison" in text for text in texts):
            raise WorkbenchError("The model failed: AioRpcError.")
        return await super().embed(texts, version=version)


def test_a_document_that_cannot_be_embedded_fails_alone(settings: Settings, folder: Path):
    (folder / "bad.md").write_text("# Bad\n\nThis has poison in it.\n")
    records = "\n".join(json.dumps({"id": f"r{n}", "text": f"Record {n} of {'poison' if n in (7, 40) else 'bread'}."}) for n in range(60))
    (folder / "records.jsonl").write_text(records)
    with open_knowledge(settings, roles=Roles(embedding=Picky())) as knowledge:
        added = knowledge.add(folder, "papers")
        failed = {said["document"]: said["error"] for said in added["documents"] if said["state"] == "failed"}
        assert set(failed) == {"bad.md", "r7", "r40"} and len(added["documents"]) == 63
        assert all(error["code"] == "internal" and "AioRpcError" in error["message"] for error in failed.values())
        assert knowledge.search("hippocampus", "papers", 1)[0].document == "deep/brain.md"
        assert knowledge.search("Record 39", "papers", 1)[0].document == "r39"


def test_a_document_that_cannot_be_stored_fails_alone(knowledge: KnowledgeClient, folder: Path, monkeypatch: pytest.MonkeyPatch):
    real = Library.put_many

    def put_many(self, prepared, **named):
        if any(item.document.name == "heart.md" for item in prepared):
            raise ValueError("this one breaks the tables")
        return real(self, prepared, **named)

    monkeypatch.setattr(Library, "put_many", put_many)
    assert states(knowledge.add(folder, "papers")) == {"heart.md": "failed", "deep/brain.md": "ready"}


def test_a_killed_process_reads_nothing_twice(tmp_path: Path):
    for number in range(8):
        (tmp_path / f"d{number}.md").write_text(f"# Part {number}\n\nWords about subject{number}.\n")
    home = tmp_path / "home"
    paths = [str(tmp_path / f"d{number}.md") for number in range(8)]

    def begin(seconds: float) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.integration.pipelines.ingestion.adding", str(home), "papers", str(seconds), *paths]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    first = begin(0.7)
    assert first.stdout is not None
    said: list[str] = []
    while sum(text.startswith("ready") for text in said) < 3:
        text = first.stdout.readline()
        assert text, "it ended before it was killed"
        said.append(text.strip())
    first.send_signal(signal.SIGKILL)
    said += first.stdout.read().split("\n")
    first.wait()
    ready = {text.split()[1] for text in said if text.startswith("ready")}
    second = begin(0.0)
    again, _ = second.communicate(timeout=120)
    assert "end 8" in again
    assert not ready & {text.split()[1] for text in again.splitlines() if text.startswith("read ")}
    with open_knowledge(load_settings(home=home), roles=Roles(embedding=WordsEmbedding())) as knowledge:
        for number in range(8):
            assert knowledge.search(f"subject{number}", "papers", 1)[0].document == f"d{number}.md"
        assert len(knowledge.search("words about", "papers", 20)) == 8


def test_a_damaged_or_stale_index_is_mended(settings: Settings, folder: Path):
    roles = Roles(embedding=WordsEmbedding())
    with open_knowledge(settings, roles=roles) as knowledge:
        knowledge.add(folder, "papers")
        collection = knowledge.collections()[0]["id"]
    index = settings.home / "indexes" / collection
    (index / "changing").touch()  # as a kill in the middle of a save leaves it
    with open_knowledge(settings, roles=roles) as knowledge:
        assert knowledge.search("hippocampus", "papers", 1)[0].document == "deep/brain.md"
    for file in index.glob("seg-*.faiss"):
        file.write_bytes(b"rubbish")
    with open_knowledge(settings, roles=roles) as knowledge:
        assert knowledge.search("hippocampus", "papers", 1)[0].document == "deep/brain.md"
    shutil.rmtree(index)
    with open_knowledge(settings, roles=roles) as knowledge:
        assert knowledge.rebuild("papers") == 2
        assert knowledge.search("hippocampus", "papers", 1)[0].document == "deep/brain.md"


def test_one_process_writes_at_a_time(settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipelines.index_service.collection_cache.WAIT_SECONDS", 0.3)
    quick = load_settings(home=settings.home, jobs={"attempts": 1})
    roles = Roles(embedding=WordsEmbedding())
    with open_knowledge(quick, roles=roles) as one, open_knowledge(quick, roles=roles) as other:
        one.add(folder / "heart.md", "papers")
        with pytest.raises(Unavailable):
            other.add(folder / "deep", "papers")
        assert other.search("aspirin", "papers", 1)[0].document == "heart.md"
        one.remove("heart.md", "papers")
        assert other.search("aspirin", "papers", 1) == []


def test_another_embedding_model_needs_a_rebuild(settings: Settings, folder: Path):
    with open_knowledge(settings, roles=Roles(embedding=WordsEmbedding("a" * 64))) as knowledge:
        knowledge.add(folder, "papers")
    with open_knowledge(settings, roles=Roles(embedding=WordsEmbedding("b" * 64, dimensions=32))) as knowledge:
        with pytest.raises(Conflict, match="rebuild"):
            knowledge.search("hippocampus", "papers")
        with pytest.raises(Conflict):
            knowledge.add(_other(folder), "papers")
        assert knowledge.rebuild("papers") == 2
        assert knowledge.search("hippocampus", "papers", 1)[0].document == "deep/brain.md"
        assert states(knowledge.add(_other(folder), "papers")) == {"other.md": "ready"}


def test_what_stops_all_documents_is_told_and_can_be_begun_again(settings: Settings, folder: Path, model: WordsEmbedding):
    quick = load_settings(home=settings.home, jobs={"attempts": 1})
    with open_knowledge(quick, roles=Roles()) as knowledge, pytest.raises(ModelMissing):
        knowledge.add(folder, "papers")
    model.failing = Unavailable("The model is away.")
    with open_knowledge(quick, roles=Roles(embedding=model)) as knowledge:
        with pytest.raises(Unavailable):
            knowledge.add(folder, "papers")
        assert {said["state"] for said in knowledge.documents("papers")} == {"failed"}
        assert knowledge.documents("papers")[0]["error"]["message"] == "The model is away."
        model.failing = None
        assert set(states(knowledge.add(folder, "papers")).values()) == {"ready"}


def test_facts_filters_and_names(knowledge: KnowledgeClient, tmp_path: Path):
    path = tmp_path / "filings.jsonl"
    filings = [("Acme, Inc.", 2018), ("Acme, Inc.", 2019), ("Borg", 2018)]
    rows = ({"id": f"{name}-{year}", "text": f"Capital expenditure in {year}.", "company": name, "year": year} for name, year in filings)
    path.write_text("\n".join(map(json.dumps, rows)))
    knowledge.add(path, "filings")
    assert {p.document for p in knowledge.search("capital", "filings", 5, {"organisation": "ACME"})} == {
        "Acme, Inc.-2018",
        "Acme, Inc.-2019",
    }
    assert [p.document for p in knowledge.search("capital", "filings", 5, {"document": "Borg-2018"})] == ["Borg-2018"]
    assert {p.document for p in knowledge.search("capital", "filings", 5, {"year": [2018]})} == {"Acme, Inc.-2018", "Borg-2018"}
    with pytest.raises(InvalidInput):
        knowledge.search("capital", "filings", 5, {"colour": "red"})


def _other(folder: Path) -> Path:
    path = folder / "other.md"
    path.write_text("# Other\n\nWords about kidneys.\n")
    return path
