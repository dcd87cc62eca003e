"""Pairs made from bare text: a sentence against the text it stands in, whole, altered, or struck out.

They cost no labels, and teach what the labelled sets show too seldom: that a sentence in other words is supported, that the
same sentence with another number is not, and that a neighbour of what was struck out does not say it. A negation alone must
tell nothing: sentences are turned round on both sides as often as on one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from serving.entailment.corpora.breaches import other_number, reversed_sentence
from serving.entailment.corpora.examples import Example, Label
from serving.entailment.corpora.rephrasing import rephrased
from serving.entailment.overlap import stems

SOURCE = "mechanical"
LOOKED_AT = 30
"""Sentences of the text among which the one that shares most words is looked for, as what does not say it."""
SAME = 0.6
"""Two sentences that share more of their words may well say the same."""


class Texts:
    """Sentences of texts that may be trained on, in their order.

    Args:
        texts: name of a text and its sentences, by set; every set gives as many pairs.
        count: pairs a draw.
    """

    def __init__(self, texts: Sequence[Sequence[tuple[str, Sequence[str]]]], count: int) -> None:
        long = [[(name, [s for s in sentences if 6 <= len(s.split()) <= 60]) for name, sentences in one] for one in texts]
        self._sets = [kept for one in long if (kept := [text for text in one if len(text[1]) >= 4])]
        self._count = count

    def draw(self, rng: random.Random) -> list[Example]:
        if not self._sets:
            return []
        return [next(self._pairs(rng)) for _ in range(self._count)]

    def _pairs(self, rng: random.Random) -> Iterator[Example]:
        while True:
            name, sentences = rng.choice(rng.choice(self._sets))
            n = rng.randrange(len(sentences))
            sentence = sentences[n]
            passage = sentence if rng.random() < 0.5 else " ".join(sentences[max(0, n - 1) : n + 2])
            turned = (other_number if rng.random() < 0.5 else reversed_sentence)(sentence, rng)
            kind = rng.random()
            if kind < 0.2:
                yield self._pair(rephrased(sentence, rng), passage, "entailed", name)
            elif turned and kind < 0.4:
                yield self._pair(rephrased(turned, rng), passage.replace(sentence, turned), "entailed", name)
            elif kind < 0.6:
                yield self._pair(rephrased(turned or sentence, rng), _other(sentences, n, rng), "not_mentioned", name)
            elif turned:
                # The claim or the text may be the altered one: a breach is as often in the document as in the sentence.
                claim, text = (turned, passage) if rng.random() < 0.5 else (sentence, passage.replace(sentence, turned))
                yield self._pair(rephrased(claim, rng), text, "contradicted", name)

    def _pair(self, claim: str, passage: str, label: Label, name: str) -> Example:
        return Example(claim, passage, label, SOURCE, name)


def _other(sentences: Sequence[str], n: int, rng: random.Random) -> str:
    """What does not say sentence ``n``: a neighbour, or the one of some that is most like it."""
    around = [sentences[i] for i in (n - 1, n + 1) if 0 <= i < len(sentences)]
    if rng.random() < 0.4:
        return rng.choice(around)
    own = stems(sentences[n])

    def alike(other: str) -> float:
        found = stems(other)
        return len(own & found) / max(1, min(len(own), len(found)))

    some = [(alike(other), other) for other in rng.sample(list(sentences), min(LOOKED_AT, len(sentences)))]
    return max((one for one in some if one[0] < SAME), default=(0.0, around[0]))[1]


def altered(pair: Example, rng: random.Random) -> Example | None:
    """A decided pair whose claim was turned round, with the label that it then has; None where that cannot be done.

    A changed number contradicts what was entailed, and says nothing new of what was contradicted.
    """
    if pair.label == "not_mentioned":
        return None
    if pair.label == "entailed" and rng.random() < 0.4 and (claim := other_number(pair.claim, rng)):
        return Example(claim, pair.passage, "contradicted", pair.source, pair.group)
    claim = reversed_sentence(pair.claim, rng)
    if claim is None:
        return None
    return Example(claim, pair.passage, "contradicted" if pair.label == "entailed" else "entailed", pair.source, pair.group)
