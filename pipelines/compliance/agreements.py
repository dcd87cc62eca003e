"""Signs that a span keeps a requirement which it does not repeat: each of its numbers is kept, the very act that it forbids is denied,
or nothing is allowed to go another way than it wants; and one that it breaks it: something is allowed on a matter that it forbids.

They do not decide, since the rest of the sentence may still break it; they are weighed with what the entailment model says, as odds.
"""

from __future__ import annotations

import re

from knowledge.requirements.wording import read_wording
from pipelines.compliance.differences import SAME_THING, content, keeps_numbers, shared_words, words
from pipelines.compliance.negations import turned_twice

KEPT_NUMBERS = 7.0
"""How much likelier a span is to keep a requirement than to break it where it keeps each of its numbers: 101 to 14 of the sentences
written beside rules, of which as many keep theirs as break it (``python -m tests.benchmarks.compliance_agreements``)."""
DENIED_ACT = 25.0
"""The same where a ban's own verb is denied: 102 to 4."""
TURNED_TWICE = 40.0
"""The same where a duty's span is turned round twice ("no machine is delivered without ..."): 94 to 0, taken for less,
since so few cannot show more."""
PERMITTED = 20.0
"""How much likelier a span is to break a ban than to keep it where it allows something without an exception: 176 to 4, taken for less,
since whoever writes down how a ban is broken says "may" more often than a procedure does."""
TOUCHES = 0.2
"""Share of a ban's words that such a span must have, at the least."""
SCOPE = 6
"""Content words after a "not" or "no" that it may deny."""
SAME = 0.5
"""Share of a ban's content words, and of those of what it forbids, that the span must have for both to be about the same act."""
_DENIAL = re.compile(r"\b(?:not|never|cannot|no|nobody|none|nothing|neither|nor|nowhere|no one)\b|n't\b", re.IGNORECASE)
_TURNED = re.compile(
    r"\b(?:unless|without|except|until|other than|only|although|though|even|whether|but|however|regardless"
    r"|not (?:required|obliged|prevent\w*)|need not|no (?:longer|matter|reason|need)"
    r"|nothing \w+(?: \w+)? (?:prevents?|prohibits?|limits?))\b",
    re.IGNORECASE,
)
"""What makes a "not" deny something else than the act."""
_PERMISSION = re.compile(
    r"\b(?:may|can|could|allowed|permitted|free to|entitled|authori[sz]ed|at liberty|welcome to|leave to|(?:is|are) fine|acceptable"
    r"|tolerated)\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[;,.:]")


def odds_of_keeping(requirement: str, span: str) -> float:
    """By how much the odds that the span keeps the requirement, against breaking it, are to be multiplied; 1 without a sign."""
    numbers = KEPT_NUMBERS if keeps_its_numbers(requirement, span) else 1.0
    denied = DENIED_ACT if denies_the_act(requirement, span) else 1.0
    permitted = PERMITTED if permits_something(requirement, span) else 1.0
    return numbers * denied / permitted * (TURNED_TWICE if allows_nothing_else(requirement, span) else 1.0)


def allows_nothing_else(requirement: str, span: str) -> bool:
    """Whether the span, on the same matter as a duty, lets something happen in no other way than the duty wants."""
    wording = read_wording(requirement)
    duty = wording is not None and wording.modality == "obligation"
    return duty and shared_words(requirement, span) >= SAME and turned_twice(requirement, span)


def keeps_its_numbers(requirement: str, span: str) -> bool:
    """Whether each of the requirement's numbers is kept by a span that is about the same thing, as near as one would have to be for
    another number to be a breach (of none, that and .5, the one with which the bundled good sample has no false alarm)."""
    return shared_words(requirement, span) >= SAME_THING and keeps_numbers(requirement, span)


def denies_the_act(requirement: str, span: str) -> bool:
    """Whether the span says "not" or "no" of the verb of what the requirement forbids, in a sentence without a condition: of "must not
    be copied", "are never copied" does, and "no copy is made" does not."""
    wording = read_wording(requirement)
    act = words(wording.action) if wording and wording.modality == "prohibition" else []
    if not act or _TURNED.search(span) or shared_words(requirement, span) < SAME:
        return False
    if len(set(act) & content(span)) < SAME * len(set(act)):
        return False
    return any(act[0] in words(_CLAUSE.split(span[found.end() :])[0])[:SCOPE] for found in _DENIAL.finditer(span))


def permits_something(requirement: str, span: str) -> bool:
    """Whether the span touches on the matter of a ban and allows something, without a "not", an "only" or an exception.

    "Can" and "could" count, though they often only say that something is possible: 56 to 2 by themselves.
    """
    wording = read_wording(requirement)
    if wording is None or wording.modality != "prohibition" or shared_words(requirement, span) < TOUCHES:
        return False
    return bool(_PERMISSION.search(span)) and not _DENIAL.search(span) and not _TURNED.search(span)
