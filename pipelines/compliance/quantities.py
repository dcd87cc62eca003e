"""Quantities in a sentence, and whether those of a passage keep the limits that a requirement sets.

Number words are read by ``text2num``, units by ``pint``. What cannot be compared is said to be so: nothing is decided here, the answer is
one of the inputs of :mod:`pipelines.compliance.combiner`.
"""

from __future__ import annotations

import calendar
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from serving.entailment.overlap import stem

Bound = Literal["least", "most", "exact"]
Agreement = Literal["none", "kept", "broken", "unknown"]
TOLERANCE = 0.005
"""Relative difference up to which two values are the same (a month has 30.4 days)."""
ROUNDED = 0.02
"""The same for periods in different units (a year and 12 months, a month and 30 days)."""

_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
_EACH = {"hourly": "hour", "daily": "day", "nightly": "day", "weekly": "week", "fortnightly": "fortnight", "monthly": "month",
         "annually": "year", "yearly": "year"}  # fmt: skip
_CURRENCIES = {
    name: code
    for code, names in {"eur": "€ eur euro euros", "usd": "$ usd dollar dollars", "gbp": "£ gbp pound pounds", "chf": "chf francs"}.items()
    for name in names.split()
}
_POWERS = {"k": 1e3, "thousand": 1e3, "million": 1e6, "m": 1e6, "mn": 1e6, "billion": 1e9, "bn": 1e9}
_FRACTIONS = {
    "half": 0.5,
    "third": 1 / 3,
    "3rd": 1 / 3,
    "thirds": 1 / 3,
    "quarter": 0.25,
    "quarters": 0.25,
    "fifth": 0.2,
    "5th": 0.2,
    "tenth": 0.1,
}
_NO_UNITS = frozenset(
    re.findall(
        r"\w+",
        "a am as at bar are in or pa me point points quarter us mil pin hand line link pole rod chain turn count counts cycle beat beats"
        " cup cups drop sheet sheets bag barn atom particle particles pixel stick firm board scruple t c e k g d b s u n x y z",
    )
)
"""Words of English (and single letters that are more often something else) that pint takes for units."""
_KNOWN = frozenset(
    ("[time]", "[length]", "[mass]", "[length] ** 3", "[length] ** 2", "[temperature]", "[length] / [time]", "[length] ** 2 / [time] ** 2",
     "[mass] / [length] ** 3", "[mass] / [length] / [time] ** 2", "[mass] * [length] ** 2 / [time] ** 3", "[luminosity] / [length] ** 2",
     "[mass] * [length] ** 2 / [time] ** 2", "[current]", "1 / [time]", "[length] ** 3 / [time]",
     "[mass] * [length] ** 2 / [current] / [time] ** 3")
)  # fmt: skip
_NUMBER = re.compile(
    r"(?<![\w.,/:-])(?P<before>[€$£¥]|\b(?:EUR|USD|GBP|CHF)\b)?\s?(?P<number>\d+(?:[.,' ]\d{3})+(?:\.\d+)?(?!\d)|\d+(?:[.,]\d+)?)"
    r"(?:st|nd|rd|th)?(?:[ -]?(?P<power>k(?=\s?[€$£¥])|thousand|million|mn|bn|billion)\b|k(?=[€$£¥]))?"
    r"(?:\s?(?P<unit>%|‰|[€$£¥]|°\s?[CF]|[A-Za-zµμ]+(?:/[A-Za-z]+)?[²³]?))?(?:[ -](?P<next>[A-Za-z]+))?"
)
_ONE = re.compile(
    r"\b(?:a|an|one|every|each|per) (?=(?:single |full |calendar |working |business )?(minute|hour|day|week|fortnight|month|year)\b)", re.I
)
_QUARTERLY = re.compile(r"\b(?:quarterly|(?:every|each|per|a) quarter(?! of))\b", re.I)
_DATE = re.compile(rf"\b(?:(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? ({'|'.join(_MONTHS)})|({'|'.join(_MONTHS)}) (\d{{1,2}})(?!\d))\b", re.I)
_CLOCK = re.compile(r"\b(\d{1,2})(?:[:.](\d{2}))?\s?(a\.?m\b|p\.?m\b|o'clock|hrs\b)|\b(\d{1,2}):(\d{2})\b", re.I)
_VERSION = re.compile(r"\b(?!EUR|USD|GBP|CHF)([A-Z][A-Za-z]*[A-Z]|[Vv]ersion|[Ll]evel|[Cc]lass|[Tt]ype)[ -]?(\d+(?:\.\d+)*)(?::(\d+))?\b")
_RANGE = re.compile(r"\b(?:between|from) (\d+(?:\.\d+)?)(?: ?[%°A-Za-z]+)? (?:and|to) (?=(\d))", re.I)
_SHARE = re.compile(r"\b(?:(a|one|two|three|1|2|3)[ -])?(half|thirds?|3rd|quarters?|fifth|5th|tenth) of\b", re.I)
_ONE_IN = re.compile(r"\b(?:one|1)(?: \w+)? (?:in|out of) (?:every )?(\d+)\b", re.I)

_MOST = re.compile(
    r"\b(?:at (?:the )?most|(?:no|not) (?:be )?(?:more|longer|later|larger|higher|greater|faster|bigger|over|above)(?: than)?"
    r"|(?:not|never) exceed\w*(?: \w+)?|maximum|max\.?|up to|within|under|below"
    r"|(?:less|fewer|lower|shorter|sooner|smaller|younger|earlier|closer) than|before|by"
    r"|not after|limited to|capped at|until|every|each|in|inside|cap of|limit of|ceiling of"
    r"|no later than)\W*(?:(?:of|the|a|an|about|first|another)\W+)*$",
    re.I,
)
_LEAST = re.compile(
    r"\b(?:at least|(?:no|not|never) (?:be )?(?:less|fewer|lower|earlier|sooner|smaller|shorter|under|below|before)(?: than)?"
    r"|minimum|min\.?|over|above|exceed(?:s|ing)?"
    r"|(?:more|(?!few|low|short|soon|small|young|earli|clos)\w+er) than|for|from|after"
    r"|not fall below)\W*(?:(?:of|the|a|an|about|full|another)\W+)*$",
    re.I,
)
_MORE_AFTER = re.compile(r"^\W*(?:\w+\W+){0,3}?(?:or|and) (?:more|later|newer|higher|above|older|longer|over|greater|upwards?)\b", re.I)
_LESS_AFTER = re.compile(
    r"^\W*(?:\w+\W+){0,3}?(?:(?:or|and) (?:less|fewer|lower|below|younger|earlier|under|sooner)|at (?:the )?(?:most|latest)|maximum)\b",
    re.I,
)
_AHEAD = re.compile(r"\W*(?:before|in advance|beforehand|prior|ahead|(?:of )?notice)\b", re.I)
"""Behind a period: how long before something it is at the least."""
_MODAL = re.compile(r"\b(?:must|shall|may|should|is|are|has to|have to|need to|needs)\b", re.I)
_FORBIDS = re.compile(
    r"\b(?:(?:must|may|shall|should|can|is|are) (?:not|never)|cannot|never|nobody|no one|mustn't"
    r"|no (?:\w+ ){1,4}(?:may|must|shall|can|is|are|should))\b",
    re.I,
)
_COMPARED = re.compile(
    r"(?:more|less|\w+er) than"
    r"|exceed|under|below|over|above|before|after",
    re.I,
)
"""Words whose sense a prohibition turns round ("must not be under 18"), as it does not that of "at least"."""
_NEGATED = re.compile(r"\b(?:no|not|never)\b", re.I)
_TWO = re.compile(r"\btwo\b", re.I)
_POWER = re.compile(r"(?<![\d.,])(\d+(?:\.\d+)?) (thousand|million|billion)\b", re.I)
_AND_A_HALF = re.compile(r"\b(\d+|one) and a half\b", re.I)


@dataclass(frozen=True)
class Quantity:
    """A number with what it measures.

    Attributes:
        value: in base units (seconds, metres, bits, a share of 1 ...).
        of: the dimension, the currency, the stem of what is counted, or the name whose version it is.
        bound: what the sentence says of it: at least, at most, or neither.
        rounded: its unit has no exact length (months, years).
        text: the words, numbers as digits.
    """

    value: float
    of: str
    bound: Bound
    rounded: bool = False
    text: str = ""


def agreement(requirement: str, passage: str) -> Agreement:
    """Whether a passage's quantities keep the requirement's limits.

    ``none``: the requirement has no quantity; ``unknown``: the passage has none of the same kind.
    """
    if not quantities(requirement):
        return "none"
    compared = list(_compared(requirement, passage))
    if not compared:
        return "unknown"
    return "broken" if any(_broken(limit, said) for limit, said in compared) else "kept"


def difference(requirement: str, passage: str) -> str:
    """The first quantity that does not keep its limit, in words ("10 days, not 24 hours"); empty where there is none."""
    for limit, said in _compared(requirement, passage):
        if _broken(limit, said):
            return f"{said[0].text}, not {limit.text}"
    return ""


def _compared(requirement: str, passage: str) -> Iterator[tuple[Quantity, list[Quantity]]]:
    """Each of the requirement's limits with the passage's quantities of its kind, where there are any."""
    said = quantities(passage)
    for limit in quantities(requirement):
        same = [one for one in said if one.of == limit.of]
        if same and (_comparable(limit) or not _broken(limit, same)):
            yield limit, same


def _broken(limit: Quantity, said: list[Quantity]) -> bool:
    return not any(keeps(limit, one) for one in said)


def _comparable(limit: Quantity) -> bool:
    """Whether another value breaks it: more than asked for is no breach where nobody said that it is at least or at most so much."""
    return limit.bound != "exact" or limit.of in ("date", "clock") or limit.of.startswith("version")


def keeps(limit: Quantity, said: Quantity) -> bool:
    """Whether ``said`` keeps a requirement's ``limit`` of the same kind."""
    tolerance = 0.0 if limit.of.startswith("version") else ROUNDED if said.rounded or limit.rounded else TOLERANCE
    near = abs(said.value - limit.value) <= max(abs(limit.value), abs(said.value)) * tolerance
    if near or limit.bound == "exact":
        return near
    return said.value > limit.value if limit.bound == "least" else said.value < limit.value


@functools.lru_cache(maxsize=8192)
def quantities(text: str) -> tuple[Quantity, ...]:
    """The quantities of a sentence or passage, in no particular order."""
    from text_to_num import alpha2digit

    plain = _POWER.sub(lambda found: f"{float(found[1]) * _POWERS[found[2].lower()]:.0f}", " ".join(text.split()))
    plain = _TWO.sub("2", alpha2digit(plain, "en"))
    plain = _AND_A_HALF.sub(lambda found: f"{found[1].lower().replace('one', '1')}.5", plain)
    taken: list[tuple[int, int]] = []
    found = []
    for start, end, value, of, rounded in _found(plain):
        if all(end <= a or start >= b for a, b in taken):
            taken.append((start, end))
            found.append(Quantity(value, of, _bound(plain, start, end, of), rounded, plain[start:end].strip()))
    return tuple(found)


def _found(text: str) -> Iterator[tuple[int, int, float, str, bool]]:
    """Start, end, value, kind, and whether the unit is rounded; the surest readings first."""
    for match in _DATE.finditer(text):
        day, month = (match[1], match[2]) if match[1] else (match[4], match[3])
        yield match.start(), match.end(), 31 * _MONTHS[month.lower()] + int(day), "date", False
    for match in _CLOCK.finditer(text):
        hour, minute = int(match[1] or match[4]), int(match[2] or match[5] or 0)
        afternoon = (match[3] or "").lower().startswith("p") and hour < 12
        yield match.start(), match.end(), hour + 12 * afternoon + minute / 60, "clock", False
    for match in _VERSION.finditer(text):
        major, _, rest = match[2].partition(".")
        value = float(f"{major}.{rest.replace('.', '')}" if rest else major)
        yield match.start(), match.end(), float(match[3]) if match[3] else value, f"version {match[1].lower()}", False
    for match in _ONE_IN.finditer(text):
        yield match.start(), match.end(), 1 / max(1, int(match[1])), "share", False
    for match in _SHARE.finditer(text):
        count = {"two": 2, "2": 2, "three": 3, "3": 3}.get((match[1] or "").lower(), 1)
        following = re.match(r"\s*(?:a|an|the|one)?\s*(\w+)", text[match.end() :])
        unit = _unit(following[1]) if following else None
        share = count * _FRACTIONS[match[2].lower()]
        if unit and unit[1] == "[time]":
            yield match.start(), match.end() + following.end(), share * unit[0], unit[1], unit[2]  # type: ignore[union-attr]
        else:
            yield match.start(), match.end(), share, "share", False
    for match in _RANGE.finditer(text):
        unit = _NUMBER.match(text, match.start(2))
        if unit is not None:
            _, end, factor, of, rounded = _measured(unit)
            size = factor / _number(unit["number"], False)
            yield match.start(), match.end(1), _number(match[1], False) * size, of, rounded
            yield match.start(2), end, factor, of, rounded
    for match in _NUMBER.finditer(text):
        yield _measured(match)
    for match in _ONE.finditer(text):
        factor, of, rounded = _unit(match[1]) or (1.0, "", False)
        yield match.start(), match.end() + len(match[1]), factor, of, rounded
    for match in _QUARTERLY.finditer(text):
        yield match.start(), match.end(), 7_889_400.0, "[time]", True
    for match in re.finditer(r"\b(?:" + "|".join(_EACH) + r")\b", text, re.I):
        factor, of, rounded = _unit(_EACH[match[0].lower()]) or (1.0, "", False)
        yield match.start(), match.end(), factor, of, rounded


def _measured(match: re.Match[str]) -> tuple[int, int, float, str, bool]:
    before, unit, following = (match["before"] or "").lower(), match["unit"] or "", match["next"] or ""
    power = match["power"] or ("k" if re.search(r"\dk[€$£¥]", match[0]) else "")
    end, whole = match.end("unit") if unit else match.end("power") if match["power"] else match.end("number"), match.end()
    currency = _CURRENCIES.get(before) or _CURRENCIES.get(unit.lower())
    value = _number(match["number"], bool(currency)) * _POWERS.get(power.lower(), 1.0)
    if currency:
        return match.start(), end, value, currency, False
    if unit in ("%", "‰"):
        return match.start(), end, value / (100 if unit == "%" else 1000), "share", False
    if unit.lower() in ("percent", "per") and (unit.lower() == "percent" or following.lower() == "cent"):
        return match.start(), whole, value / 100, "share", False
    if unit.lower() == "basis" and following.lower() == "points":
        return match.start(), whole, value / 10_000, "share", False
    if unit.lower() in ("square", "cubic") and (known := _unit(following)) and known[1] == "[length]":
        power = 2 if unit.lower() == "square" else 3
        return match.start(), whole, value * known[0] ** power, f"[length] ** {power}", False
    for word, last in ((unit.replace(" ", ""), end), (following, whole)):
        if known := _unit(word):
            factor, of, rounded = known
            return match.start(), last, value * factor, of, rounded
    counted, last = next(((kept, last) for word, last in ((unit, end), (following, whole)) if (kept := stem(word))), ("", end))
    return match.start(), last, value, f"count {counted}", False


def _number(text: str, money: bool) -> float:
    """ "1,000" and "1 000" are thousand; "2.5" and "2,5" two and a half; "5.000" five thousand where it is money."""
    plain = text.replace("'", "").replace(" ", "")
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", plain):
        return float(plain.replace(",", ""))
    if money and re.fullmatch(r"\d{1,3}(?:\.\d{3})+", plain):
        return float(plain.replace(".", ""))
    plain = plain.replace(",", ".")
    return float(plain) if plain.count(".") <= 1 else float(plain.replace(".", ""))


@functools.lru_cache(maxsize=4096)
def _unit(word: str) -> tuple[float, str, bool] | None:
    """Size in base units, kind, and whether it is rounded; None for what is no unit."""
    if not word or (word.lower() in _NO_UNITS and word not in ("g", "kg")) or len(word) > 24:
        return None
    names = (word, word.lower()) if len(word) > 3 else (word,)
    for name in names:
        try:
            unit: Any = _units().Unit(name.replace("°", "deg"))
        except Exception:  # noqa: S112 - pint raises errors of many kinds on what is no unit
            continue
        dimension = str(unit.dimensionality)
        if dimension == "dimensionless":
            if (factor := float(_units().Quantity(1, unit).to_base_units().magnitude)) and re.search("bit|byte", str(unit)):
                return factor, "data", False
            return None
        if dimension not in _KNOWN:
            return None
        if dimension == "[temperature]":
            return 1.0, f"temperature {str(unit)[-10:]}", False
        return float(_units().Quantity(1, unit).to_base_units().magnitude), dimension, str(unit) in ("month", "year")
    return None


@functools.cache
def _units() -> Any:
    import pint

    return pint.UnitRegistry(cache_folder=None)


def _bound(text: str, start: int, end: int, of: str) -> Bound:
    """At least or at most, by the words around the number; turned round in what forbids, and in what says when a rule applies."""
    before, after = text[max(0, start - 60) : start], text[end : end + 40]
    if of == "[time]" and _AHEAD.match(after):
        return "least"
    if ranged := _RANGE.match(text, start):
        return "least" if ranged.end(1) == end else "exact"
    if re.search(r"\b(?:between|from) \d+(?:\.\d+)?(?: ?[%°A-Za-z]+)? (?:and|to) $", before, re.I):
        return "most"
    time = of == "[time]"
    bound: Bound = "exact"
    words = ""
    if found := _LEAST.search(before):
        bound, words = "least", found[0]
    if found := _MOST.search(before):
        bound, words = "most", found[0]
    if bound == "exact" or (
        words.strip(" .,").lower() in ("in", "by", "from", "for", "every", "each") and not (time or of in ("date", "clock"))
    ):
        bound, words = "exact", ""
        if _MORE_AFTER.search(after):
            bound = "least"
        elif _LESS_AFTER.search(after) or (
            re.match(r"(?:every|each|per|a|an|one)\b|\w+ly\b|annual\b|quarterly", text[start:end], re.I) and time
        ):
            bound = "most"
    if bound == "exact" or _NEGATED.search(words) or not _COMPARED.search(words):
        return bound
    modal = _MODAL.search(text)
    applies = modal is not None and start < modal.start()
    turned = applies or bool(_FORBIDS.search(text[:start]))
    return bound if not turned else ("most" if bound == "least" else "least")
