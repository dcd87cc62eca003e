import pytest

from pipelines.compliance.differences import difference

DELIVERED = "Every machine must be delivered with a declaration of conformity."
SEDATION = "Sedation must be discussed with the patient before it begins."
TESTED = "Every batch must be tested by the laboratory of the plant."


@pytest.mark.parametrize(
    ("requirement", "span", "said"),
    [
        (DELIVERED, "No machine is delivered without a declaration of conformity.", ""),
        (DELIVERED, "Some machines are delivered without a declaration of conformity.", "the duty is denied"),
        (DELIVERED, "Machines are not delivered with a declaration of conformity.", "the duty is denied"),
        (DELIVERED, "A machine that is not delivered with a declaration of conformity goes back.", ""),
        (SEDATION, "Sedation does not begin before it has been discussed with the patient.", ""),
        (SEDATION, "Sedation does not begin until it has been discussed with the patient.", ""),
        (SEDATION, "Sedation is not discussed with the patient before it begins.", "the duty is denied"),
        (TESTED, "No batch shall leave the plant without having been tested by the laboratory.", ""),
        (TESTED, "A batch shall not be tested by the laboratory of the plant.", "the duty is negated"),
        (TESTED, "The line is stopped if a batch is not tested by the laboratory of the plant.", ""),
        ("Couriers must be paid at least the minimum wage.", "Couriers are never paid less than the minimum wage.", ""),
        ("Couriers must be paid the minimum wage.", "Couriers are never paid the minimum wage.", "the duty is denied"),
    ],
)
def test_two_turns_are_none_and_a_clause_that_names_denies_nothing(requirement, span, said):
    assert difference(requirement, span) == said
