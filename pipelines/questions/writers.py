"""Who writes an answer where nobody says."""

from __future__ import annotations

from typing import Literal

from infra.settings import Settings
from serving.registry.champions import read_catalogue
from serving.registry.embedded import EMBEDDED

Writer = Literal["quotes", "model"]
"""``quotes``: the answer is the sentences found. ``model``: the language model connects them, under the same checks."""


def usual_writer(settings: Settings) -> Writer:
    """``model`` where the language model that serves is a larger one than the embedded, which writes too much that the
    documents do not say: with it, and where there is none, the quoted sentences are the safe answer."""
    champion = read_catalogue(settings).champion("llm")
    return "quotes" if champion is None or champion.source == EMBEDDED["llm"].source else "model"
