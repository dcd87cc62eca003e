"""Facts read off documents, and what questions name of them."""

from __future__ import annotations

import pytest

from knowledge.metadata import Catalog, Facts, extract_facts, squash
from knowledge.reading.document import Document, Page, with_paths
from knowledge.reading.records import record_document


def paged(name: str, text: str, title: str | None = None) -> Document:
    return Document(name, "application/pdf", (Page(1, 0, text),), with_paths([("paragraph", 0, len(text), 1, 0)], text), True, title, "en")


def test_a_filing():
    text = (
        "FORM 10-K\nFor the fiscal year ended December 31, 2018\nAcme Widgets, Inc.\n(Exact name of registrant as specified in its charter)"
    )
    facts = extract_facts(paged("ACMEWIDGETS_2018_10K.pdf", text, "0001-18-000005"))
    assert (facts.organisation, facts.kind, facts.year, facts.quarter, facts.date) == (
        "Acme Widgets, Inc",
        "10-k",
        2018,
        None,
        "2018-12-31",
    )
    assert facts.title == "Acme Widgets, Inc 10-K 2018"
    assert {"organisation:acmewidgets", "kind:10-k", "year:2018", "language:en"} <= set(facts.tags())


def test_a_quarter_in_the_files_name_and_a_former_name():
    text = "Beta Corp (formerly known as Gamma Works) today reported results for the second quarter 2023."
    facts = extract_facts(paged("BETA_2023Q2_EARNINGS.pdf", text))
    assert (facts.kind, facts.year, facts.quarter) == ("earnings release", 2023, 2)
    assert "gammaworks" in facts.names


def test_a_file_name_that_says_nothing():
    facts = extract_facts(paged("scan (3).pdf", "Minutes of a meeting about nothing in particular."))
    assert facts.organisation is None and facts.kind is None and facts.year is None


def test_a_record_is_by_nobody_unless_it_says_so():
    text = "Researchers at Stanford University report results for 2018."
    assert extract_facts(record_document("1", text)).organisation is None
    assert extract_facts(record_document("1", text, metadata={"company": "Acme", "year": "2020"})).tags() == (
        "year:2020",
        "organisation:acme",
    )


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("MGM Resorts International", "mgmresorts"),
        ("MGM R ESORTS I NTERNATIONAL", "mgmresorts"),
        ("AMAZON.COM, INC", "amazon"),
        ("PepsiCo, Inc.", "pepsico"),
        ("3M", "3m"),
        ("Limited", "limited"),
    ],
)
def test_names_compare_without_their_legal_form(name: str, key: str):
    assert squash(name) == key


CATALOG = Catalog(
    {
        "a": Facts(organisation="MGM Resorts International", kind="10-k", year=2018),
        "b": Facts(organisation="PepsiCo, Inc", kind="earnings release", year=2023, quarter=1),
        "c": Facts(organisation="SQUARE, INC", also=("BLOCK",), kind="10-k", year=2020),
        "d": Facts(organisation="3M Company", kind="10-q", year=2022, quarter=3),
    }
)


@pytest.mark.parametrize(
    ("question", "documents", "years", "quarters", "kinds"),
    [
        ("What was MGM's interest coverage in FY2022?", {"a"}, {2022}, set(), set()),
        ("How did Pepsico do in Q1 of FY'23?", {"b"}, {2023}, {1}, set()),
        ("As of FY2023Q1, why did Pepsico raise its guidance?", {"b"}, {2023}, {1}, set()),
        ("What is Block's (formerly known as Square) revenue?", {"c"}, set(), set(), set()),
        ("If we exclude M&A, what dragged down 3M in the 2022 10-Q?", {"d"}, {2022}, set(), {"10-q"}),
        ("a block of text in a square", set(), set(), set(), set()),
        ("Compare PepsiCo and 3M in the second quarter", {"b", "d"}, set(), {2}, set()),
        ("What is diabetes?", set(), set(), set(), set()),
    ],
)
def test_what_a_question_names(question: str, documents: set[str], years: set[int], quarters: set[int], kinds: set[str]):
    named = CATALOG.named_in(question)
    assert CATALOG.documents_of(named.organisations) == documents
    assert (named.years, named.quarters, named.kinds) == (years, quarters, kinds)
