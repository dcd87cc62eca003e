"""Chunks stand where they say, within their size, and within their section."""

from __future__ import annotations

import itertools
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.chunking import ChunkOptions, chunk_document, embedding_text, sentence_spans, tokens
from knowledge.chunking.tokens import embedded_tokens
from knowledge.reading.document import Document, Page, with_paths
from knowledge.reading.plain import markdown_blocks, text_blocks
from knowledge.reading.records import record_document


class WordTokens:
    """A token a word: small enough to reason about."""

    def starts(self, text: str) -> list[int]:
        return [m.start() for m in re.finditer(r"\S+", text)]


def markdown(text: str) -> Document:
    blocks = with_paths([(kind, start, end, 1, level) for kind, start, end, level in markdown_blocks(text)], text)
    return Document("x.md", "text/markdown", (Page(1, 0, text),), blocks, False)


SECTIONS = "# One\n\nFirst sentence here. Second sentence here.\n\n## Inner\n\nInner words stand here.\n\n# Two\n\nOther words.\n"


def test_no_chunk_spans_two_sections_and_each_knows_its_headings():
    chunks = chunk_document(markdown(SECTIONS), WordTokens(), ChunkOptions(tokens=100))
    assert [chunk.headings for chunk in chunks] == [("# One",), ("# One", "## Inner"), ("# Two",)]
    assert "Inner" not in chunks[0].text and "Other" in chunks[2].text


def test_a_heading_above_a_heading_opens_the_same_section():
    chunks = chunk_document(markdown("# One\n\n## Inner\n\nWords.\n"), WordTokens(), ChunkOptions(tokens=100))
    assert len(chunks) == 1 and chunks[0].text.startswith("# One") and chunks[0].headings == ("# One", "## Inner")


def test_long_text_overlaps_by_whole_sentences():
    text = " ".join(f"Sentence number {i} has six words." for i in range(40))
    chunks = chunk_document(record_document("r", text), WordTokens(), ChunkOptions(tokens=30, overlap=6))
    assert all(chunk.tokens <= 30 for chunk in chunks)
    for before, after in itertools.pairwise(chunks):
        assert before.start < after.start < before.end < after.end
        assert after.text.startswith("Sentence number")


def test_rows_of_a_table_stay_whole_and_later_parts_know_the_columns():
    rows = "\n".join(f"Item {i}\t{i * 10}\t{i * 20}" for i in range(30))
    text = f"Item\t2018\t2017\n{rows}"
    document = Document("t", "text/plain", (Page(1, 0, text),), with_paths([("table", 0, len(text), 1, 0)], text), False)
    chunks = chunk_document(document, WordTokens(), ChunkOptions(tokens=30, overlap=10))
    assert len(chunks) > 2
    assert all(re.fullmatch(r"Item( \d+)?\t\d+\t\d+", line) for chunk in chunks for line in chunk.text.split("\n"))
    assert "2018" not in chunks[0].context and "2018 2017" in chunks[1].context


def test_page_headers_and_footers_are_in_no_chunk_and_pages_are_kept_apart():
    pages, blocks, start = [], [], 0
    for number in (1, 2):
        text = f"Annual report\n\nBody of page {number}.\n\n{number}"
        pages.append(Page(number, start, text))
        for kind, part in (("header", "Annual report"), ("paragraph", f"Body of page {number}."), ("footer", str(number))):
            at = start + text.index(part) if kind != "footer" else start + len(text) - 1
            blocks.append((kind, at, at + len(part), number, 0))
        start += len(text) + 1
    document = Document("p.pdf", "application/pdf", tuple(pages), with_paths(blocks, "\f".join(p.text for p in pages)), True)
    chunks = chunk_document(document, WordTokens())
    assert [(chunk.text, chunk.page, chunk.last_page) for chunk in chunks] == [("Body of page 1.", 1, 1), ("Body of page 2.", 2, 2)]


@given(st.text(alphabet="abc .!?\n\t1é漢#-", max_size=600), st.integers(3, 40), st.integers(0, 20))
def test_every_chunk_is_what_stands_at_its_offsets_and_no_word_is_lost(text: str, tokens: int, overlap: int):
    text = text.replace("\r", "\n")
    blocks = with_paths([(kind, start, end, 1, level) for kind, start, end, level in text_blocks(text)], text)
    document = Document("x", "text/plain", (Page(1, 0, text),), blocks, False)
    chunks = chunk_document(document, WordTokens(), ChunkOptions(tokens=tokens, overlap=overlap))
    covered = set()
    for chunk in chunks:
        assert chunk.text == text[chunk.start : chunk.end] and chunk.text.strip()
        assert chunk.page is None
        covered.update(range(chunk.start, chunk.end))
    assert all(i in covered for i, character in enumerate(text) if not character.isspace())
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))


def test_the_embedding_models_own_tokens_bound_the_chunks():
    text = "Pharmacokinetics of hydroxychloroquine. " * 200
    chunks = chunk_document(record_document("r", text, title="Title"), embedded_tokens())
    assert max(len(embedded_tokens().starts(embedding_text("Title", c.context, c.text))) for c in chunks) <= 254


@pytest.mark.parametrize("kind", ["paragraph", "heading", "table"])
def test_a_word_without_end_is_cut_by_characters(kind: str):
    # One unknown token to the model, however long: tokens alone do not bound a chunk.
    text = "Before. " + "a" * 50_000 + " after." + " " * 9_000
    document = Document("w", "text/plain", (Page(1, 0, text),), with_paths([(kind, 0, len(text), 1, 1)], text), False)
    chunks = chunk_document(document, embedded_tokens())
    assert len(chunks) >= 13 and max(len(chunk.text) for chunk in chunks) <= 4000
    assert max(len(chunk.context) for chunk in chunks) <= 4000
    covered = set()
    for chunk in chunks:
        assert chunk.text == text[chunk.start : chunk.end] and chunk.text.strip()
        covered.update(range(chunk.start, chunk.end))
    assert all(at in covered for at in range(len(text.rstrip())) if text[at] != " ")


def test_tokens_are_the_same_whether_counted_in_pieces_or_at_once(monkeypatch: pytest.MonkeyPatch):
    text = "Pharmacokinetics of hydroxychloroquine,\n\nmeasured twice. " * 40
    whole = embedded_tokens().starts(text)
    monkeypatch.setattr(tokens, "AT_ONCE", 97)
    assert embedded_tokens().starts(text) == whole and len(whole) > 400


@pytest.mark.parametrize("text", ["." * 300_000 + "x", "Dr. Xu met Prof. Li and said no. 4 " * 20_000, "a" * 2_000_000 + ". B."])
def test_sentences_of_a_hostile_text_are_found_in_time_that_grows_with_it(text: str):
    began = time.process_time()
    sentence_spans(text)
    assert time.process_time() - began < 5  # minutes, where each stop looks back to the beginning


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("It rose by 4.5 percent. Then it fell.", ["It rose by 4.5 percent.", "Then it fell."]),
        ("See Fig. 3 and Smith et al. for more. Next.", ["See Fig. 3 and Smith et al. for more.", "Next."]),
        ("Dr. Smith of the U.S. Treasury agreed. He left.", ["Dr. Smith of the U.S. Treasury agreed.", "He left."]),
        ("Done? Yes! (Really.) Good", ["Done?", "Yes!", "(Really.)", "Good"]),
        ("First item\n• second item\n• third", ["First item", "• second item", "• third"]),
        ("A line\nthat goes on. End.", ["A line\nthat goes on.", "End."]),
        ("これは文です。次の文。", ["これは文です。", "次の文。"]),
        ("", []),
    ],
)
def test_sentences(text: str, sentences: list[str]):
    assert [text[start:end] for start, end in sentence_spans(text)] == sentences
