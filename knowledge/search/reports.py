"""Questions to company reports: what people call a figure, as reports name it, and the statement that it stands in.

A report never says "capex" but "purchases of property, plant and equipment", and its income statement is headed
"Consolidated Statements of Operations". So where a collection holds reports, words are searched with what they mean there,
and a chunk under a title that the question names is raised.
"""

from __future__ import annotations

import re

GLOSSARY: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), meaning)
    for pattern, meaning in (
        (
            r"\bcap(?:ital )?-?ex(?:penditures?)?\b|\bcapital[- ]intensive\b",
            "capital expenditures purchases of property plant and equipment",
        ),
        (r"\bPP&E\b|\bfixed assets?\b", "property plant and equipment"),
        (r"\bCOGS\b", "cost of goods sold cost of sales cost of revenue"),
        (r"\bSG&A\b", "selling general and administrative expenses"),
        (r"\bR&D\b", "research and development"),
        (r"\bEPS\b", "earnings per share"),
        (
            r"\bincome statement\b|\bP&L\b|\bprofit and loss\b|\bstatement of income\b",
            "consolidated statements of income operations earnings",
        ),
        (r"\bbalance sheet\b|\bstatement of financial position\b", "consolidated balance sheets financial position"),
        (r"\bcash flow statement\b|\bstatement of cash flows\b", "consolidated statements of cash flows"),
        (r"\bworking capital\b|\bcurrent ratio\b|\bquick ratio\b", "total current assets total current liabilities"),
        (r"\bDPO\b|\bdays payable\b", "accounts payable inventories cost of sales"),
        (r"\bDSO\b|\bdays sales\b", "accounts receivable net sales"),
        (r"\bDIO\b|\binventory turnover\b|\bdays inventory\b", "inventories cost of sales"),
        (r"\bfree cash ?flow\b", "net cash provided by operating activities"),
        (r"\bgross (?:margin|profit)\b", "gross profit cost of sales cost of revenue"),
        (r"\boperating (?:margin|income)\b", "operating income total revenue net sales"),
        (r"\brevenues?\b", "total net sales revenue"),
        (r"\bEBIT(?:DA)?R?\b", "operating income depreciation and amortization"),
        (r"\binterest coverage\b", "interest expense"),
        (r"\basset turnover\b", "total assets"),
        (r"\b(?:return on assets|ROA)\b", "net income total assets"),
        (r"\b(?:return on equity|ROE)\b", "net income total shareholders equity"),
        (r"\b(?:payout|retention) ratio\b", "dividends paid net income"),
    )
)
"""What is asked for, and the words of the statements and lines that hold it."""

_STEM = 5  # letters of a word that count
_PLAIN = frozenset(
    """
    of in as at the and for per end ended ending year years month months date dates form share data except amounts dollars
    thousands millions billions january february march april may june july august september october november december
    """.split()  # noqa: SIM905 - as a list it is a page long
)
_LONGEST = 12  # words of a title


def in_their_words(question: str) -> str:
    """The question, and after it what reports call the things that it names."""
    meanings = [meaning for pattern, meaning in GLOSSARY if pattern.search(question)]
    return " ".join([question, *meanings])


def words_of(text: str) -> frozenset[str]:
    """The beginnings of the words that carry content; figures and what stands in brackets are none of them."""
    found = re.findall(r"[a-z&]{2,}", re.sub(r"\([^)]*\)?", " ", text.lower()))
    return frozenset(word[:_STEM] for word in found if word not in _PLAIN)


def title_named(wanted: frozenset[str], headings: tuple[str, ...], text: str) -> float:
    """How much of a chunk's title a question names, 0 to 1: the cube of the share of its words, so that half a title is little.

    The title is one of the two innermost headings, or the first cell of its first line: a table often bears its own.

    Args:
        wanted: :func:`words_of` the question in the words of reports.
    """
    best = 0.0
    for title in (*headings[-2:], text.split("\n", 1)[0].split("\t", 1)[0]):
        words = words_of(title)
        if 2 <= len(words) <= _LONGEST:
            best = max(best, len(words & wanted) / len(words))
    return best**3
