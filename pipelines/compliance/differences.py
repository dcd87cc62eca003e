"""What a span changes of a requirement that it otherwise repeats: another number or period, a duty turned round or weakened.

The entailment model is small, and "within 30 days" looks to it much like "within 60 days". These are the changes that can
be told by rule, and only where the span speaks of the same thing (it shares most of the requirement's words).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from knowledge.requirements.wording import NOT_REQUIRED, modality_of, read_wording
from pipelines.compliance.conditions import drops_condition, keeps_condition
from pipelines.compliance.negations import clauses, has_order, only_names, turned
from serving.entailment.overlap import WORD, stem, stems

Rarity = Callable[[str], float]
"""How much a stem counts."""
SAME_THING = 0.3
"""Share of the requirement's content words that a span must have for its numbers to be about the same thing."""
OWN_WORDS = 0.8
"""The same for a span that repeats it."""
OWN_WORDS_AND_NUMBERS = 0.7
"""The same where each of the requirement's numbers is kept."""
COMPACT = 3.0
"""How many times as many content words as the requirement a span that repeats it may have: a long one has the same words by
chance (chosen on ContractNLI's development contracts)."""
SAME_ACT = 0.5
"""Share of the content words after the modal verbs that both have, for them to be about one act."""
SCOPE = 4
"""Content words after a "not" that it is taken to deny."""
SAME_WORDS = 0.65
"""The same for its negations: a sentence on the same subject may well say "not" for another reason."""
TELLING_WORDS = 0.7
"""The same where each word counts by how rare it is in the document (chosen on 43 of ContractNLI's development contracts: of 33
duties or bans that the rules found turned round by equal words, people had found 30 kept or not mentioned)."""

_UNITS = {
    "hour": ("time", 1 / 24), "day": ("time", 1.0), "week": ("time", 7.0), "month": ("time", 30.0), "quarter": ("time", 91.0),
    "year": ("time", 365.0), "%": ("share", 1.0), "percent": ("share", 1.0), "per cent": ("share", 1.0), "times": ("count", 1.0),
    "euro": ("money", 1.0), "eur": ("money", 1.0), "usd": ("money", 1.0), "dollar": ("money", 1.0), "gbp": ("money", 1.0),
    "pound": ("money", 1.0),
}  # fmt: skip
NUMBER_WORDS = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18,
    "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
    "hundred": 100,
}  # fmt: skip
_SMALL = frozenset("must shall will should may can not never within least most than later more less every least no".split())  # noqa: SIM905
_NUMBER = r"(?:\d[\d,]*(?:\.\d+)?|(?:" + "|".join(NUMBER_WORDS) + r")(?:[- ](?:" + "|".join(NUMBER_WORDS) + r"))?)"
_QUANTITY = re.compile(
    rf"(?P<money>EUR|USD|GBP|[€$£])\s?(?P<sum>\d[\d,]*(?:\.\d+)?)(?P<scale>\s(?:million|billion))?"
    rf"|\b(?P<number>{_NUMBER})(?:\s*\(\s*[\w -]+\s*\))?[\s-]*(?:(?:calendar|business|working|full|consecutive|banking)\s+)?"
    r"(?P<unit>hour|day|week|month|quarter|year|%|percent|per cent|times|euro|eur|usd|dollar|gbp|pound)s?(?![a-z])",
    re.IGNORECASE,
)
_INTERVAL_WORDS = {
    "daily": 1.0, "weekly": 7.0, "fortnightly": 14.0, "monthly": 30.0, "quarterly": 91.0, "(?:half-yearly|semi-?annual(?:ly)?)": 182.0,
    "(?<!-)annual(?:ly)?": 365.0, "(?<!-)yearly": 365.0, "biennially": 730.0, "(?:every|each) (?:working |business )?day": 1.0,
    "(?:every|each) week": 7.0, "(?:every|each) month": 30.0, "(?:every|each) quarter": 91.0, "(?:every|each) (?:calendar )?year": 365.0,
}  # fmt: skip
_DEADLINE_WORDS = {
    "(?:same|very) (?:working |business |calendar )?day": 1.0,
    "(?:next|following) (?:working |business |calendar )?day": 2.0,
}
_OFTEN = re.compile(
    r"\b(?P<count>once|twice|(?:\d+|" + "|".join(NUMBER_WORDS) + r") times) (?:a|per|each|every|in each|in every) (?:calendar )?"
    r"(?P<unit>day|week|month|quarter|year)\b",
    re.IGNORECASE,
)
_AT_MOST = re.compile(
    r"\b(?:within|no later than|not later than|at most|at the latest|not exceed\w*|"
    r"no more than|not more than|no longer than|up to|maximum|less than|every|under)\b\W*(?:\w+\W+){0,2}$",
    re.IGNORECASE,
)
_AT_LEAST = re.compile(
    r"\b(?:at least|no less than|not less than|no fewer than|minimum(?: of)?)\b\W*(?:\w+\W+){0,2}$",
    re.IGNORECASE,
)
_INTERVAL = re.compile(r"\bevery\W*(?:\w+\W+)?$", re.IGNORECASE)
"""\"At least every 12 months\" is no longer than 12 months apart."""
_THRESHOLD = re.compile(r"\b(?:above|over|more than|exceed\w*|in excess of)\b\W*(?:\w+\W+){0,2}$", re.IGNORECASE)
_FORBIDDEN_ABOVE = re.compile(r"\b(?:above|over|more than|exceed\w*|in excess of)\b", re.IGNORECASE)
_UP_TO = re.compile(r"\b(?:up to|no more than|not more than|at most|a maximum of)\b", re.IGNORECASE)
_KEEP = re.compile(r"\b(?:keep|kept|retain\w*|stor\w+|preserv\w+|archiv\w+|maintain\w*)\b", re.IGNORECASE)
_NOT = re.compile(r"\b(?:not|never|cannot|no longer|neither|nor|without)\b|n't\b", re.IGNORECASE)
_CONDITIONAL = re.compile(r"\b(?:only|unless|without|except|before|until|other than)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Quantity:
    """A number with a unit: days, percent, money or times.

    Attributes:
        bound: most, least, or exactly what the text says.
        again: the days from one time to the next ("every quarter"), not until something is done.
    """

    value: float
    kind: str
    bound: str
    text: str
    again: bool = False


def shared_words(requirement: str, span: str, rarity: Rarity | None = None) -> float:
    """Share of the requirement's content words that the span has too, 0 to 1: its numbers, units and modal verbs aside, which
    are what may differ.

    Args:
        rarity: how much each word counts; by default all count alike.
    """
    wanted, there = content(requirement), stems(span)
    if rarity is None:
        return len(wanted & there) / max(1, len(wanted))
    return sum(map(rarity, wanted & there)) / max(1e-9, sum(map(rarity, wanted)))


def rarity_among(spans: Sequence[str]) -> Rarity:
    """How much a stem tells one of these spans from the others: its inverse document frequency among them. The words that every
    clause of a contract has ("party", "information") are shared with any requirement, and say little of what a clause is about."""
    found = Counter(one for span in spans for one in stems(span))
    return lambda one: math.log(1 + len(spans) / max(1, found[one]))


def content(text: str) -> set[str]:
    """Content words, stemmed, without those that may differ."""
    return set(words(text))


def words(text: str) -> list[str]:
    """The same in their order, as often as they come."""
    return [found for word in WORD.findall(text) if (found := stem(word)) and not _may_differ(word)]


def difference(requirement: str, span: str, rarity: Rarity | None = None) -> str:
    """The change that the span makes to the requirement, for a person; empty where none can be told.

    A stricter number ("within 24 hours" where 72 are allowed) is no difference.

    Args:
        rarity: of words among the spans of the same document (:func:`rarity_among`), where they are known.
    """
    shared = shared_words(requirement, span)
    if shared < SAME_THING:
        return ""
    if drops_condition(requirement, span, content):
        return "allowed without the condition"
    if change := _number(requirement, span):
        return change
    telling = rarity is None or shared_words(requirement, span, rarity) >= TELLING_WORDS
    return (_duty(requirement, span) if telling and shared >= SAME_WORDS else "") or _denied(requirement, span, own_verb=not telling)


def repeats(requirement: str, span: str) -> bool:
    """Whether the span says the requirement in nearly its own words and few others, negated as often or as the condition of a
    leave, with nothing changed; of a requirement with numbers fewer words will do where each number is kept."""
    if keeps_condition(requirement, span, content):
        return not difference(requirement, span)
    if len(words(span)) > COMPACT * len(words(requirement)):
        return False
    shared = shared_words(requirement, span)
    kept = keeps_numbers(requirement, span)
    negated = [bool(_NOT.search(text)) for text in (requirement, span)]
    # "Must not be taken above 100" and "may be taken up to 75" are negated once between them, and agree.
    same = negated[0] == negated[1] or (kept and negated[0] and _FORBIDDEN_ABOVE.search(requirement) and _UP_TO.search(span))
    return bool(same) and shared >= (OWN_WORDS_AND_NUMBERS if kept else OWN_WORDS) and not difference(requirement, span)


def keeps_numbers(requirement: str, span: str) -> bool:
    """Whether the requirement has numbers, and the span one as strict for each."""
    asked, said, shared = quantities(requirement), quantities(span), shared_words(requirement, span)
    return bool(asked) and all(
        any(keeps_quantity(wanted, one, requirement) for one in said if comparable(wanted, one, shared)) for wanted in asked
    )


def comparable(wanted: Quantity, said: Quantity, shared: float) -> bool:
    """Whether two quantities measure the same. How often something else is done is no deadline: "within 30 days" is not broken by a
    report of every quarter, unless it is on the same matter, which the ``shared`` words show."""
    return said.kind == wanted.kind and (said.again == wanted.again or shared >= SAME_WORDS)


def quantities(text: str) -> list[Quantity]:
    """The numbers with units in a text."""
    found: list[Quantity] = []
    for match in _OFTEN.finditer(text):
        count = {"once": 1.0, "twice": 2.0}.get(match["count"].lower()) or _value(match["count"].split()[0])
        found.append(Quantity(_UNITS[match["unit"].lower()][1] / max(1.0, count), "time", "most", match[0], again=True))
    text = _OFTEN.sub(" ", text)  # "once every year" says one period, not two
    for match in _QUANTITY.finditer(text):
        before, after = text[max(0, match.start() - 40) : match.start()], text[match.end() : match.end() + 12]
        again = bool(_INTERVAL.search(before))
        least = bool(_AT_LEAST.search(before)) and not again
        # A threshold ("above EUR 100", "25 percent or more") sets off a duty or a ban: a lower one is the stricter.
        most = bool(_AT_MOST.search(before) or _THRESHOLD.search(before) or after.strip().lower().startswith("or more"))
        bound = "least" if least else "most" if most else "exact"
        if match["money"]:
            scale = {"million": 1e6, "billion": 1e9}.get((match["scale"] or "").strip().lower(), 1.0)
            found.append(Quantity(float(match["sum"].replace(",", "")) * scale, "money", bound, match[0]))
            continue
        kind, factor = _UNITS[match["unit"].lower()]
        found.append(Quantity(_value(match["number"]) * factor, kind, bound, match[0], again and kind == "time"))
    for word, days in (_INTERVAL_WORDS | _DEADLINE_WORDS).items():
        if said := re.search(rf"\b{word}\b", text, re.IGNORECASE):
            found.append(Quantity(days, "time", "most", said[0], again=word in _INTERVAL_WORDS))
    return found


def _number(requirement: str, span: str) -> str:
    there, asked, shared = quantities(span), quantities(requirement), shared_words(requirement, span)
    for wanted in asked:
        same = [one for one in there if comparable(wanted, one, shared)]
        if len(same) < sum(comparable(wanted, one, shared) for one in asked):
            continue  # it speaks of a part of the requirement, and which part cannot be told
        if any(keeps_quantity(wanted, one, requirement) for one in same):
            continue
        return f"{same[0].text.strip()}, not {wanted.text.strip()}"
    return ""


def keeps_quantity(wanted: Quantity, said: Quantity, requirement: str) -> bool:
    """Whether what is said is as strict as what the requirement wants, or stricter."""
    if abs(wanted.value - said.value) <= 0.02 * max(wanted.value, said.value):
        return True
    if wanted.bound == "most":
        return said.value < wanted.value
    if wanted.bound == "least" or (wanted.bound == "exact" and wanted.kind == "time" and _KEEP.search(requirement)):
        return said.value > wanted.value
    return False


def _duty(requirement: str, span: str) -> str:
    """A duty that is denied or left open, or a prohibition that is lifted."""
    wanted, said = modality_of(requirement), modality_of(span)
    if wanted is None or said is None or wanted == "permission":
        return ""
    if NOT_REQUIRED.search(span) and not NOT_REQUIRED.search(requirement):
        return "the duty is lifted"
    if not _same_act(requirement, span):
        return ""
    negated = bool(_NOT.search(span)) != bool(_NOT.search(requirement))
    if wanted == "obligation" and said == "prohibition" and negated:
        alone = any(_NOT.search(one) and turned(requirement, one) for one in clauses(span))
        return "the duty is negated" if alone else ""
    # What is forbidden only above a number or under a condition may well be allowed below or otherwise.
    bounded = bool(quantities(requirement)) or _CONDITIONAL.search(requirement) or _CONDITIONAL.search(span)
    if wanted == "prohibition" and said in ("obligation", "permission") and negated and not bounded:
        return "the prohibition is lifted"
    if wanted == "obligation" and said == "permission":
        return "the duty is only allowed"
    return ""


def _same_act(requirement: str, span: str) -> bool:
    """Whether what the span's modal verb governs is what the requirement's does: most of the shorter one's content words."""
    acts = []
    for text in (requirement, span):
        wording = read_wording(text)
        acts.append(content(wording.action) if wording else set())
    return len(acts[0] & acts[1]) >= SAME_ACT * max(1, min(map(len, acts)))


def _denied(requirement: str, span: str, *, own_verb: bool) -> str:
    """A span that says "not" of the very things that an obligation asks for: most of the words after it are the requirement's.

    Where the requirement says "not" itself ("what is no longer needed must be erased") or what comes first ("before it is
    opened"), only of the duty's own verb; so always with ``own_verb``.
    """
    wording = read_wording(requirement)
    if wording is None or wording.modality != "obligation":
        return ""
    wanted = content(requirement)
    own = next(iter(words(wording.action)), "")
    for clause, match in ((one, match) for one in clauses(span) if turned(requirement, one) for match in _NOT.finditer(one)):
        after = words(clause[match.end() :])[:SCOPE]
        of_either = _NOT.search(requirement) or (has_order(requirement) and match[0].lower() != "without")
        verb = own if own_verb or of_either else ""
        if not after or (verb and after[0] != verb) or only_names(clause[: match.start()]):
            continue
        if (verb or len(after) >= 2) and after[0] in wanted and sum(word in wanted for word in after) >= 0.6 * len(after):
            return "the duty is denied"
    return ""


def _value(number: str) -> float:
    if number[0].isdigit():
        return float(number.replace(",", ""))
    return float(sum(NUMBER_WORDS[part] for part in re.split(r"[- ]", number.lower()) if part in NUMBER_WORDS))


def _may_differ(word: str) -> bool:
    lower = word.lower()
    return word[0].isdigit() or lower in NUMBER_WORDS or lower.rstrip("s") in _UNITS or lower in _SMALL
