"""Only a question that cannot be understood alone is searched with the one before it."""

import pytest

from pipelines.questions.followup import MOST, standalone

BEFORE = "What is aspirin?"


@pytest.mark.parametrize(
    "question",
    [
        "And in children?",
        "What about the dose?",
        "When was it sold?",
        "Why?",
        "How much?",
        "Why is that?",
        "What are its side effects?",
        "What does this mean for patients?",
        "How many people work there?",
        "Which of those drugs is safer?",
        "The dose?",
        "And who is the manufacturer?",
        "What are the side effects of it?",
        "Does the latter thin the blood?",
    ],
)
def test_a_question_that_needs_the_one_before_it(question: str) -> None:
    assert standalone(question, [BEFORE]) == f"{BEFORE} {question}"
    assert standalone(question, []) == question


@pytest.mark.parametrize(
    "question",
    [
        "How large is the human hippocampus?",
        "Why did revenue fall in 2023?",
        "What is ibuprofen?",
        "Is there a termination clause in the contract?",
        "Which reports mention that revenue grew?",
        "What did Amgen say about its pipeline?",
        "How did the company describe its results?",
        "Does aspirin thin the blood, and how does it do so?",
        "What happens to memories when they are stored?",
        "How long does it take to recover from surgery?",
        "Who signs this contract?",
        "And what is the usual dose of ibuprofen in children?",
        "Which rules apply to those who handle personal data?",
        "Explain monoclonal antibodies",
        "Ibuprofen dose in children",
    ],
)
def test_a_self_contained_question_is_searched_as_it_is(question: str) -> None:
    assert standalone(question, [BEFORE]) == question


def test_a_long_earlier_question_is_cut() -> None:
    assert len(standalone("When was it sold?", ["word " * 400])) <= MOST + len(" When was it sold?")
