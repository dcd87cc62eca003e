"""Which language a text is in."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

SAMPLE = 3000
FEW_LETTERS = 20


@lru_cache(maxsize=1)
def _detector() -> Any:
    from lingua import LanguageDetectorBuilder

    # Low accuracy mode: right for a paragraph or more, and a tenth of the memory.
    return LanguageDetectorBuilder.from_all_languages().with_low_accuracy_mode().build()


def detect_language(text: str) -> str | None:
    """ISO 639-1 code of the language most of ``text`` is in; None for too little text, or none that is known.

    Samples from the beginning, the middle and the end are asked, so that a foreign title page does not decide.
    """
    parts = [text[:SAMPLE], text[len(text) // 2 :][:SAMPLE], text[-SAMPLE:]] if len(text) > 3 * SAMPLE else [text]
    votes: dict[str, int] = {}
    for part in parts:
        letters = re.sub(r"[\d\W_]+", " ", part).strip()
        if len(letters) < FEW_LETTERS:
            continue
        language = _detector().detect_language_of(letters)
        if language is not None:
            code = language.iso_code_639_1.name.lower()
            votes[code] = votes.get(code, 0) + len(letters)
    return max(votes, key=lambda code: votes[code]) if votes else None
