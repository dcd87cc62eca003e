"""Answers as HTML: who wrote them, what is checked while they come, what is said of the cited place."""

from workbench.services.cited_pages import Cited
from workbench.ui.ask.html import live_html, turns_html, unchecked, viewer_html

PASSAGE = {
    "document": "heart.pdf", "title": None, "page": 2, "start": 5, "end": 30, "text": "Aspirin thins\nthe blood.", "score": 0.8,
    "entailed": 0.9, "collection": "notes", "collection_id": "c1",
}  # fmt: skip
CITED = {"text": "Aspirin thins the blood.", "support": "cited", "confidence": 0.9, "passages": [PASSAGE]}
UNSUPPORTED = {"text": "The moon is <green>.", "support": "unsupported", "confidence": 0.1, "passages": []}
WRITER = {"role": "llm", "name": "Large", "version": "2"}


def turn(*sentences, models=(), **changed):
    kept = {"id": "a1", "question": "What of it?", "asked": "What of it?", "answer": "", "abstained": False, "confidence": 0.9}
    return {**kept, "sentences": list(sentences), "passages": [PASSAGE], "models": list(models), "feedback": None, **changed}


def test_a_written_answer_says_so_and_marks_what_nothing_supports():
    shown = turns_html([turn(CITED, UNSUPPORTED, models=[WRITER])])
    assert "Written by Large" in shown and shown.count("not supported") == 1 and "&lt;green&gt;" in shown


def test_quotes_are_nobodys_writing_though_a_model_tried():
    assert "Written by" not in turns_html([turn(CITED, models=[WRITER])])
    assert "Written by" not in turns_html([turn(models=[], abstained=True, answer="Not in these documents.")])


def test_what_a_model_wrote_since_the_last_checked_sentence():
    text = "Aspirin thins\nthe blood. The moon is"
    assert unchecked(text, [CITED]) == "The moon is" and unchecked(text, []) == "Aspirin thins the blood. The moon is"
    assert unchecked("Something else", [CITED]) == ""
    shown = live_html("What?", "Reading", [CITED], text)
    assert shown.count("Aspirin thins the blood.") == 1 and "The moon is" in shown


def test_a_replaced_document_is_said_to_be_one():
    here = Cited("heart.pdf", "Hearts", 2, True, "", "what stands there now", "", True)
    assert "replaced since" in viewer_html(here, PASSAGE) and "page=2" in viewer_html(here, PASSAGE)
