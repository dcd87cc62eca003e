"""Hostile and damaged files in the readers: each is read or refused by a sentence; none crashes, hangs, or ends as `internal`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile_documents import DOCUMENTS as HOSTILE
from tests.mutated_uploads import DOCUMENTS, SCANS, mutations, read_upload
from tests.unit.serving.volume.test_hostile import CASES


def test_there_are_at_least_48_hostile_kinds_of_documents_and_of_scans():
    assert len(HOSTILE) >= 48 and len(CASES) >= 48  # the scans' own are tested in tests/unit/serving/volume/test_hostile.py


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_document_is_read_or_refused(tmp_path: Path, kind: str):
    name, make = HOSTILE[kind]
    (tmp_path / name).write_bytes(make())
    outcome = read_upload(tmp_path / name)
    assert not outcome.fault, outcome
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("kinds", "count"), [(DOCUMENTS, 14), (SCANS, 300)])
def test_damaged_files_are_read_or_refused(tmp_path: Path, kinds: tuple[str, ...], count: int):
    """`make bench ARGS=mutated_uploads` asks for a thousand."""
    for number, (kind, content) in enumerate(mutations(count, seed=1, kinds=kinds)):
        path = tmp_path / (f"{number}-{kind}" if kind in DOCUMENTS else f"{number}-scan.{kind}")
        path.write_bytes(content)
        outcome = read_upload(path)
        assert not outcome.fault and outcome.code != "unforeseen", (number, kind, outcome)
        path.unlink()


def test_what_cannot_be_parsed_to_its_end_is_said(tmp_path: Path):
    from knowledge.reading import read_document

    for kind in ("DOCX: a word of 60 MB", "HTML: 5,000 nested tables"):
        name, make = HOSTILE[kind]
        (tmp_path / name).write_bytes(make())
        assert any("left out" in warning for warning in read_document(tmp_path / name).warnings), kind
