"""Numbers of list items and notes in the forms that word processors and browsers write them in."""

from __future__ import annotations

_ROMAN = tuple(
    zip(
        (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
        ["m", "cm", "d", "cd", "c", "xc", "l", "xl", "x", "ix", "v", "iv", "i"],
        strict=True,
    )
)
_SYMBOLS = "*†‡§"
_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth", "twelve": "twelfth"}


def written(number: int, form: str) -> str:
    """``number`` in a form of ECMA-376 17.18.59 (``decimal``, ``lowerLetter``, ``ordinalText`` ...); unknown ones are decimal."""
    if form in ("lowerLetter", "upperLetter") and number > 0:
        letter = chr(97 + (number - 1) % 26) * ((number - 1) // 26 % 10 + 1)
        return letter.upper() if form == "upperLetter" else letter
    if form in ("lowerRoman", "upperRoman") and 0 < number < 4000:
        roman, rest = "", number
        for size, sign in _ROMAN:
            roman, rest = roman + sign * (rest // size), rest % size
        return roman.upper() if form == "upperRoman" else roman
    if form == "chicago" and number > 0:
        return _SYMBOLS[(number - 1) % 4] * min(10, (number - 1) // 4 + 1)
    if form == "ordinal":
        return f"{number}{_suffix(number)}"
    if form in ("cardinalText", "ordinalText") and 0 <= number < 1000:
        words = _in_words(number)
        return (_as_ordinal(words) if form == "ordinalText" else words).capitalize()
    if form.startswith("decimalZero") and 0 <= number < 10:
        return f"0{number}"
    if form == "decimalEnclosedCircle" and 0 < number <= 20:
        return chr(0x2460 + number - 1)
    if form == "decimalEnclosedParen":
        return f"({number})"
    if form == "decimalEnclosedFullstop":
        return f"{number}."
    if form == "numberInDash":
        return f"- {number} -"
    if form == "hex" and number >= 0:
        return f"{number:X}"
    return str(number)


def _suffix(number: int) -> str:
    return "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def _in_words(number: int) -> str:
    if number < 20:
        return _ONES[number]
    if number < 100:
        return _TENS[number // 10] + (f"-{_ONES[number % 10]}" if number % 10 else "")
    return f"{_ONES[number // 100]} hundred" + (f" {_in_words(number % 100)}" if number % 100 else "")


def _as_ordinal(words: str) -> str:
    head, dash, last = words.rpartition("-") if "-" in words else words.rpartition(" ")
    ordinal = _ORDINALS.get(last) or (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")
    return f"{head}{dash}{ordinal}"
