import pytest

from knowledge.reading import Document
from knowledge.reading.records import record_document
from knowledge.requirements import extract_requirements
from knowledge.requirements.rating import rated_severity


def policy(text: str) -> Document:
    return record_document("keys.txt", text, title="Key Policy")


def severities(text: str) -> dict[str, str]:
    """The requirements of a policy without their full stops, with their severities."""
    return {one.text.rstrip("."): one.severity for one in extract_requirements(policy(text))}


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("Failures are rated high.", "high"),
        ("A breach is critical.", "critical"),
        ("A breach of this rule will be treated as a critical violation.", "critical"),
        ("Non-compliance is considered to be serious.", "high"),
        ("Late delivery is of medium severity.", "medium"),
        ("Deviations count as minor findings.", "low"),
        ("This requirement is critical.", "critical"),
        ("The severity is low.", "low"),
        ("Failures must be rated high, repeated ones critical.", "high"),
        ("Lending a key is critical.", "critical"),
        ("Demand is high.", None),
        ("Our service is critical.", None),
        ("The register is of major importance.", None),
        ("Breaches are rated high, medium or low.", None),
        ("The officer decides whether a breach is critical.", None),
        ("Where a failure is serious, the Board is informed.", None),
        ("A breach is critical, and staff must report it.", None),
        ("A breach that is critical is published.", None),
        ("Breaches that are serious must be reported.", None),
        ("Clients rated low may be checked later.", None),
    ],
)
def test_a_rating_says_how_bad_a_breach_of_its_clause_is(text: str, severity: str | None) -> None:
    assert rated_severity(text) == severity


def test_the_next_sentence_rates_its_clause_and_is_no_requirement() -> None:
    text = """1.1 Keys must be kept in a safe. The safe stands in the office. A breach of this clause will be treated as critical.

1.2 Keys must be counted every week.

1.3 Keys must be labelled. Failures are rated low. Lost keys must be replaced. Failures are rated high.
"""
    assert severities(text) == {
        "Keys must be kept in a safe": "critical",
        "Keys must be counted every week": "medium",
        "Keys must be labelled": "low",
        "Lost keys must be replaced": "high",
    }


def test_all_sentences_of_the_clause_are_rated_but_one_with_a_tag_of_its_own() -> None:
    text = "1.1 Keys must be kept in a safe. They must be counted (Severity: low). Spare keys must be sealed. Failures are rated high.\n"
    assert list(severities(text).values()) == ["high", "low", "high"]


def test_a_rating_below_a_list_rates_every_item_and_none_before_it() -> None:
    text = """2.1 Visitors must sign the book.

2.2 The guard must:

(a) lock the gate;

(b) close the windows.

Failures are rated critical.
"""
    assert list(severities(text).values()) == ["medium", "critical", "critical"]


def test_a_rating_below_another_heading_rates_nothing_above_it() -> None:
    text = "# Keys\n\nKeys must be kept in a safe.\n\n# Gates\n\nFailures are rated critical.\n\nGates must be locked.\n"
    document = record_document("keys.md", text, title="Key Policy")
    assert [one.severity for one in extract_requirements(document)] == ["medium", "medium"]
