"""What is forbidden under a condition ("not without consent", "not unless a contract is signed"), and a span that keeps or drops it.

"Only with consent" says the same as "not without consent" in words that are the other way about, and the small entailment model
takes the one for the opposite of the other. What is allowed with no word of the condition is what was forbidden.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from knowledge.requirements.wording import modality_of

_CONDITION = re.compile(r"\b(?:without|unless|until|before|except (?:with|where|if|when|after))\b", re.IGNORECASE)
_ONLY_UNDER = re.compile(
    r"\bonly (?:with|if|where|when|after|once|upon|in|for|to)\b"
    r"|\b(?:not|never|no|nor|cannot)\b[^.;]*\b(?:without|unless|until|before|prior to)\b",
    re.IGNORECASE,
)
_BEFORE = re.compile(r"\b(?:before|prior to)\b", re.IGNORECASE)
_ANYHOW = re.compile(r"\b(?:even (?:if|where|when|without)|regardless|irrespective|whether or not|with or without)\b", re.IGNORECASE)
_NOT = re.compile(r"\b(?:not|never|cannot|no|nor|neither)\b|n't\b", re.IGNORECASE)
_UNDER_SOME = re.compile(
    r"\b(?:only|if|where|when|unless|provided|subject to|after|before|prior to|once|until|upon|except|as long as)\b", re.IGNORECASE
)
_WITHOUT = re.compile(r"\bwithout\b", re.IGNORECASE)
ALL_OF_IT = 0.8
"""Share of the requirement's content words that a span has which states the condition anew."""
THE_ACT = 0.65
"""Share of the forbidden act's content words that a span has which allows it."""

Words = Callable[[str], set[str]]
"""The content words of a text, stemmed."""


def forbidden_act(requirement: str) -> tuple[str, str] | None:
    """What a requirement forbids, and the words of the condition that would allow it; None where it forbids nothing so."""
    if modality_of(requirement) != "prohibition":
        return None
    negated = _NOT.search(requirement)
    cue = _CONDITION.search(requirement, negated.end()) if negated else None
    return (requirement[negated.end() : cue.start()], requirement[cue.end() :]) if negated and cue else None


def keeps_condition(requirement: str, span: str, words: Words) -> bool:
    """Whether the span allows what is forbidden under the same condition only: nearly all of the requirement's words, and a word
    that makes it a condition."""
    found = forbidden_act(requirement)
    if found is None or _ANYHOW.search(span):
        return False
    wanted = words(_CONDITION.sub(" ", requirement))
    if len(wanted & words(span)) < ALL_OF_IT * max(1, len(wanted)):
        return False
    return bool(_ONLY_UNDER.search(span)) or _comes_first(words(found[1]) - words(found[0]), span, words)


def _comes_first(condition: set[str], span: str, words: Words) -> bool:
    """Whether the condition is what happens before: "the form is signed before it leaves", not "it leaves before ..."."""
    cue = _BEFORE.search(span)
    return cue is not None and len(condition & words(span[: cue.start()])) > len(condition & words(span[cue.end() :]))


def drops_condition(requirement: str, span: str, words: Words) -> bool:
    """Whether the span allows the forbidden act with no condition at all, or expressly without the one that is asked for."""
    found = forbidden_act(requirement)
    if found is None or modality_of(span) != "permission":
        return False
    act, condition = (words(part) for part in found)
    condition -= words(requirement[: -len(found[1])])
    if not act or len(act & words(span)) < THE_ACT * len(act):
        return False
    if _ANYHOW.search(span):
        return True
    if without := _WITHOUT.search(span):
        return not _NOT.search(span[: without.start()]) and bool(condition & words(span[without.end() :]))
    return not _NOT.search(span) and not _UNDER_SOME.search(span) and not condition & words(span)
