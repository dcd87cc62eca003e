"""Superscripts and subscripts in running text: footnote marks and exponents stay apart from the number before them."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ORDINALS = frozenset(
    ["st", "nd", "rd", "th", "er", "re", "e", "ère", "ère", "eme", "ème", "o", "os", "a", "as", "º", "ª", "do", "da", "de", "ste"]
)
_UNITS = frozenset(
    [
        "m",
        "km",
        "cm",
        "mm",
        "dm",
        "µm",
        "μm",
        "um",
        "nm",
        "ft",
        "in",
        "yd",
        "mi",
        "s",
        "kg",
        "g",
        "h",
        "x",
        "y",
        "z",
        "r",
        "n",
        "k",
        "i",
        "a",
        "b",
        "c",
        "t",
        "v",
        "p",
        "q",
        "d",
        "l",
        "f",
    ]
)
_TIMES = re.compile(r"[×·x*⋅]\s*10$")
_DURATION = re.compile(
    r"\s*(?:business |working |calendar )?(?:%|(?:days?|weeks?|months?|years?|hours?|minutes?|seconds?|per ?cent"
    r"|Tagen?|Jahren?|jours?|mois|ans?|días|años)\b)",
    re.I,
)
_NUMBER = re.compile(r"[-+−–]?\d+")
_SIGNS = {"TM": "™", "SM": "℠", "R": "®"}

Part = tuple[str, str]
"""Text, and how it stands: '' on the line, 'sup' above it, 'sub' below it."""


def joined(parts: Iterable[Part]) -> str:
    """The text of ``parts`` with every superscript and subscript told apart from what it follows.

    ``30`` with a footnote mark ``1`` becomes ``30[1]``; ``10`` to the power of 6 ``10^6``; ``CO`` with a low 2 ``CO2``.
    """
    merged: list[list[str]] = []
    for text, script in parts:
        if merged and (merged[-1][1] == script or not text.strip()):
            merged[-1][0] += text
        elif text:
            merged.append([text, script])
    out = ""
    for index, (text, script) in enumerate(merged):
        following = merged[index + 1][0] if index + 1 < len(merged) else ""
        if script and text.strip():
            out += _set_apart(out, text, script, following)
        else:
            out += text
    return out


def _set_apart(before: str, text: str, script: str, following: str) -> str:
    lead, body = text[: len(text) - len(text.lstrip())], text.strip()
    tail = text[len(text.rstrip()) :]
    base = re.search(r"[^\W_]*$", before)
    word = base[0] if base else ""
    if not word and not re.search(r"\S$", before):  # at the start, or after a space: nothing to merge with
        mark = f"[{body}]" if script == "sup" and re.fullmatch(r"\d{1,3}|[a-z*†‡§]", body) else body
        return f"{lead}{mark}{tail}" + (" " if not tail and following[:1].isalnum() else "")
    if script == "sub":
        written = body if re.fullmatch(r"[A-Za-z)\]]*", before[-1:]) and body.isdigit() and not following[:1].isdigit() else f"_{body}"
        return f"{lead}{written}{tail}" + (" " if written[0] == "_" and not tail and following[:1].isalnum() else "")
    if not lead and word[-1:].isdigit() and body.lower() in _ORDINALS:
        return body + tail
    if body.upper() in _SIGNS and body.isupper():
        return _SIGNS[body.upper()] + tail
    if body.startswith(("[", "(", "^")):
        return f"{lead}{body}{tail}"
    if not lead and _exponent(before, word, body, following):
        return f"^{body}{tail}" + (" " if not tail and following[:1].isalnum() else "")
    if not lead and body.isalpha() and len(body) > 1 and word.isalpha():
        return body + tail  # Mlle, Mme
    return f"[{body}]{tail}" + (" " if not tail and following[:1].isalnum() else "")


def _exponent(before: str, word: str, body: str, following: str) -> bool:
    if not _NUMBER.fullmatch(body):
        return len(body) <= 2 and body.isalpha() and (word.lower() in ("e", "x", "y", "n", "2", "10") and len(word) <= 2)
    if body[0] in "-−–":
        return bool(word) or before.endswith(")")
    if _TIMES.search(before):
        return True
    if word == "10":
        return int(body) > 1 and not _DURATION.match(following)
    if word.isalpha() and word.lower() in _UNITS:
        return int(body) <= 4
    return before.endswith(")") and body in ("2", "3") and bool(re.search(r"\([^()]*[-+*/=][^()]*\)$", before))
