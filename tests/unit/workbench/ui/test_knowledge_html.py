from dataclasses import replace
from datetime import UTC, datetime

import pytest

from infra.errors import InvalidInput
from knowledge.search import Passage
from workbench.services.addresses import job_page
from workbench.services.knowledge import ChunkCard, CollectionCard, DocumentCard, FoundPassage, facts_as_typed
from workbench.ui.knowledge.document_html import chunks_html
from workbench.ui.knowledge.html import documents_html, passages_html

WHEN = datetime(2026, 3, 1, tzinfo=UTC)
FACTS = {"title": "A <title>", "organisation": None, "kind": None, "year": 2019, "quarter": None, "date": None, "language": "en"}
COLLECTION = CollectionCard("c1", "papers", "", "ann", True, False, True, 1, 0, 0, 3, WHEN)
CARD = DocumentCard(
    id="d1", collection_id="c1", collection="papers", document="deep/<b>.md", state="ready", progress="", fraction=1.0, error=None, pages=4,
    chunks=3, size=1200, sha256="0" * 64, media_type="text/markdown", version=1, has_file=True, facts=FACTS, edited=[], warnings=[],
    created_at=WHEN, updated_at=WHEN,
)  # fmt: skip


def chunk(position: int, **changed: object) -> ChunkCard:
    card = ChunkCard(position + 70, position, 0, 5, 1, 2, "paragraph", ["# Top", "## <i>"], "", "<u>text", None, 12, True)
    return replace(card, **changed)


def test_only_what_was_changed_is_a_correction() -> None:
    same = {name: "" if value is None else str(value) for name, value in FACTS.items()}
    assert facts_as_typed(CARD, same) == {}
    typed = {**same, "title": "", "year": " 2020 ", "quarter": "3", "date": "2020-02-29"}
    assert facts_as_typed(CARD, typed) == {"title": None, "year": 2020, "quarter": 3, "date": "2020-02-29"}


@pytest.mark.parametrize(
    ("name", "text"), [("year", "MMXX"), ("year", "20200"), ("quarter", "5"), ("date", "1.2.2020"), ("language", "English")]
)
def test_a_fact_that_is_none_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(InvalidInput, match=f"Invalid {name} '{text}': expected .*"):
        facts_as_typed(CARD, {name: text})


def test_nothing_of_a_document_becomes_markup() -> None:
    table = documents_html(COLLECTION, [CARD, replace(CARD, state="failed", error={"message": "<x>"})], more=True, narrowed=False)
    passage = Passage("deep/<b>.md", "<t>", 3, 10, 20, "<u>text", 0.5, ("# Top", "<i>"))
    found = passages_html("<q>", [FoundPassage("c1", "papers", passage)])
    chunks = chunks_html(CARD, [chunk(0), chunk(1, enabled=False, search_text="</textarea><s>")], may_write=True, at_once=25)
    for said in (table, found, chunks):
        assert not any(mark in said for mark in ("<b>.md", "<x>", "<t>", "<u>", "<i>", "<q>", "<s>", "A <title>"))
    assert "The previous version stays searchable." in table and "Show more" in table and "page 3" in found
    assert "Top › &lt;i&gt;" in chunks and "pages 1 to 2" in chunks and "custom search text" in chunks


def test_who_may_only_read_sees_no_button_that_changes() -> None:
    reader = replace(COLLECTION, may_write=False, mine=False)
    assert "Remove" not in documents_html(reader, [CARD], more=False, narrowed=False)
    said = chunks_html(CARD, [chunk(0)], may_write=False, at_once=25)
    assert ">Disable<" not in said and "textarea" not in said


def test_chunks_lead_to_those_before_and_after() -> None:
    said = chunks_html(replace(CARD, chunks=60), [chunk(number) for number in range(25, 50)], may_write=True, at_once=25, here=30)
    assert "26 to 50 of 60" in said and 'data-do="from" data-id="0"' in said and 'data-do="from" data-id="50"' in said
    assert said.count("data-here") == 1


def test_a_job_has_the_page_of_its_pipeline() -> None:
    assert job_page("imaging", "j") == "/imaging?job=j" and job_page("ingestion", "j") == "/knowledge?job=j"
    assert job_page("compliance", "j") == "/compliance?job=j"
    assert job_page("another", "j") == "/activity" == job_page(None, None)
