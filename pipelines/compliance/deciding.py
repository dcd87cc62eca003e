"""From what the entailment model says of single spans to the verdict on a requirement, with its evidence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from knowledge.requirements.contract import Requirement
from knowledge.requirements.spans import LEAD_WORDS, Span
from pipelines.compliance.agreements import odds_of_keeping
from pipelines.compliance.calibration import Calibration
from pipelines.compliance.contract import MOST_EVIDENCE, Evidence, Probabilities, RequirementVerdict
from pipelines.compliance.differences import difference, rarity_among, repeats, shared_words
from serving.roles.entailment import ENTAILMENT_LABELS

ENTAILED, CONTRADICTED, NOT_MENTIONED = (ENTAILMENT_LABELS.index(label) for label in ("entailed", "contradicted", "not_mentioned"))
TOP = 8
"""Spans that a verdict is computed from: those that say most."""
SMALL = 0.05
"""Added to a sum before its logarithm."""
DECIDING = 0.3
"""A span among them that says at least so much of the requirement is shown as one that decided."""
CONFLICT = 0.5
"""One span entails the requirement and another contradicts it, each with at least this probability: they disagree."""
SEARCH_WEIGHT, LENGTH_WEIGHT, TYPICAL_LENGTH = 3.0, 0.3, 200
"""How much the search's score, and a span's length (characters, against a typical one), add to what the entailment model says of
it as evidence: mAP .772 without and .795 with, on 17 ContractNLI development contracts; .730 and .788 on ten others, weaker weights."""
FOUND_WEIGHT = 2.0
"""How much the search's score adds, in log-odds, to whether a span speaks of the requirement at all when its verdict is weighed. The
small model finds that many an unrelated sentence half speaks of a requirement. Chosen between 0 and 6 on ContractNLI's development
contracts: F1 of contradictions .26 without, .28 with it, pooled .53 and .55, accuracy .80 both times (three folds cut ten ways)."""
LEAD_SHARE = 0.7
"""How much of what a list's items say is put down to the sentence that introduces them."""
MAYBE = 0.3
"""The rules are asked only where the model, too, finds that a span says something of the requirement, ..."""
ABOUT = 0.7
"""... or where it has so many of the requirement's words that it must."""
CLEAR = 0.97
"""How sure it is that a span says something of a requirement that it repeats in nearly its own words."""
TOLD = 0.9
"""Of what a span says of the requirement, the share that contradicts it where a difference was found by rule."""


def told_apart(requirement: str, spans: Sequence[Span], probabilities: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Probabilities after the rules of :mod:`pipelines.compliance.differences`, and what each span changes ('' for nothing).

    Args:
        probabilities: float ``(spans, 3)``: entailed, contradicted, not mentioned.
    """
    found = np.array(probabilities, float).reshape(-1, len(ENTAILMENT_LABELS))
    said = []
    texts = [" ".join(f"{span.lead} {span.text}".split()) for span in spans]
    rarity = rarity_among(texts)
    for row, text in enumerate(texts):
        about = found[row, ENTAILED] + found[row, CONTRADICTED] >= MAYBE or shared_words(requirement, text) >= ABOUT
        change = difference(requirement, text, rarity) if about else ""
        said.append(change)
        if change:
            mentioned = max(found[row, ENTAILED] + found[row, CONTRADICTED], shared_words(requirement, text))
            found[row] = (mentioned * (1 - TOLD), mentioned * TOLD, 1 - mentioned)
        elif about and repeats(requirement, text):
            # The small model calls many a prohibition contradicted by its own words.
            mentioned = max(found[row, ENTAILED] + found[row, CONTRADICTED], CLEAR)
            found[row] = (mentioned * CLEAR, mentioned * (1 - CLEAR), 1 - mentioned)
        elif about:
            mentioned = found[row, ENTAILED] + found[row, CONTRADICTED]
            kept = found[row, ENTAILED] * odds_of_keeping(requirement, text)
            share = kept / max(kept + found[row, CONTRADICTED], 1e-12)
            found[row] = (mentioned * share, mentioned * (1 - share), 1 - mentioned)
    return found, said


def by_search(told: np.ndarray, changes: Sequence[str], search: np.ndarray) -> np.ndarray:
    """``told`` where a span that the search found better than the others says more of the requirement, and one that it hardly found
    less; for or against stay in proportion, and what was told by rule stays as it is.

    Args:
        told, changes: what :func:`told_apart` gave.
        search: float ``(spans,)``: the score, 0 to 1, with which the search found each.
    """
    if not len(told):
        return told
    mentioned = told[:, ENTAILED] + told[:, CONTRADICTED]
    clipped = np.clip(mentioned, 1e-4, 1 - 1e-4)
    odds = np.log(clipped / (1 - clipped)) + FOUND_WEIGHT * (search - search.mean())
    share = np.where([bool(change) for change in changes], 1.0, 1 / (1 + np.exp(-odds)) / np.maximum(mentioned, 1e-4))
    found = told * share[:, None]
    found[:, NOT_MENTIONED] = 1 - found[:, ENTAILED] - found[:, CONTRADICTED]
    return found


ADDRESSED_FEATURES = ("surest", "sum", "read")
SATISFIED_FEATURES = ("best entailed", "for against")


def features(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the two questions are answered from: ``(3,)`` for "addressed", ``(2,)`` for "satisfied".

    "surest" is the log-odds of the surest single word, for or against; the sums are logarithms of squares over the TOP spans
    that say most (many spans that hardly say a thing do not outweigh one that does); "read" is the logarithm of how many
    spans were read: the best of many is higher by chance.

    Args:
        probabilities: float ``(spans, 3)`` of the spans that were read for one requirement.
    """
    mentioned = probabilities[:, ENTAILED] + probabilities[:, CONTRADICTED]
    rows = np.argsort(-mentioned, kind="stable")[:TOP]
    entailed, contradicted = probabilities[rows, ENTAILED], probabilities[rows, CONTRADICTED]
    surest = _logit(float(np.maximum(entailed, contradicted).max()))
    balance = np.log(np.square(entailed).sum() + SMALL) - np.log(np.square(contradicted).sum() + SMALL)
    return (
        np.array([surest, np.log(np.square(mentioned[rows]).sum() + SMALL), np.log(len(mentioned))]),
        np.array([_logit(float(entailed.max())), balance]),
    )


def probabilities_of(calibration: Calibration, told: np.ndarray, changes: Sequence[str]) -> Probabilities:
    """Of one requirement; a document without a span that could be read does not address it.

    Args:
        told, changes: what :func:`told_apart` gave, ``told`` weighed :func:`by_search`.
    """
    found = _weighed(calibration, told)
    return max(found, _of_the_clause(calibration, told, changes), key=lambda one: one.violated) if any(changes) else found


def _weighed(calibration: Calibration, told: np.ndarray) -> Probabilities:
    if not len(told):
        return Probabilities.of("not_addressed")
    addressed, satisfied = features(told)
    said, kept = float(calibration.addressed(addressed)[0]), float(calibration.satisfied(satisfied)[0])
    return Probabilities(satisfied=said * kept, violated=said * (1 - kept), not_addressed=1 - said)


def decide(
    requirement: Requirement, spans: Sequence[Span], read: np.ndarray, search: np.ndarray, calibration: Calibration
) -> RequirementVerdict:
    """The verdict on a requirement.

    Args:
        spans: those that the entailment model has read for it.
        read: float ``(spans, 3)``: what it says of each.
        search: float ``(spans,)``: the score, 0 to 1, with which the search found each.
    """
    told, changes = told_apart(requirement.text, spans, read)
    probabilities = probabilities_of(calibration, by_search(told, changes, search), changes)
    mentioned = with_leads(spans, told[:, ENTAILED] + told[:, CONTRADICTED])
    scores = evidence_scores(spans, told, search)
    order = np.argsort(-scores, kind="stable")
    top = set(order[:TOP].tolist())
    evidence = tuple(
        Evidence(
            page=spans[row].page,
            start=spans[row].start,
            end=spans[row].end,
            text=spans[row].text,
            score=float(scores[row]),
            entailed=float(told[row, ENTAILED]),
            contradicted=float(told[row, CONTRADICTED]),
            decided=row in top and bool(mentioned[row] >= DECIDING) and probabilities.verdict != "not_addressed",
            heading=spans[row].heading,
            difference=changes[row],
        )
        for row in order[:MOST_EVIDENCE].tolist()
    )
    conflict = any(one.entailed >= CONFLICT for one in evidence) and any(one.contradicted >= CONFLICT for one in evidence)
    return RequirementVerdict(requirement, probabilities.verdict, probabilities, conflict, evidence)


def evidence_scores(spans: Sequence[Span], told: np.ndarray, search: np.ndarray) -> np.ndarray:
    """How strongly each span is evidence on the requirement, for or against, 0 to 1: what the entailment model says, how well the
    search found it (which knows more words than that small model) and length (a heading decides little), in log-odds."""
    mentioned = np.clip(told[:, ENTAILED] + told[:, CONTRADICTED], 1e-4, 1 - 1e-4)
    lengths = np.array([len(span.text) + 20 for span in spans], float)
    found = search - search.mean() if len(spans) else search
    odds = np.log(mentioned / (1 - mentioned)) + SEARCH_WEIGHT * found + LENGTH_WEIGHT * np.log(lengths / TYPICAL_LENGTH)
    return with_leads(spans, 1 / (1 + np.exp(-odds)))


def with_leads(spans: Sequence[Span], mentioned: np.ndarray) -> np.ndarray:
    """How much each span says, 0 to 1, where a sentence that introduces a list also says part of what its items say: people
    who mark evidence mark both (mAP on held-back development contracts .672 without, .687 with)."""
    found = np.array(mentioned, float)
    for row, span in enumerate(spans):
        end = " ".join(span.text.split()[-LEAD_WORDS:])
        items = [mentioned[other] for other, item in enumerate(spans) if item.lead and item.lead == end]
        if items:
            found[row] = 1 - (1 - mentioned[row]) * (1 - LEAD_SHARE * max(items))
    return found


def _of_the_clause(calibration: Calibration, told: np.ndarray, changes: Sequence[str]) -> Probabilities:
    """By the span that changes the requirement alone, unless another one keeps it to the letter (then both are weighed)."""
    rows = [row for row, change in enumerate(changes) if change]
    best = max(rows, key=lambda row: told[row, CONTRADICTED])
    rival = max((row for row in range(len(told)) if row not in rows), key=lambda row: told[row, ENTAILED], default=None)
    kept = [best] if rival is None or told[rival, ENTAILED] < told[best, CONTRADICTED] else [best, rival]
    return _weighed(calibration, told[kept])


def _logit(value: float) -> float:
    value = float(np.clip(value, 1e-3, 1 - 1e-3))
    return float(np.log(value / (1 - value)))
