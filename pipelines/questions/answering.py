"""Extract, then write: search, find the sentences that answer, quote them (or let a language model connect them)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import numpy as np

from infra.errors import InvalidInput
from pipelines.questions.calibration import Calibration, shipped
from pipelines.questions.contract import NOT_HERE, Answer, Answered, Citation, Event, Piece, Said, Search, Searched, Sentence
from pipelines.questions.evidence import Candidate, Evidence, read_evidence, with_heading
from pipelines.questions.followup import standalone
from pipelines.questions.writers import Writer
from pipelines.questions.writing import write_checked
from serving.entailment.overlap import stems
from serving.roles import Roles

LONGEST_QUESTION = 4000


@dataclass(frozen=True)
class AnswerOptions:
    """How to answer.

    Attributes:
        passages: shown beside the answer.
        read: of these, how many are read sentence by sentence.
        sentences: most of a quoted answer.
        share: a further sentence is quoted where its probability is at least this share of the best one's.
        writer: ``quotes``: the answer is the sentences found. ``model``: the language model connects them, and every
            sentence that it writes is checked against them.
    """

    passages: int = 8
    read: int = 5
    sentences: int = 3
    share: float = 0.35
    writer: Writer = "quotes"


async def answer_stream(
    question: str,
    search: Search,
    roles: Roles,
    *,
    earlier: Sequence[str] = (),
    options: AnswerOptions = AnswerOptions(),
    calibration: Calibration | None = None,
) -> AsyncIterator[Event]:
    """Answer a question; what is known is told as soon as it is.

    Args:
        search: gives passages, of one collection or several.
        roles: ``entailment`` and ``embedding``; ``llm`` where the model writes.
        earlier: the conversation's questions before, as they were searched, oldest first.

    Raises:
        InvalidInput: the question is empty or too long.
        ModelMissing: a model that is needed is not there.
    """
    question = question.strip()
    if not question:
        raise InvalidInput("The question is empty.")
    if len(question) > LONGEST_QUESTION:
        raise InvalidInput(f"The question is too long: at most {LONGEST_QUESTION} characters.")
    if options.writer == "model":
        roles.require("llm")  # said before anything is searched
    known = calibration or shipped()
    began = time.perf_counter()
    asked = standalone(question, earlier)
    passages = tuple(await search(asked, options.passages))
    seconds = {"search": time.perf_counter() - began}
    yield Searched(asked, passages)
    evidence = await read_evidence(asked, passages[: options.read], roles, known)
    seconds["read"] = time.perf_counter() - began - seconds["search"]
    seconds["first"] = time.perf_counter() - began
    models = list(evidence.models)
    sentences: list[Sentence] = []
    abstained = evidence.confidence < known.threshold
    if not abstained:
        quotes = choose(evidence, options)
        if options.writer == "model":
            async for event in write_checked(asked, quotes, roles, known):
                if isinstance(event, Piece | Said):
                    yield event
                else:
                    models.append(event)
                if isinstance(event, Said):
                    sentences.append(event.sentence)
        if not any(sentence.support == "cited" for sentence in sentences):
            sentences = quotes  # nothing of what a model wrote can be shown to stand there
            for sentence in quotes:
                yield Said(sentence)
    seconds["total"] = time.perf_counter() - began
    text = NOT_HERE if abstained else " ".join(sentence.text for sentence in sentences)
    unique = tuple({(model.role, model.version): model for model in models}.values())
    yield Answered(Answer(question, asked, text, abstained, evidence.confidence, tuple(sentences), passages, unique, seconds))


async def answer(
    question: str,
    search: Search,
    roles: Roles,
    *,
    earlier: Sequence[str] = (),
    options: AnswerOptions = AnswerOptions(),
    calibration: Calibration | None = None,
) -> Answer:
    """The last word of :func:`answer_stream`."""
    async for event in answer_stream(question, search, roles, earlier=earlier, options=options, calibration=calibration):
        if isinstance(event, Answered):
            return event.answer
    raise AssertionError("answer_stream ended without an answer")


def choose(evidence: Evidence, options: AnswerOptions) -> list[Sentence]:
    """The sentences that answer best, the best first; of two that say nearly the same in the same words, the better."""
    chosen: list[tuple[Candidate, float]] = []
    words: list[set[str]] = []
    order = np.argsort(-evidence.scores, kind="stable")
    for row in order:
        candidate, score = evidence.candidates[row], float(evidence.scores[row])
        if len(chosen) == options.sentences or (chosen and score < options.share * chosen[0][1]):
            break
        mine = stems(candidate.text)
        if any(len(mine & other) > 0.8 * max(1, min(len(mine), len(other))) for other in words):
            continue
        chosen.append((candidate, score))
        words.append(mine)
    return [quoted(candidate, score) for candidate, score in chosen]


def quoted(candidate: Candidate, score: float) -> Sentence:
    """A sentence as it stands in the document (a table with its heading); shown on one line, cited verbatim."""
    whole = with_heading(candidate)
    citation = Citation(whole.found, whole.page, whole.start, whole.end, whole.text, score, 1.0)
    return Sentence(" ".join(whole.text.split()), "cited", score, (citation,))
