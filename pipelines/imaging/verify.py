"""Checks each sentence against its measurements, and each measurement against the stored segmentation.

A sentence that fails stays in the report: its support becomes ``unsupported``, its confidence 0, and ``reason`` says why.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from pipelines.imaging.report import Lesion, Measurement, Sentence
from pipelines.imaging.wording import OVER, larger_side, number, place

# Not measurements: the end of the scale in "0.93 of 1.00", and the size limit in a summary.
_SCALE = re.compile(rf"\bof 1\.00\b|{re.escape(OVER)}")
_NUMBER = re.compile(r"(?<![\w.-])\d[\d,]*(?:\.\d+)?")
_INDEX = re.compile(r"asymmetry index (\d[\d.]*) %, (left|right) larger")
_LESION = re.compile(r"lesion (\d+) volume")
_LIST = re.compile(r"^(Lesion|Candidate) \d+: ")

TOLERANCE = 0.005
"""Share by which a recomputed value may differ: rounding to four decimals, and no more."""


def verify_sentences(
    sentences: Iterable[Sentence], measurements: Sequence[Measurement], recomputed: Sequence[Measurement], lesions: Sequence[Lesion]
) -> list[Sentence]:
    """The same sentences, those that fail marked ``unsupported``.

    Args:
        measurements: what the sentences name.
        recomputed, lesions: the same, recomputed from the stored segmentation.
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
        return "The sentence refers to no measurement."
    for name in sentence.measurements:
        if name not in first:
            return f"Measurement '{name}' not found."
        if name not in again:
            return f"'{name}' cannot be recomputed from the stored segmentation."
        one, two = first[name].value, again[name].value
        if abs(one - two) > max(TOLERANCE * max(abs(one), abs(two)), 1e-3):
            return f"'{name}' is {one:g} in the report and {two:g} when recomputed from the stored segmentation."
    items = [again[name] for name in sentence.measurements]
    text = _SCALE.sub("", sentence.text)
    for name in sentence.measurements:
        listed = _LESION.fullmatch(name)
        if listed and (int(listed[1]) > len(lesions) or place(lesions[int(listed[1]) - 1]) not in text):
            return "The lesion's zone or side differs from the stored segmentation."
    text = _LIST.sub("", text)
    shown = {number(item.value, item.unit) for item in items}
    for found in _NUMBER.findall(text):
        if found.rstrip(",") not in shown:
            return f"The number {found} matches no measurement of this sentence."
    return _side_trouble(text, items)


def _side_trouble(text: str, items: Sequence[Measurement]) -> str | None:
    """Every asymmetry index in the text must be one of the measurements, with the same larger side."""
    measured = {(number(item.value, item.unit), larger_side(item)) for item in items if item.name.endswith("asymmetry index")}
    for value, side in _INDEX.findall(text):
        if (value, f"{side} larger") not in measured:
            return f"No measurement has an asymmetry index of {value} % with {side} larger."
    return None
