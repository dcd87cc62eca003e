"""Sentences made to say the opposite, mechanically: another number, a negated duty, the other direction.

The data sets hold few contradictions (341 in SciFact, 209 in ContractNLI); these teach what one looks like.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

OPPOSITES = (
    ("increase", "decrease"), ("increases", "decreases"), ("increased", "decreased"), ("increasing", "decreasing"),
    ("higher", "lower"), ("high", "low"), ("more", "less"), ("greater", "smaller"), ("elevated", "reduced"), ("raises", "lowers"),
    ("promotes", "inhibits"), ("promote", "inhibit"), ("induces", "prevents"), ("induce", "prevent"), ("enhances", "impairs"),
    ("enhanced", "impaired"), ("activates", "suppresses"), ("activated", "suppressed"), ("activation", "suppression"),
    ("improves", "worsens"), ("improved", "worsened"), ("upregulated", "downregulated"), ("upregulation", "downregulation"),
    ("positive", "negative"), ("positively", "negatively"), ("presence", "absence"), ("present", "absent"), ("with", "without"),
    ("beneficial", "harmful"), ("effective", "ineffective"), ("protects", "damages"), ("gain", "loss"), ("before", "after"),
    ("allowed", "forbidden"), ("permitted", "prohibited"), ("required", "not required"), ("includes", "excludes"),
    ("including", "excluding"), ("minimum", "maximum"), ("exclusive", "non-exclusive"), ("oral", "written"), ("always", "never"),
    ("sensitive", "resistant"), ("early", "late"), ("long", "short"), ("fast", "slow"), ("faster", "slower"), ("best", "worst"),
)  # fmt: skip

NUMBER_WORDS = ("two", "three", "four", "five", "six", "seven", "ten", "twelve", "thirty", "sixty", "ninety")

_OPPOSITE = {word: other for pair in OPPOSITES for word, other in (pair, pair[::-1])}
_OPPOSITE_PATTERN = re.compile(r"\b(" + "|".join(sorted(map(re.escape, _OPPOSITE), key=len, reverse=True)) + r")\b", re.IGNORECASE)
_NEGATED = re.compile(r"\b(?:(shall|must|may|will|should|is|are|was|were|could|would|do|does|did|has|have) |(can) ?)not\b", re.IGNORECASE)
_PLAIN = re.compile(r"\b(shall|must|may|will|should|is|are|was|were|can|could|would)\b(?! not|not)", re.IGNORECASE)
_FORBIDDEN = re.compile(r"\b(?:must|shall|may|will) (?:not|never)\b", re.IGNORECASE)
_DUTY = re.compile(r"\b(?:must|shall)\b(?! not| never)", re.IGNORECASE)
CONDITIONAL_BAN = re.compile(
    r"\b(?:must|shall|may|will|can) ?not\b"
    r"([^.;:]{3,120}?)\b(without|unless)\b(?! limit| prejudice)",
    re.IGNORECASE,
)
_ALLOWED = ("may", "can", "may freely", "is allowed to", "is free to")
_LEFT_OPEN = ("need not", "does not have to", "is not required to", "may, but need not,")
_WITH_OR_WITHOUT = {"without": ("with or without", "even without"), "unless": ("whether or not", "even if not")}
_NUMBER = re.compile(r"(?<![\[\w.,-])\d+(?:\.\d+)?(?![\w\]]|[.,]\d)|\b(?:" + "|".join(NUMBER_WORDS) + r")\b", re.IGNORECASE)


def reversed_sentence(text: str, rng: random.Random) -> str | None:
    """The text saying the opposite, by a negation put in or taken out, by an opposite word, or with its duty left open or its ban
    lifted; None where none of it can be done."""
    ways: list[Callable[[str, random.Random], str | None]] = [_negation, _opposite, lifted]
    rng.shuffle(ways)
    return next((changed for way in ways if (changed := way(text, rng))), None)


def other_number(text: str, rng: random.Random) -> str | None:
    """The text with one of its numbers changed; None where it has none."""
    found = list(_NUMBER.finditer(text))
    if not found:
        return None
    place = rng.choice(found)
    return text[: place.start()] + _another(place.group(), rng) + text[place.end() :]


def _another(number: str, rng: random.Random) -> str:
    if not number[0].isdigit():
        return rng.choice([word for word in NUMBER_WORDS if word != number.lower()])
    if "." in number:
        digits = len(number.split(".")[1])
        return f"{float(number) * rng.choice((0.1, 0.5, 1.7, 3)) + 10.0**-digits:.{digits}f}"
    value = int(number)
    if 1900 <= value <= 2100:
        return str(value + rng.choice((-12, -7, -3, 4, 9)))
    return str(rng.choice([v for v in (value * 2, value * 3, value + 1, value * 10, max(1, value // 2)) if v != value]))


def _negation(text: str, rng: random.Random) -> str | None:
    if found := _NEGATED.search(text):
        return text[: found.start()] + (found.group(1) or found.group(2)) + text[found.end() :]
    places = list(_PLAIN.finditer(text))
    if not places:
        return None
    place = places[0] if rng.random() < 0.7 else rng.choice(places)
    return f"{text[: place.end()]} not{text[place.end() :]}"


def lifted(text: str, rng: random.Random) -> str | None:
    """The text with what was forbidden allowed, what was a duty left open, a condition of no matter; None where it has none of them."""
    if found := CONDITIONAL_BAN.search(text):
        said = f"{rng.choice(('may', 'can'))}{found[1]}{rng.choice(_WITH_OR_WITHOUT[found[2].lower()])}"
    elif found := _FORBIDDEN.search(text):
        said = rng.choice(_ALLOWED)
    elif found := _DUTY.search(text):
        said = rng.choice(_LEFT_OPEN)
    else:
        return None
    return text[: found.start()] + said + text[found.end() :]


def _opposite(text: str, rng: random.Random) -> str | None:
    # "without" can become "with"; nearly every sentence has a "with" that means nothing.
    places = [place for place in _OPPOSITE_PATTERN.finditer(text) if place.group().lower() != "with"]
    if not places:
        return None
    place = rng.choice(places)
    other = _OPPOSITE[place.group().lower()]
    return text[: place.start()] + (other.capitalize() if place.group()[0].isupper() else other) + text[place.end() :]
