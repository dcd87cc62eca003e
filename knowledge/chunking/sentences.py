"""Sentences as spans, for chunks that end where one ends and for citations that begin where one begins."""

from __future__ import annotations

import re

# Abbreviations that rarely end a sentence; single letters (initials, "U.S.") are handled apart.
_ABBREVIATIONS = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "st",
        "no",
        "nos",
        "vs",
        "etc",
        "inc",
        "ltd",
        "co",
        "corp",
        "llc",
        "plc",
        "fig",
        "figs",
        "eq",
        "eqs",
        "ref",
        "refs",
        "al",
        "approx",
        "dept",
        "est",
        "e.g",
        "i.e",
        "cf",
        "ca",
        "art",
        "arts",
        "sec",
        "secs",
        "para",
        "paras",
        "pp",
        "vol",
        "ed",
        "eds",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "nov",
        "dec",
        "ph.d",
        "u.s",
        "u.k",
        "e.u",
    ]
)
# Begun only where a run of stops begins: a line of a million dots is looked at once.
_END = re.compile(r"(?<![.!?。！？])[.!?。！？]++[\"'”’)\]]*+(?=\s|$)|\n\s*\n|\n(?=\s*(?:[•▪◦–-]|\(?[a-z0-9]{1,3}[.)])\s)|[。！？]")

LONGEST_LABEL = 64


def sentence_spans(text: str, offset: int = 0) -> list[tuple[int, int]]:
    """``(start, end)`` of each sentence, white space trimmed; ``offset`` is added to both.

    Line breaks inside a sentence stay inside it; an empty line and a list item's mark end one.
    """
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _END.finditer(text):
        if match[0].startswith(".") and not _ends(text, start, match):
            continue
        _append(spans, text, start, match.end(), offset)
        start = match.end()
    _append(spans, text, start, len(text), offset)
    return spans


def _ends(text: str, start: int, match: re.Match[str]) -> bool:
    following = re.match(r"\s+([\"'“‘(\[]*)(\S)", text[match.end() : match.end() + 20])
    if following and following[2].islower():
        return False
    # Of a long sentence only its last characters are asked: no abbreviation and no number of a section is longer.
    word = re.search(r"[\w.]*$", text[max(start, match.start() - LONGEST_LABEL) : match.start()])
    before = word[0].lower() if word else ""
    if before in _ABBREVIATIONS or re.fullmatch(r"[a-z]|(?:[a-z]\.)+[a-z]", before):
        # "the U.S. It rose" does end; without the next word there is no telling.
        return following is None or (
            before.count(".") > 0
            and bool(re.match(r"\s+(?:The|It|In|This|We|He|She|They|A|An)\b", text[match.end() : match.end() + LONGEST_LABEL]))
        )
    # "4.2. Scope" and "12. Terms": a number at the start of a sentence is its label.
    return not (
        re.fullmatch(r"[\d.]+", before) and not text[max(start, match.start() - LONGEST_LABEL) : match.start() - len(before)].strip()
    )


def _append(spans: list[tuple[int, int]], text: str, start: int, end: int, offset: int) -> None:
    part = text[start:end]
    begin = start + len(part) - len(part.lstrip())
    finish = begin + len(part.strip())
    if finish > begin:
        spans.append((begin + offset, finish + offset))
