"""Follow-up questions: what they leave out stands in the question before."""

from __future__ import annotations

import re
from collections.abc import Sequence

MOST = 400
"""Characters of the earlier question that are searched again."""

_REFERS = re.compile(r"\b(?:it|its|they|them|their|this|that|these|those|he|she|his|her|him|the same|former|latter|there)\b", re.IGNORECASE)
_GOES_ON = re.compile(r"^\s*(?:and|or|but|so|then|also|what about|how about|what else|anything else|why|how so|more)\b", re.IGNORECASE)
_SHORT = 3


def standalone(question: str, earlier: Sequence[str]) -> str:
    """The question with what it follows, where it cannot be understood alone; else as it is.

    Args:
        earlier: the conversation's questions before, each as this function gave it, oldest first.
    """
    if not earlier:
        return question
    follows = _REFERS.search(question) or _GOES_ON.match(question) or len(question.split()) <= _SHORT
    return f"{earlier[-1][-MOST:].strip()} {question}" if follows else question
