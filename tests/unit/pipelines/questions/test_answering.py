"""Answers: quoted sentences stand where they say, what is not there is said so, written sentences are checked."""

import numpy as np
import pytest

from infra.errors import InvalidInput, ModelMissing
from pipelines.questions import NOT_HERE, Answered, AnswerOptions, Piece, Said, Searched, answer, answer_stream
from pipelines.questions.calibration import Calibration, shipped
from pipelines.questions.evidence import (
    LONG,
    QUESTION_FEATURES,
    SENTENCE_FEATURES,
    Candidate,
    question_features,
    sentences_of,
    with_heading,
)
from pipelines.questions.followup import standalone
from pipelines.questions.logistic import Logistic, auroc, fit
from tests.unit.pipelines.questions.conftest import BRAIN, HEART, Script, found

THINS = "Does aspirin thin the blood and prevent clots?"


async def test_an_answer_quotes_the_sentence_where_it_stands(search, roles, calibration, passages):
    got = await answer(THINS, search, roles, calibration=calibration)
    assert not got.abstained and got.confidence > 0.5
    first = got.sentences[0]
    assert first.text == "Aspirin thins the blood and prevents clots." and first.support == "cited"
    cited = first.citations[0]
    assert (cited.found.passage.document, cited.page) == ("heart.pdf", 4)
    assert cited.text == HEART[cited.start - 50 : cited.end - 50] == "Aspirin thins the blood and\nprevents clots."
    assert [one.text for one in got.sentences].count(first.text) == 1  # the same sentence of the other document is not said twice
    assert got.answer == " ".join(one.text for one in got.sentences)
    assert {model.role for model in got.models} == {"embedding", "entailment"}
    said = got.as_dict()
    assert set(said) == {"question", "answer", "abstained", "confidence", "sentences", "passages", "models", "seconds"}
    assert {"document", "title", "page", "start", "end", "text", "score", "entailed"} <= set(said["sentences"][0]["passages"][0])


async def test_what_the_documents_do_not_say(search, roles, calibration, passages):
    got = await answer("Which quarterly dividend was declared in Toronto?", search, roles, calibration=calibration)
    assert got.abstained and got.answer == NOT_HERE and got.sentences == ()
    assert got.passages == tuple(passages)  # the nearest, shown as such

    async def nothing(question, count):
        return []

    assert (await answer(THINS, nothing, roles, calibration=calibration)).abstained


async def test_events_come_in_order(search, roles, calibration):
    events = [event async for event in answer_stream(THINS, search, roles, calibration=calibration)]
    assert isinstance(events[0], Searched) and isinstance(events[-1], Answered)
    assert all(isinstance(event, Said) for event in events[1:-1]) and len(events) > 2
    assert events[-1].answer.seconds["first"] <= events[-1].answer.seconds["total"]


async def test_what_cannot_be_asked(search, roles, calibration):
    for wrong in ("", "  \n", "x" * 4001):
        with pytest.raises(InvalidInput):
            await answer(wrong, search, roles, calibration=calibration)
    with pytest.raises(ModelMissing):
        await answer(THINS, search, roles.replace(entailment=None), calibration=calibration)


async def test_a_model_writes_and_every_sentence_is_checked(search, roles, calibration):
    script = Script("Aspirin prevents clots. The moon is made of green cheese.")
    options = AnswerOptions(writer="model")
    events = [event async for event in answer_stream(THINS, search, roles.replace(llm=script), calibration=calibration, options=options)]
    assert "".join(event.text for event in events if isinstance(event, Piece)) == script.text
    got = events[-1].answer
    assert [(one.text, one.support) for one in got.sentences] == [
        ("Aspirin prevents clots.", "cited"),
        ("The moon is made of green cheese.", "unsupported"),
    ]
    assert got.sentences[0].citations[0].support > 0.9 and got.sentences[1].citations == ()
    assert "llm" in {model.role for model in got.models}
    prompt = script.asked[0][-1].content
    assert "1. Aspirin thins the blood and prevents clots." in prompt and THINS in prompt


async def test_where_nothing_written_is_supported_the_quotes_stand(search, roles, calibration):
    options = AnswerOptions(writer="model")
    got = await answer(THINS, search, roles.replace(llm=Script("Green cheese.")), calibration=calibration, options=options)
    assert got.sentences[0].text == "Aspirin thins the blood and prevents clots."


async def test_a_follow_up_is_searched_with_what_it_follows(search, roles, calibration):
    got = await answer("When was it sold?", search, roles, earlier=["What is aspirin?"], calibration=calibration)
    assert search.asked[-1] == got.asked == "What is aspirin? When was it sold?"
    assert standalone("What is aspirin?", []) == "What is aspirin?"
    assert standalone("How large is the human hippocampus?", ["What is aspirin?"]) == "How large is the human hippocampus?"
    assert standalone("And in children?", ["What is aspirin?"]).startswith("What is aspirin?")


def test_sentences_are_verbatim_on_their_page_and_once():
    texts = {"heart.pdf": HEART, "brain.txt": BRAIN}
    got = sentences_of([found("heart.pdf", HEART, page=4), found("brain.txt", BRAIN, page=None), found("heart.pdf", HEART, page=4)])
    assert all(one.text == texts[one.found.passage.document][one.start : one.end] for one in got)
    assert {one.page for one in got if "doses" in one.text} == {5} and {one.page for one in got if "memories" in one.text} == {None}
    assert len(got) == len({(one.found.passage.document, one.start) for one in got})


def test_a_table_is_cut_at_its_lines():
    rows = "\n".join(f"Net sales of the segment number {n} | {n * 1000} | {n * 1100}" for n in range(40))
    got = sentences_of([found("10k.pdf", rows)])
    assert len(got) > 3 and all(len(one.text) <= LONG and one.text == rows[one.start : one.end] for one in got)
    assert " ".join(one.text for one in got).split() == rows.split()
    endless = "word " * 300
    assert len(sentences_of([found("a", endless)])) == 1


@pytest.mark.parametrize("gap", ["\n", "\n\n"])
def test_a_heading_and_its_table_are_cited_together(gap):
    rows = "\t2022\t2023\nDrugs\t10\t12\nDevices | 4 | 5"
    text = f"Some text before it.\n\nNet sales by segment{gap}{rows}\n\nSales grew in both years."
    passage = found("10k.pdf", text, page=3)
    table = f"Net sales by segment{gap}{rows}"
    for cited in ("Net sales by segment", "Devices | 4 | 5", "Drugs\t10\t12\nDevices | 4 | 5"):
        start = passage.passage.start + text.index(cited)
        whole = with_heading(Candidate(passage, 3, start, start + len(cited), cited))
        assert whole.text == table[: len(whole.text)] and whole.text.startswith("Net sales") and cited in whole.text
        assert text[whole.start - passage.passage.start : whole.end - passage.passage.start] == whole.text
        assert "Drugs" in whole.text and whole.page == 3
    (last,) = [one for one in sentences_of([passage]) if one.text.startswith("Sales grew")]
    assert with_heading(last) == last


def test_logistic_regression_finds_what_made_the_data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 2))
    y = rng.random(4000) < 1 / (1 + np.exp(-(2 * x[:, 0] - x[:, 1] + 0.5)))
    made = fit(("a", "b"), x, y)
    assert np.allclose([*made.weights, made.bias], [2, -1, 0.5], atol=0.2)
    assert auroc(made(x), y) > 0.85 and auroc(np.zeros(4), np.array([0, 1, 0, 1])) == 0.5
    assert Logistic.from_dict(made.as_dict())(x[:5]) == pytest.approx(made(x[:5]), abs=1e-3)


def test_the_shipped_calibration_knows_the_features():
    known = shipped()
    assert known.sentence.names == SENTENCE_FEATURES and known.answerable.names == QUESTION_FEATURES
    assert 0 < known.threshold < 1 and known.about
    assert Calibration.from_dict(known.as_dict()) == known
    assert question_features(np.ones((1, 4))).shape == (1, 4)
