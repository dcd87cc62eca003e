"""The sentences that answer: cut from the passages, read beside the question by the entailment and embedding models."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from knowledge.chunking.sentences import sentence_spans
from pipelines.questions.calibration import Calibration
from pipelines.questions.contract import Found
from serving.entailment.overlap import stems
from serving.registry.versions import ModelRef
from serving.roles import Roles
from serving.roles.entailment import ENTAILMENT_LABELS

ENTAILED, NOT_MENTIONED = ENTAILMENT_LABELS.index("entailed"), ENTAILMENT_LABELS.index("not_mentioned")
MOST_SENTENCES = 96
"""Sentences read for one question; of the passages' sentences, the first ones of the best passages."""
LONG = 360
"""Characters: what is longer (a table, a list without stops) is cut at its line breaks."""
SHORT = 12


@dataclass(frozen=True)
class Candidate:
    """A sentence of a passage: where it stands, exactly."""

    found: Found
    page: int | None
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Evidence:
    """Sentences read beside a question, in the passages' order.

    Attributes:
        features: float ``(sentences, SENTENCE_FEATURES)``.
        scores: float ``(sentences,)``, probability that each answers.
        confidence: probability that one of them does.
    """

    candidates: tuple[Candidate, ...]
    features: np.ndarray
    scores: np.ndarray
    confidence: float
    models: tuple[ModelRef, ...]


def sentences_of(passages: Sequence[Found], most: int = MOST_SENTENCES) -> list[Candidate]:
    """Sentences of the passages, best passage first; one that stands in two of them comes once."""
    found: list[Candidate] = []
    seen: set[tuple[str, str, int]] = set()
    for item in passages:
        passage = item.passage
        for start, end in _pieces(passage.text):
            place = (item.collection_id, passage.document, passage.start + start)
            if end - start < SHORT or place in seen:
                continue
            seen.add(place)
            # The pages of a document's text are joined by form feeds.
            page = None if passage.page is None else passage.page + passage.text.count("\f", 0, start)
            found.append(Candidate(item, page, passage.start + start, passage.start + end, passage.text[start:end]))
            if len(found) == most:
                return found
    return found


def _pieces(text: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start, end in sentence_spans(text):
        if end - start <= LONG or "\n" not in text[start:end]:
            found.append((start, end))
            continue
        begin = start
        while begin < end:
            stop = end if end - begin <= LONG else text.rfind("\n", begin + 1, begin + LONG)
            stop = stop if stop > begin else text.find("\n", begin + 1, end)
            stop = end if stop <= begin else stop
            piece = text[begin:stop]
            left = begin + len(piece) - len(piece.lstrip())
            if piece.strip():
                found.append((left, left + len(piece.strip())))
            begin = stop
    return found


def with_heading(candidate: Candidate) -> Candidate:
    """A heading with the table below it, and a table's rows with the lines above them: neither says anything alone.

    Other candidates are returned as they are, as is what would become longer than twice ``LONG``.
    """
    text, offset = candidate.found.passage.text, candidate.found.passage.start
    start, end = candidate.start - offset, candidate.end - offset
    if _rows(candidate.text):
        top = start
        while (line := _line_above(text, top)) is not None and end - line <= 2 * LONG:
            above = text[line:top].strip()
            if not _rows(above):
                top = top if above.endswith((".", "?", "!")) else line  # a sentence is no heading
                break
            top = line
        start = top
    elif "\n" not in candidate.text and not candidate.text.rstrip().endswith((".", "?", "!", ";")):
        below = len(text[end:]) - len(text[end:].lstrip("\n "))
        stop = end + below
        while stop < len(text) and stop - start <= LONG:
            line_end = text.find("\n", stop)
            line_end = len(text) if line_end < 0 else line_end
            if not _rows(text[stop:line_end]):
                break
            end, stop = line_end, line_end + 1
    page = None if candidate.found.passage.page is None else candidate.found.passage.page + text.count("\f", 0, start)
    return Candidate(candidate.found, page, offset + start, offset + end, text[start:end])


def _line_above(text: str, start: int) -> int | None:
    """Where the line before ``start`` begins, one empty line between them; None at the top of the text or of a page."""
    above = text[:start].rstrip(" \n")
    if not above or "\f" in text[len(above) - 1 : start] or text.count("\n", len(above), start) > 2:
        return None
    return max(above.rfind("\n"), above.rfind("\f")) + 1


def _rows(text: str) -> bool:
    """Whether every line is a row of a table, as :mod:`knowledge.reading` writes it: cells apart by ``|`` or tabs."""
    lines = [line for line in text.splitlines() if line.strip()]
    return bool(lines) and all("|" in line or "\t" in line for line in lines)


async def read_evidence(question: str, passages: Sequence[Found], roles: Roles, calibration: Calibration) -> Evidence:
    """Read every sentence of the passages beside the question.

    Raises:
        ModelMissing: no entailment or no embedding model is there.
    """
    candidates = sentences_of(passages)
    if not candidates:
        return Evidence((), np.empty((0, 4)), np.empty(0), 0.0, ())
    texts = [one.text for one in candidates]
    entailment, embedding = roles.require("entailment"), roles.require("embedding")
    said, near = await asyncio.gather(entailment.entail([(question, text) for text in texts]), embedding.embed([question, *texts]))
    features = features_of(question, candidates, said.probabilities, near.vectors)
    scores = calibration.sentence(features)
    confidence = float(calibration.answerable(question_features(features))[0])
    return Evidence(tuple(candidates), features, scores, confidence, (said.model, near.model))


SENTENCE_FEATURES = ("mentioned", "nearness", "shared words", "passage")


def features_of(question: str, candidates: Sequence[Candidate], probabilities: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """What is known of each sentence: the log odds that it speaks of the question, the cosine of the two, the share of the
    question's words that it has, and its passage's relevance."""
    mentioned = np.clip(1 - probabilities[:, NOT_MENTIONED], 1e-3, 1 - 1e-3)
    wanted = stems(question)
    shared = [len(wanted & stems(one.text)) / max(1, len(wanted)) for one in candidates]
    passage = [one.found.passage.score for one in candidates]
    return np.column_stack([np.log(mentioned / (1 - mentioned)), vectors[1:] @ vectors[0], shared, passage])


QUESTION_FEATURES = ("best mentioned", "best nearness", "third nearness", "best shared words")


def question_features(features: np.ndarray) -> np.ndarray:
    """What is known of the whole: the best values over its sentences. The passages' relevance compares within one answer
    only, so it takes no part."""
    nearness = np.sort(features[:, 1])[::-1]
    return np.array([[features[:, 0].max(), nearness[0], nearness[min(2, len(nearness) - 1)], features[:, 2].max()]])
