import pytest

from knowledge.requirements.wording import leading_tag, modality_of, read_wording, severity_of, without_marks


@pytest.mark.parametrize(
    ("text", "modality"),
    [
        ("The supplier must notify the bank.", "obligation"),
        ("Staff are required to attend the training.", "obligation"),
        ("Employees must not accept gifts.", "prohibition"),
        ("Employees may not accept gifts.", "prohibition"),
        ("No employee may trade on inside information.", "prohibition"),
        ("Personal data may only be processed for stated purposes.", "prohibition"),
        ("The board may delegate this task.", "permission"),
        ("The supplier is not required to give a reason.", "permission"),
        ("If a client may be harmed, the officer must act.", "obligation"),
        ('"Outsourcing" means an arrangement under which a provider must act.', None),
        ("This policy applies to all who must read it.", None),
        ("The sky is blue.", None),
    ],
)
def test_modality_is_that_of_the_main_clause(text, modality):
    assert modality_of(text) == modality


def test_a_sentence_is_taken_apart():
    found = read_wording("If a breach occurs, the officer must inform the authority within 72 hours, unless the risk is low.")
    assert found is not None
    assert (found.subject, found.action) == ("the officer", "inform the authority within 72 hours")
    assert (found.condition, found.exception) == ("If a breach occurs", "unless the risk is low")
    assert found.severity == "high"


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("Keys must never be shared.", "critical"),
        ("Keys must not be shared.", "high"),
        ("Keys must be kept in a safe.", "medium"),
        ("Keys should be kept in a safe.", "low"),
        ("Keys should be kept in a safe. (Severity: critical)", "critical"),
        ("Keys must not be shared [low].", "low"),
    ],
)
def test_severity_is_from_the_policys_own_words(text, severity):
    assert severity_of(text) == severity


def test_marks_are_no_part_of_the_sentence():
    assert without_marks("4.2 Staff must\n report gifts. (Severity: high)") == "Staff must report gifts."
    assert without_marks("(b) review all rights;") == "review all rights;"
    assert leading_tag("(Severity: high) 4.3 Staff must pay.") == ("high", "4.3 Staff must pay.")
    assert leading_tag("Staff must pay.") == (None, "Staff must pay.")
