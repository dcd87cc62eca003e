"""What an answer is: sentences with their citations, or the word that the documents do not say it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from infra.notebook import Displayed
from knowledge.search import Passage
from serving.registry.versions import ModelRef

NOT_HERE = "Not in these documents."


@dataclass(frozen=True)
class Found:
    """A passage, and the collection it stands in."""

    passage: Passage
    collection_id: str = ""
    collection: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {**self.passage.as_dict(), "collection": self.collection, "collection_id": self.collection_id}


Search = Callable[[str, int], Awaitable[list[Found]]]
"""A question and how many passages: the best ones, best first."""


@dataclass(frozen=True)
class Citation:
    """Where a sentence has its support.

    Attributes:
        found: the passage it stands in.
        page: from 1; None where the document has no pages.
        start, end: characters of the document's text; ``text`` is exactly what stands there.
        relevance: probability that it answers the question, 0 to 1.
        support: probability that it says what the sentence says, 0 to 1.
    """

    found: Found
    page: int | None
    start: int
    end: int
    text: str
    relevance: float
    support: float

    def as_dict(self) -> dict[str, Any]:
        """A passage of the contract, with its ``entailed``."""
        return {
            "document": self.found.passage.document,
            "title": self.found.passage.title,
            "page": self.page,
            "start": self.start,
            "end": self.end,
            "text": self.text,
            "score": round(self.relevance, 6),
            "entailed": round(self.support, 6),
            "collection": self.found.collection,
            "collection_id": self.found.collection_id,
        }


@dataclass(frozen=True)
class Sentence:
    """A sentence of an answer.

    Attributes:
        support: ``cited``, or ``unsupported`` where no citation says it (a language model wrote it, and it is shown as such).
        confidence: a quoted sentence's is the probability that it answers, a written one's that its citations say it.
    """

    text: str
    support: Literal["cited", "unsupported"]
    confidence: float
    citations: tuple[Citation, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        passages = [citation.as_dict() for citation in self.citations]
        return {"text": self.text, "support": self.support, "confidence": round(self.confidence, 6), "passages": passages}


@dataclass(frozen=True)
class Answer(Displayed):
    """An answer.

    Attributes:
        asked: what was searched: the question, and before a follow-up what it follows.
        abstained: the documents do not say it; ``passages`` are then the nearest ones, shown as such.
        confidence: probability that the documents answer the question.
        seconds: stage to seconds; ``first`` is when the first sentence was there, ``total`` all.
    """

    question: str
    asked: str
    answer: str
    abstained: bool
    confidence: float
    sentences: tuple[Sentence, ...]
    passages: tuple[Found, ...]
    models: tuple[ModelRef, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)

    shown_by = "pipelines.questions.notebook"

    def as_dict(self) -> dict[str, Any]:
        """The contract of ``workbench ask --json``."""
        return {
            "question": self.question,
            "answer": self.answer,
            "abstained": self.abstained,
            "confidence": round(self.confidence, 6),
            "sentences": [sentence.as_dict() for sentence in self.sentences],
            "passages": [found.as_dict() for found in self.passages],
            "models": [model.as_dict() for model in self.models],
            "seconds": {stage: round(value, 4) for stage, value in self.seconds.items()},
        }


@dataclass(frozen=True)
class Searched:
    """The passages are found; they are being read."""

    asked: str
    passages: tuple[Found, ...]


@dataclass(frozen=True)
class Piece:
    """Text as a language model writes it, before it is checked."""

    text: str


@dataclass(frozen=True)
class Said:
    """A sentence of the answer, checked."""

    sentence: Sentence


@dataclass(frozen=True)
class Answered:
    """The whole answer: the last event."""

    answer: Answer


Event = Searched | Piece | Said | Answered
