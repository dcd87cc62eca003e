"""What a question names: an organisation, a year, a quarter, a kind of document that the collection has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from knowledge.metadata.facts import FILINGS, Facts, squash

_ORDINALS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4}
_KIND_WORDS = [
    ("10-k", r"\b10-?k\b|\bannual (?:filing|report)\b"),
    ("10-q", r"\b10-?q\b|\bquarterly (?:filing|report)\b"),
    ("8-k", r"\b8-?k\b|\bcurrent report\b"),
    ("earnings release", r"\bearnings (?:release|call|report)\b|\bpress release\b"),
]


@dataclass(frozen=True)
class Named:
    """What was found in a question; empty sets where it names nothing of the kind."""

    organisations: frozenset[str] = frozenset()
    years: frozenset[int] = frozenset()
    quarters: frozenset[int] = frozenset()
    kinds: frozenset[str] = frozenset()

    @property
    def anything(self) -> bool:
        return bool(self.organisations or self.years or self.quarters or self.kinds)


@dataclass
class Catalog:
    """Names that the documents of a collection go by. Made once for a collection, not for every question."""

    facts: Mapping[str, Facts]
    """Document -> its facts."""
    _aliases: dict[str, set[str]] = field(default_factory=dict)
    _short: dict[str, set[str]] = field(default_factory=dict)
    reports: frozenset[str] = field(init=False)
    """Documents that are a company's reports."""

    def __post_init__(self) -> None:
        kinds = FILINGS | {"annual report"}
        self.reports = frozenset(document for document, facts in self.facts.items() if facts.kind in kinds)
        names = {squash(name): name for f in self.facts.values() for name in (f.organisation, *f.also) if name}
        for key, name in names.items():
            if len(key) < 2:
                continue
            self._aliases.setdefault(key, set()).add(key)
            # "PepsiCo" for "PepsiCo, Inc."; "MGM" for "MGM Resorts International", where no other name begins so.
            first = re.sub(r"[^A-Za-z0-9]", "", re.split(r"[\s.]", name)[0]).lower()
            if len(first) >= 2 and first not in ("the", "of", "first", "american", "united", "national", "general"):
                self._short.setdefault(first, set()).add(key)

    def named_in(self, question: str) -> Named:
        """What ``question`` names of this collection's documents; a name only counts where it is written as one."""
        words = re.findall(r"[A-Za-z0-9&.-]+(?:['’]s)?", question)
        found: set[str] = set()
        for start in range(len(words)):
            for length in range(min(5, len(words) - start), 0, -1):
                part = words[start : start + length]
                if not any(c.isupper() or c.isdigit() for c in part[0][:2]):
                    continue
                key = squash(re.sub(r"['’]s$", "", " ".join(part)))
                if not key or key.isdigit():
                    continue
                if key in self._aliases:
                    found |= self._aliases[key]
                elif length == 1 and len(self._short.get(key, ())) == 1:
                    found |= self._short[key]
        years, quarters = periods_in(question)
        kinds = {kind for kind, pattern in _KIND_WORDS if re.search(pattern, question, re.I)}
        have = {f.kind for f in self.facts.values()}
        return Named(frozenset(found), frozenset(years), frozenset(quarters), frozenset(kinds & have))

    def documents_of(self, organisations: Iterable[str]) -> set[str]:
        wanted = set(organisations)
        return {document for document, facts in self.facts.items() if wanted & set(facts.names)}


def periods_in(question: str) -> tuple[set[int], set[int]]:
    """Years and quarters named in a question: "FY2018", "FY'22", "Q2 of 2023", "FY2023Q1", "second quarter"."""
    years = {int(y) for y in re.findall(r"(?<!\d)((?:19[5-9]|20\d)\d)(?!\d)", question)}
    years |= {2000 + int(y) for y in re.findall(r"\bFY\s?['’]?(\d\d)\b", question, re.I)}
    quarters = {int(q) for q in re.findall(r"(?<![A-Za-z])Q([1-4])(?!\d)", question, re.I)}
    quarters |= {_ORDINALS[m.lower()] for m in re.findall(r"\b(first|second|third|fourth|1st|2nd|3rd|4th)[- ]quarter", question, re.I)}
    return years, quarters
