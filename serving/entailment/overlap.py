"""Which texts share the most words with another: finds hard negatives, and is the baseline to beat."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

STEM = 5
"""Letters of a word that count: cutting words is a stemmer that needs no rules of any language."""

STOP_WORDS = frozenset(
    """
    the a an of in on to for and or by with as at from that this these those it its is are was were be been being has have had
    do does did which who whom such any all some their they he she his her we our us you your i there than then so also into about
    """.split()  # noqa: SIM905 - as a list it is a page long
)

WORD = re.compile(r"\w+")


def stem(word: str) -> str:
    """Lower case, cut to STEM letters; numbers stay whole, and words that carry no content give ''."""
    word = word.lower()
    if word in STOP_WORDS:
        return ""
    return word if any(c.isdigit() for c in word) else word[:STEM]


def stems(text: str) -> set[str]:
    return {found for word in WORD.findall(text) if (found := stem(word))}


class Overlap:
    """Texts to look through, by an inverted index of their stems."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._count = len(texts)
        self._where: dict[str, list[int]] = {}
        lengths = np.ones(len(texts))
        for row, text in enumerate(texts):
            found = stems(text)
            lengths[row] = math.sqrt(max(1, len(found)))
            for one in found:
                self._where.setdefault(one, []).append(row)
        self._lengths = lengths

    def scores(self, query: str) -> np.ndarray:
        """float64 ``(texts,)``: shared stems, each by its rarity (inverse document frequency)."""
        found = np.zeros(self._count)
        for one in stems(query):
            rows = self._where.get(one)
            if rows:
                found[rows] += math.log(1 + self._count / len(rows))
        return found

    def nearest(self, query: str, count: int) -> list[int]:
        """Rows of the texts that share most, by their length; best first."""
        return [int(row) for row in np.argsort(-self.scores(query) / self._lengths, kind="stable")[:count]]
