"""What the deciding reader reads: the spans that were found best, each with its neighbours of the same paragraph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from knowledge.requirements.spans import Span

READ_CLOSELY = 4
"""Passages that the deciding reader reads for one requirement: it reads about ten pairs a second on two cores."""
LONGEST = 700
"""Characters of a passage; a neighbour that would make it longer is left out."""
SEARCH_WEIGHT = 3.0
"""How much the search's score adds, in log-odds, to what the ranking model says when passages are chosen."""


@dataclass(frozen=True)
class Passage:
    """Characters ``start`` to ``end`` of the document's text around the span of row ``row``; ``premise`` is what is read."""

    row: int
    start: int
    end: int
    premise: str


def choose_passages(text: str, spans: Sequence[Span], rows: Sequence[int], probabilities: np.ndarray, search: np.ndarray) -> list[Passage]:
    """The passages around the spans that say most of a requirement, best first; none twice.

    Args:
        text: of the document.
        rows: of the spans that the ranking model has read.
        probabilities: float ``(rows, 3)``, what it said.
        search: float ``(rows,)``, the search's scores.
    """
    if not len(rows):
        return []
    mentioned = np.clip(1 - probabilities[:, 2], 1e-4, 1 - 1e-4)
    scores = np.log(mentioned / (1 - mentioned)) + SEARCH_WEIGHT * (search - search.mean())
    found: dict[tuple[int, int], Passage] = {}
    for place in np.argsort(-scores, kind="stable"):
        passage = around(text, spans, rows[place])
        found.setdefault((passage.start, passage.end), passage)
        if len(found) == READ_CLOSELY:
            break
    return list(found.values())


def around(text: str, spans: Sequence[Span], row: int) -> Passage:
    """A span with the one before and the one after it, where they stand in the same paragraph."""
    span = spans[row]
    start, end = span.start, span.end
    for other in (spans[place] for place in (row - 1, row + 1) if 0 <= place < len(spans)):
        low, high = min(start, other.start), max(end, other.end)
        together = other.heading == span.heading or not (other.marked and span.marked)  # else a guess at which line is a heading
        if together and high - low <= LONGEST and "\n\n" not in text[low:high]:
            start, end = low, high
    own = " ".join(span.text.split())
    before, found, _ = span.premise.rpartition(own)
    return Passage(row, start, end, before + " ".join(text[start:end].split()) if found else span.premise)
