"""Questions to company reports: in the reports' words, and towards the statement that they name."""

import pytest

from knowledge.search.reports import in_their_words, title_named, words_of


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("What is the FY2018 capex?", "purchases of property plant and equipment"),
        ("What is the CAPEX of 3M?", "purchases of property plant and equipment"),
        ("Is 3M capital-intensive?", "property plant and equipment"),
        ("Look at the income statement.", "consolidated statements of income operations"),
        ("What is the quick ratio?", "total current liabilities"),
        ("How large is EBITDA?", "depreciation and amortization"),
    ],
)
def test_a_question_is_told_in_the_words_of_reports(question: str, said: str):
    told = in_their_words(question)
    assert told.startswith(question) and said in told


@pytest.mark.parametrize("question", ["Who keeps the minutes?", "Is the landscape recapitulated?", "What does aspirin do?"])
def test_other_questions_stay_as_they_are(question: str):
    assert in_their_words(question) == question


def test_the_statement_that_is_named_is_raised():
    wanted = words_of(in_their_words("Working from the balance sheet, how much cash is there at the end of 2018?"))
    sheet = ("PART II", "CONSOLIDATED BALANCE SHEETS (In thousands, except share data)")
    assert title_named(wanted, sheet, "Cash\t5") == 1.0
    assert title_named(wanted, (), "Consolidated Balance Sheets\tAcme and Subsidiaries\nCash\t5") == 1.0
    assert title_named(wanted, ("PART II", "Critical Audit Matters"), "We audited them.") == 0.0
    assert 0 < title_named(wanted, ("Consolidated Statements of Cash Flows",), "Net income") < 0.4
    assert title_named(wanted, ("Cash",), "Bank notes.") == 0.0  # one word names nothing
