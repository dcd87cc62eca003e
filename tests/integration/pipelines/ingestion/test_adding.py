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
from pipelines.ingestion import KnowledgeRoom, line, open_knowledge
from serving.roles import Roles
from tests.embedders import WordsEmbedding

HEART = "# Hearts\n\nThe heart pumps blood. Aspirin thins the blood and prevents clots in the arteries.\n"
BRAIN = "# Brains\n\nThe brain has two hemispheres. The hippocampus stores memories.\n"
ROOT = Path(__file__).parents[4]
MANY = 1300  # more than two parcels of records


@pytest.fixture
def model() -> WordsEmbedding:
    return WordsEmbedding()


@pytest.fixture
def room(settings: Settings, model: WordsEmbedding) -> Iterator[KnowledgeRoom]:
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
    real = line.read_file

    def told(path, item, *rest):
        names.append(item.name)
        return real(path, item, *rest)

    monkeypatch.setattr(line, "read_file", told)
    return names


def states(added: dict) -> dict[str, str]:
    return {said["document"]: said["state"] for said in added["documents"]}


def objects(room: KnowledgeRoom) -> list[str]:
    buckets = room.settings.storage.buckets
    return [info.key for bucket in (buckets.kb_raw, buckets.kb_vectors, buckets.uploads_raw) for info in room.store.list(bucket)]


def test_a_folder_with_one_bad_file(room: KnowledgeRoom, folder: Path):
    (folder / "bad.pdf").write_bytes(b"%PDF-1.7 this is no PDF")
    (folder / ".hidden").write_text("not looked at")
    told: list[tuple[float, str]] = []
    added = room.add(folder, "papers", progress=lambda fraction, message: told.append((fraction, message)))
    assert added["collection"] == "papers"
    assert states(added) == {"heart.md": "ready", "deep/brain.md": "ready", "bad.pdf": "failed"}
    bad = next(said for said in added["documents"] if said["document"] == "bad.pdf")
    assert set(bad) == {"document", "state", "pages", "chunks", "error"}
    assert bad["error"]["code"] == "corrupt_file" and bad["error"]["message"] and bad["chunks"] == 0
    assert told[-1][0] == 1.0 and any("3 of 3" in message for _, message in told)
    passage = room.search("hippocampus memories", "papers", 1)[0]
    assert (passage.document, passage.page) == ("deep/brain.md", None) and "hippocampus" in passage.text
    assert BRAIN[passage.start : passage.end] == passage.text
    # A file that was mended is read when it is added again; the others are not.
    (folder / "bad.pdf").unlink()
    (folder / "bad.pdf").write_text("Plain words about kidneys, whatever the name says.")
    assert set(states(room.add(folder, "papers")).values()) == {"ready"}
    assert room.search("kidneys", "papers", 1)[0].document == "bad.pdf"


def test_what_is_ready_is_not_read_again(room: KnowledgeRoom, folder: Path, read: list[str], model: WordsEmbedding):
    room.add(folder, "papers")
    assert sorted(read) == ["deep/brain.md", "heart.md"]
    calls = len(model.calls)
    assert states(room.add(folder, "papers")) == {"heart.md": "ready", "deep/brain.md": "ready"}
    assert len(read) == 2 and len(model.calls) == calls


def test_a_new_version_replaces_the_old_one(room: KnowledgeRoom, folder: Path, read: list[str]):
    room.add(folder, "papers")
    before = objects(room)
    (folder / "heart.md").write_text(HEART.replace("Aspirin", "Warfarin"))
    room.add(folder, "papers")
    assert sorted(read) == ["deep/brain.md", "heart.md", "heart.md"]
    assert [said["version"] for said in room.documents("papers")] == [1, 2]
    assert "Warfarin" in room.search("thins the blood", "papers", 1)[0].text and len(room.search("Aspirin", "papers", 10)) == 2
    assert not any("Aspirin" in passage.text for passage in room.search("Aspirin", "papers", 10))
    # The old version's file is kept for what was cited from it, beside the two that are searched.
    files = [key for key in objects(room) if "/files/" in key]
    assert len(files) == 3 and len(set(files) - set(before)) == 1


def test_a_copy_is_not_read_and_found_once(room: KnowledgeRoom, folder: Path, read: list[str], model: WordsEmbedding):
    shutil.copy(folder / "heart.md", folder / "copy.md")
    added = room.add(folder, "papers")
    assert set(states(added).values()) == {"ready"} and len(read) == 2
    assert len(room.search("aspirin clots", "papers", 10)) == 2  # the brain is the other one
    shutil.copy(folder / "heart.md", folder / "later.md")
    calls = len(model.calls)
    room.add(folder / "later.md", "papers")
    assert len(read) == 2 and len(model.calls) == calls
    # The first of the copies goes, and the others still answer.
    room.remove("copy.md", "papers")
    room.remove("heart.md", "papers")
    assert room.search("aspirin clots", "papers", 1)[0].document == "later.md"


def test_removal_leaves_nothing(room: KnowledgeRoom, folder: Path, tmp_path: Path):
    records = tmp_path / "r.jsonl"
    records.write_text("\n".join(json.dumps({"id": f"r{n}", "title": f"Title {n}", "text": f"Secret{n} walrus."}) for n in range(30)))
    room.add([folder, records], "papers")
    room.remove("r7", "papers")
    assert not any("Secret7 " in passage.text for passage in room.search("Secret7", "papers", 40))
    assert "Secret8" in room.search("Secret8", "papers", 1)[0].text
    for info in room.store.list(room.settings.storage.buckets.kb_raw):
        content = room.store.get(info.bucket, info.key)
        assert b"Secret7 " not in content and b"r7.json" not in content
    with pytest.raises(NotFound):
        room.remove("r7", "papers")
    room.delete("papers")
    assert objects(room) == [] and room.collections() == []
    left = [path.name for path in (room.settings.home / "indexes").iterdir()]
    assert left == []
    with pytest.raises(NotFound):
        room.search("walrus", "papers")


def test_records(room: KnowledgeRoom, tmp_path: Path):
    path = tmp_path / "corpus.jsonl"
    lines = [json.dumps({"id": 1, "title": "Zygomatic arches", "text": "Nothing of note."}), "{broken", '{"id": "x"}', ""]
    lines += [json.dumps({"id": "2", "title": "", "text": ""}), json.dumps({"id": "3", "text": "About otters.\u2028Still the same line."})]
    path.write_text("\n".join(lines))
    added = room.add(path, "corpus")
    assert states(added) == {
        "1": "ready", "corpus.jsonl, line 2": "failed", "corpus.jsonl, line 3": "failed", "2": "failed", "3": "ready",
    }  # fmt: skip
    passage = room.search("zygomatic", "corpus", 1)[0]
    assert (passage.document, passage.title, passage.text) == ("1", "Zygomatic arches", "Nothing of note.")
    assert not [key for key in objects(room) if key.endswith(".jsonl")]


def test_many_records(room: KnowledgeRoom, tmp_path: Path, model: WordsEmbedding):
    path = tmp_path / "many.jsonl"
    path.write_text(
        "\n".join(json.dumps({"id": f"d{n}", "title": f"T{n}", "text": f"Word{n} and {n % 7} others. " * 6}) for n in range(MANY))
    )
    added = room.add(path, "many")
    assert len(added["documents"]) == MANY and set(states(added).values()) == {"ready"}
    assert len(objects(room)) < 60 and max(model.calls) > 100
    assert room.search("Word1234", "many", 1)[0].document == "d1234"
    calls = len(model.calls)
    assert len(room.add(path, "many")["documents"]) == MANY and len(model.calls) == calls


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
    with open_knowledge(settings, roles=Roles(embedding=Picky())) as room:
        added = room.add(folder, "papers")
        failed = {said["document"]: said["error"] for said in added["documents"] if said["state"] == "failed"}
        assert set(failed) == {"bad.md", "r7", "r40"} and len(added["documents"]) == 63
        assert all(error["code"] == "internal" and "AioRpcError" in error["message"] for error in failed.values())
        assert room.search("hippocampus", "papers", 1)[0].document == "deep/brain.md"
        assert room.search("Record 39", "papers", 1)[0].document == "r39"


def test_a_document_that_cannot_be_stored_fails_alone(room: KnowledgeRoom, folder: Path, monkeypatch: pytest.MonkeyPatch):
    real = Library.put_many

    def put_many(self, prepared, **named):
        if any(item.document.name == "heart.md" for item in prepared):
            raise ValueError("this one breaks the tables")
        return real(self, prepared, **named)

    monkeypatch.setattr(Library, "put_many", put_many)
    assert states(room.add(folder, "papers")) == {"heart.md": "failed", "deep/brain.md": "ready"}


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
    with open_knowledge(load_settings(home=home), roles=Roles(embedding=WordsEmbedding())) as room:
        for number in range(8):
            assert room.search(f"subject{number}", "papers", 1)[0].document == f"d{number}.md"
        assert len(room.search("words about", "papers", 20)) == 8


def test_a_damaged_or_stale_index_is_mended(settings: Settings, folder: Path):
    roles = Roles(embedding=WordsEmbedding())
    with open_knowledge(settings, roles=roles) as room:
        room.add(folder, "papers")
        collection = room.collections()[0]["id"]
    index = settings.home / "indexes" / collection
    (index / "changing").touch()  # as a kill in the middle of a save leaves it
    with open_knowledge(settings, roles=roles) as room:
        assert room.search("hippocampus", "papers", 1)[0].document == "deep/brain.md"
    for file in index.glob("seg-*.faiss"):
        file.write_bytes(b"rubbish")
    with open_knowledge(settings, roles=roles) as room:
        assert room.search("hippocampus", "papers", 1)[0].document == "deep/brain.md"
    shutil.rmtree(index)
    with open_knowledge(settings, roles=roles) as room:
        assert room.rebuild("papers") == 2
        assert room.search("hippocampus", "papers", 1)[0].document == "deep/brain.md"


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
    with open_knowledge(settings, roles=Roles(embedding=WordsEmbedding("a" * 64))) as room:
        room.add(folder, "papers")
    with open_knowledge(settings, roles=Roles(embedding=WordsEmbedding("b" * 64, dimensions=32))) as room:
        with pytest.raises(Conflict, match="rebuild"):
            room.search("hippocampus", "papers")
        with pytest.raises(Conflict):
            room.add(_other(folder), "papers")
        assert room.rebuild("papers") == 2
        assert room.search("hippocampus", "papers", 1)[0].document == "deep/brain.md"
        assert states(room.add(_other(folder), "papers")) == {"other.md": "ready"}


def test_what_stops_all_documents_is_told_and_can_be_begun_again(settings: Settings, folder: Path, model: WordsEmbedding):
    quick = load_settings(home=settings.home, jobs={"attempts": 1})
    with open_knowledge(quick, roles=Roles()) as room, pytest.raises(ModelMissing):
        room.add(folder, "papers")
    model.failing = Unavailable("The model is away.")
    with open_knowledge(quick, roles=Roles(embedding=model)) as room:
        with pytest.raises(Unavailable):
            room.add(folder, "papers")
        assert {said["state"] for said in room.documents("papers")} == {"failed"}
        assert room.documents("papers")[0]["error"]["message"] == "The model is away."
        model.failing = None
        assert set(states(room.add(folder, "papers")).values()) == {"ready"}


def test_facts_filters_and_names(room: KnowledgeRoom, tmp_path: Path):
    path = tmp_path / "filings.jsonl"
    filings = [("Acme, Inc.", 2018), ("Acme, Inc.", 2019), ("Borg", 2018)]
    rows = ({"id": f"{name}-{year}", "text": f"Capital expenditure in {year}.", "company": name, "year": year} for name, year in filings)
    path.write_text("\n".join(map(json.dumps, rows)))
    room.add(path, "filings")
    assert {p.document for p in room.search("capital", "filings", 5, {"organisation": "ACME"})} == {"Acme, Inc.-2018", "Acme, Inc.-2019"}
    assert [p.document for p in room.search("capital", "filings", 5, {"document": "Borg-2018"})] == ["Borg-2018"]
    assert {p.document for p in room.search("capital", "filings", 5, {"year": [2018]})} == {"Acme, Inc.-2018", "Borg-2018"}
    with pytest.raises(InvalidInput):
        room.search("capital", "filings", 5, {"colour": "red"})


def _other(folder: Path) -> Path:
    path = folder / "other.md"
    path.write_text("# Other\n\nWords about kidneys.\n")
    return path
