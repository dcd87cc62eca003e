"""Whether a "not" in a span turns a requirement round: it does alone, and where it is said of what is required.

"No machine is delivered without a declaration" and "is not opened until it is signed" keep what they name, and "employees who
have not signed" only says whom something else befalls. Rules of English.
"""

from __future__ import annotations

import re
from collections import Counter

from knowledge.requirements.wording import NOT_REQUIRED

_NOT = r"\b(?:not|never|cannot|no|nobody|none|nothing|neither|nor)\b|n't\b"
_TURN = re.compile(rf"(?P<nots>{_NOT})|\b(?:without|unless|until|except|other than|(?:less|fewer|later|earlier) than)\b", re.IGNORECASE)
_BOUND = re.compile(
    r"\bwithout (?:exception|(?:any |undue |unreasonable |further )?delay)\b"
    r"|\b(?:no|not|never) (?:later|more|less|fewer|longer|sooner|earlier) than\b",
    re.IGNORECASE,
)
"""Words of that kind that turn nothing round."""
_HELPS = r"(?:have|has|had|is|are|was|were|do|does|did|can|could|will|would|may|must|shall|should)"
_NAMING = re.compile(
    rf"\b(?:who|which|that)\s+(?:{_HELPS}\s+)?$"  # "employees who have not signed"
    rf"|\b(?:(?:whom|which|that)\s+(?:the|an?|its|our|their|we|they|it)|whose)\b(?:\s+[\w'’-]+){{0,5}}?\s+(?:{_HELPS}\s+)?$"
    r"|\b(?:if|unless)\b[^,;:.]*$",  # "is stopped if it does not"
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[;:]|\.\s|,\s+(?:and|but|since|because|which|who)\b")
_ORDER = re.compile(r"\b(?:before|prior to|until)\b", re.IGNORECASE)


def turned(requirement: str, clause: str) -> bool:
    """Whether the clause has an odd number of words more than the requirement that turn a sentence round: two make it what it was."""
    return (_turns(clause) - _turns(requirement)).total() % 2 == 1


def clauses(text: str) -> list[str]:
    """What stands between full stops, colons, and commas before "and", "but", "which" and the like."""
    return _CLAUSE.split(text)


def turned_twice(requirement: str, span: str) -> bool:
    """Whether the span says of something else that it never is so unless the requirement is met: "no ... without", "is not ... until",
    "there is none that is not", in one clause."""
    if NOT_REQUIRED.search(span):
        return False
    for one in clauses(span):
        more = (_turns(one) - _turns(requirement)).total()
        if not more or more % 2:
            continue
        clause = _BOUND.sub(" ", one)
        found = list(_TURN.finditer(clause))
        for number, first in enumerate(found):
            for second in found[number + 1 :]:
                under = not second["nots"] or only_names(clause[: second.start()])
                if (first["nots"] and under) or (first.start() == 0 and first[0].lower() == "without" and second["nots"]):
                    return True
    return False


def only_names(before: str) -> bool:
    """Whether a "not" after these words stands in a clause that says who or what is meant, or under which condition."""
    return _NAMING.search(before) is not None


def has_order(requirement: str) -> bool:
    """Whether a requirement says what comes first: what "not" may be said of is then either of two acts."""
    return _ORDER.search(requirement) is not None


def _turns(text: str) -> Counter[str]:
    return Counter("not" if found["nots"] else " ".join(found[0].lower().split()) for found in _TURN.finditer(_BOUND.sub(" ", text)))
