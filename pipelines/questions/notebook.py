"""An answer in a notebook: its sentences, each with the places it is cited from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from infra.notebook import Block, Heading, Table
from knowledge.search import Passage
from pipelines.questions.contract import Answer

NEAREST = 3
"""Passages that are shown where the documents do not answer."""


def blocks(found: Answer) -> list[Block]:
    """The answer, then the evidence of each sentence."""
    models = ", ".join(f"{model.name} version {model.version}" for model in found.models)
    last = f"Confidence {found.confidence:.2f}." + (f" Models: {models}." if models else "")
    if found.abstained:
        rows = [[_place(one.passage, one.passage.page), " ".join(one.passage.text.split())] for one in found.passages[:NEAREST]]
        nearest: list[Block] = ["Nearest passages:", Table(("Document", "Passage"), rows)] if rows else []
        return [Heading(found.question), found.answer, *nearest, last]
    rows = []
    for sentence in found.sentences:
        if not sentence.citations:
            rows.append([sentence.text, "Not supported by the documents", "", f"{sentence.confidence:.2f}"])
        for number, one in enumerate(sentence.citations):
            first = [sentence.text, f"{sentence.confidence:.2f}"] if number == 0 else ["", ""]
            rows.append([first[0], _place(one.found.passage, one.page), " ".join(one.text.split()), first[1]])
    return [Heading(found.question), found.answer, Table(("Sentence", "Source", "Cited text", "Confidence"), rows, numbers=(3,)), last]


def _place(passage: Passage, page: int | None) -> str:
    return f"{passage.title or passage.document}{f', page {page}' if page else ''}"


def data(found: Answer) -> dict[str, Any]:
    return found.as_dict()


def writers(found: Answer) -> Mapping[str, Callable[[], bytes]]:
    return {}
