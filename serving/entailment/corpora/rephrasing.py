"""Sentences said in other words that mean the same, by rule: modal verbs, periods, numbers, and everyday synonyms.

A small network that sees a duty only in its own words learns to look for the words; policies and the documents that keep to
them seldom share them.
"""

from __future__ import annotations

import random
import re

from serving.entailment.corpora.breaches import CONDITIONAL_BAN

_WAYS: tuple[tuple[str, ...], ...] = (
    ("must not", "shall not", "may not", "must never", "will not"),
    ("must", "shall", "has to", "is required to", "will"),
    ("are prohibited from", "are not allowed to engage in"),
    ("at least", "not less than", "a minimum of", "no fewer than"),
    ("no more than", "not more than", "at most", "a maximum of", "up to"),
    ("no later than", "at the latest by"),
    ("prior to", "before", "ahead of"),
    ("in the event that", "if", "where"),
    ("promptly", "without delay", "immediately", "as soon as possible"),
    ("in accordance with", "in line with"),
    ("disclose", "reveal", "divulge"), ("disclosed", "revealed", "divulged"),
    ("provide", "supply", "give"), ("provided to", "supplied to", "given to"),
    ("retain", "keep", "hold"), ("retained", "kept", "held"),
    ("notify", "inform", "tell"), ("notified", "informed"),
    ("obtain", "get"), ("obtained", "received"),
    ("purchase", "buy"), ("terminate", "end"), ("terminated", "ended"), ("commence", "begin", "start"),
    ("written consent", "consent in writing"), ("prior written approval", "approval in writing beforehand"),
    ("third parties", "other parties", "outside parties"), ("third party", "other party", "outside party"),
    ("ensure", "make sure"), ("conduct", "carry out", "perform"), ("solely", "only", "exclusively"),
    ("return", "give back"), ("destroy", "delete"), ("copies", "duplicates"), ("utilize", "use"), ("employees", "staff"),
    ("annually", "every year", "each year", "once a year"), ("monthly", "every month", "each month"),
    ("quarterly", "every quarter", "every three months"), ("daily", "every day", "each day"),
    ("shown", "demonstrated"), ("shows", "demonstrates"), ("decreased", "fell"), ("reduces", "lowers"), ("patients", "people treated"),
)  # fmt: skip
_OTHERS = {one: tuple(other for other in ways if other != one) for ways in _WAYS for one in ways}
_PATTERN = re.compile(r"\b(" + "|".join(sorted(map(re.escape, _OTHERS), key=len, reverse=True)) + r")\b(?! not\b)", re.IGNORECASE)

_WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905 - as a list it is a page long
_PERIOD = re.compile(
    r"\b(\d{1,3}|" + "|".join(_WORDS) + r")( (?:calendar |business )?)(days?|weeks?|months?|years?|hours?)\b", re.IGNORECASE
)
_PER = {("month", "year"): 12, ("hour", "day"): 24, ("day", "week"): 7}
# "Must not disclose without consent" is "may disclose only with consent", and so for "unless".
_ONLY = {"without": "only with", "unless": "only if"}
_ONLY_WITH = re.compile(r"\b(?:may|can|must|shall)\b(?! not|not)([^.;:]{3,120}?)\bonly (with|if)\b", re.IGNORECASE)
_SMALL_WORDS = re.compile(r"\b(?:the|a|an|very|also|further|however|thus|therefore|in addition|any|such|certain)\s", re.IGNORECASE)


def rephrased(text: str, rng: random.Random, *, share: float = 0.6) -> str:
    """The text in other words; each place that can be said otherwise is, with probability ``share``."""

    def otherwise(found: re.Match[str]) -> str:
        if rng.random() > share:
            return found[0]
        other = rng.choice(_OTHERS[found[0].lower()])
        return other[0].upper() + other[1:] if found[0][0].isupper() else other

    if rng.random() < share:
        text = said_with_only(text, rng)
    text = _PATTERN.sub(otherwise, text)
    text = _PERIOD.sub(lambda found: _same_period(found) if rng.random() < share else found[0], text)
    return _SMALL_WORDS.sub(lambda found: "" if found.start() and rng.random() < share / 2 else found[0], text)


def said_with_only(text: str, rng: random.Random) -> str:
    """What may not be done without a condition as what may be done only with it, or the other way about; other texts as they are."""
    if found := CONDITIONAL_BAN.search(text):
        said = f"{rng.choice(('may', 'can'))}{found[1]}{_ONLY[found[2].lower()]}"
    elif found := _ONLY_WITH.search(text):
        said = f"{rng.choice(('must not', 'may not', 'shall not'))}{found[1]}{'without' if found[2].lower() == 'with' else 'unless'}"
    else:
        return text
    return text[: found.start()] + said + text[found.end() :]


def _same_period(found: re.Match[str]) -> str:
    """The period in another unit, or its number as a word or in digits; business days stay days."""
    number, between, unit = found[1].lower(), found[2], found[3].lower().removesuffix("s")
    value = _WORDS.index(number) if number in _WORDS else int(number)
    for (small, large), count in _PER.items():
        if not between.strip() and unit == small and value and value % count == 0:
            return _said(value // count, between, large)
        if not between.strip() and unit == large and value * count <= 48:
            return _said(value * count, between, small)
    return _said(value, between, unit, digits=number in _WORDS)


def _said(value: int, between: str, unit: str, *, digits: bool = False) -> str:
    number = _WORDS[value] if value < len(_WORDS) and not digits else str(value)
    return f"{number}{between}{unit}{'' if value == 1 else 's'}"
