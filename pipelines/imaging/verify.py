"""Every sentence against its measurements, and every measurement against the labels that were stored.

A sentence that does not stand is not hidden: its support becomes ``unsupported``, its confidence 0, and ``reason``
says what did not fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from pipelines.imaging.report import Lesion, Measurement, Sentence
from pipelines.imaging.wording import number, place

# "1.00" in "0.93 of 1.00" is the scale's end, not a finding.
_SCALE = re.compile(r"\bof 1\.00\b")
_NUMBER = re.compile(r"(?<![\w.-])\d[\d,]*(?:\.\d+)?")
_SIDE = re.compile(r"larger on the (left|right)")
_LESION = re.compile(r"lesion (\d+) volume")
_LIST = re.compile(r"^Lesion \d+: ")

TOLERANCE = 0.005
"""Share by which a recomputed value may differ: rounding to four decimals, and no more."""


def verify_sentences(
    sentences: Iterable[Sentence], measurements: Sequence[Measurement], recomputed: Sequence[Measurement], lesions: Sequence[Lesion]
) -> list[Sentence]:
    """The same sentences, those that do not stand marked so.

    Args:
        measurements: what the sentences name.
        recomputed, lesions: the same, measured again from the stored segmentation.
    """
    first = {item.name: item for item in measurements}
    again = {item.name: item for item in recomputed}
    return [_checked(sentence, first, again, lesions) for sentence in sentences]


def _checked(sentence: Sentence, first: Mapping[str, Measurement], again: Mapping[str, Measurement], lesions: Sequence[Lesion]) -> Sentence:
    if sentence.support != "measured":
        return sentence
    reason = _trouble(sentence, first, again, lesions)
    return sentence if reason is None else sentence.model_copy(update={"support": "unsupported", "confidence": 0.0, "reason": reason})


def _trouble(
    sentence: Sentence, first: Mapping[str, Measurement], again: Mapping[str, Measurement], lesions: Sequence[Lesion]
) -> str | None:
    if not sentence.measurements:
        return "It names no measurement."
    for name in sentence.measurements:
        if name not in first:
            return f"There is no measurement '{name}'."
        if name not in again:
            return f"'{name}' cannot be measured again from the stored segmentation."
        one, two = first[name].value, again[name].value
        if abs(one - two) > max(TOLERANCE * max(abs(one), abs(two)), 1e-3):
            return f"'{name}' is {one:g} in the report and {two:g} when measured again from the stored segmentation."
    items = [again[name] for name in sentence.measurements]
    text = _SCALE.sub("", sentence.text)
    for name in sentence.measurements:
        listed = _LESION.fullmatch(name)
        if listed and (int(listed[1]) > len(lesions) or place(lesions[int(listed[1]) - 1]) not in text):
            return "The lesion's zone or side is not the one that the stored segmentation gives."
    text = _LIST.sub("", text)
    shown = {number(item.value, item.unit) for item in items}
    for found in _NUMBER.findall(text):
        if found.rstrip(",") not in shown:
            return f"The number {found} is in none of its measurements."
    return _side_trouble(text, items)


def _side_trouble(text: str, items: Sequence[Measurement]) -> str | None:
    said = _SIDE.search(text)
    if not said:
        return None
    indices = [item for item in items if item.name.endswith("asymmetry index")]
    if not indices or any((item.value > 0) != (said[1] == "left") for item in indices):
        return f"Its measurements do not say that the {said[1]} is larger."
    return None
