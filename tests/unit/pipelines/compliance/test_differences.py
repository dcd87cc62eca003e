import pytest

from pipelines.compliance.differences import difference, quantities, rarity_among, repeats

NOTIFY = "The supplier must notify the bank of a security incident within 72 hours."
KEEP = "Records of customers must be kept for five years."
GIFTS = "Employees must not accept gifts from clients."


@pytest.mark.parametrize(
    ("requirement", "span", "said"),
    [
        (NOTIFY, "The supplier notifies the bank of a security incident within ten days.", "ten days, not 72 hours"),
        (NOTIFY, "The supplier notifies the bank of a security incident within 24 hours.", ""),
        (NOTIFY, "The supplier notifies the bank of a security incident within three (3) days.", ""),
        (NOTIFY, "The supplier shall not notify the bank of a security incident.", "the duty is negated"),
        (NOTIFY, "The supplier may notify the bank of a security incident.", "the duty is only allowed"),
        (NOTIFY, "The supplier is not required to notify the bank of a security incident.", "the duty is lifted"),
        (NOTIFY, "The bank pays invoices within 30 days.", ""),
        (KEEP, "Records of customers are kept for three years.", "three years, not five years"),
        (KEEP, "Records of customers are kept for seven years.", ""),
        (GIFTS, "Employees may accept gifts from clients.", "the prohibition is lifted"),
        (GIFTS, "Employees shall not accept gifts from clients.", ""),
        (GIFTS, "What clients give is listed, and employees can ask the front desk to accept the letters.", ""),
        ("Employees must not accept gifts above EUR 90 from clients.", "Employees may accept gifts up to EUR 50 from clients.", ""),
        ("Data must not leave the office unless encrypted.", "If data have to leave the office, they must be encrypted.", ""),
        ("Keys must be changed at least every 6 months.", "Keys must be changed twice a year.", ""),
        ("Keys must be changed at least every 6 months.", "Keys must be changed once a year.", "once a year, not 6 months"),
        ("Keys must be changed once every year.", "Keys are changed every two years.", "two years, not once every year"),
        ("Keys must be changed every quarter.", "Keys are changed every year.", "every year, not every quarter"),
        ("Keys must be changed every quarter.", "Keys are changed each month.", ""),
        ("Requests for keys must be answered within 30 days.", "Whoever makes requests says each quarter what the key is for.", ""),
        ("Requests for keys must be answered within 30 days.", "Requests for keys are answered each quarter.", "each quarter, not 30 days"),
        ("Keys must be changed every day and losses told within 24 hours.", "Keys are changed weekly.", "weekly, not every day"),
        ("Keys must be changed semi-annually.", "Keys are changed annually.", "annually, not semi-annually"),
        ("Backups must be made daily and tested every 6 months.", "Backups are tested every six months.", ""),
        ("Files no longer used must be erased.", "Files no longer used are not erased.", "the duty is denied"),
        ("Files no longer used must be erased.", "Files that are not used any longer are erased.", ""),
        (
            "Mail must be opened on the same working day.",
            "Mail is opened within three working days.",
            "three working days, not same working day",
        ),
        ("Fees above 5 percent must be approved.", "Fees above 9 % must be approved.", "9 %, not 5 percent"),
    ],
)
def test_what_a_span_changes(requirement, span, said):
    assert difference(requirement, span) == said


def test_words_that_every_span_has_make_it_not_about_the_same_thing():
    solicit = "The Receiving Party shall not solicit representatives of the Disclosing Party."
    maintain = "The Disclosing Party shall maintain a list of the representatives of the Receiving Party."
    allowed = "The Receiving Party may solicit representatives of the Disclosing Party."
    others = [f"The Disclosing Party gives the representatives of the Receiving Party its {thing}." for thing in ("plans", "keys", "maps")]
    rarity = rarity_among([maintain, allowed, *others])
    assert [difference(solicit, span) for span in (maintain, allowed)] == ["the prohibition is lifted"] * 2
    assert [difference(solicit, span, rarity) for span in (maintain, allowed)] == ["", "the prohibition is lifted"]
    ten_days = "The Disclosing Party is told within ten days of what the representatives of the Receiving Party keep."
    asked = "The Disclosing Party must be told within two days of what the Receiving Party lost."
    assert difference(asked, ten_days, rarity) == "ten days, not two days"  # a number stands for itself


def test_quantities_are_compared_in_one_unit():
    found = quantities("within 48 hours, or two weeks; EUR 1.5 million; every year")
    assert {(one.kind, one.value) for one in found} == {("money", 1_500_000.0), ("time", 2.0), ("time", 14.0), ("time", 365.0)}
    assert [one.text for one in found if one.again] == ["every year"]


def test_a_span_repeats_a_requirement_only_with_the_same_negations():
    assert repeats(GIFTS, "Our employees shall not accept gifts from any clients.")
    assert not repeats(GIFTS, "Our employees shall accept gifts from any clients.")
    among_others = "What employees know of a partner's plans must not be told to those from whom they accept orders, nor may clients or "
    assert not repeats(
        GIFTS, among_others + "suppliers learn which brands were shown at a fair, who gave gifts there, and any price that was named."
    )
    assert not repeats(NOTIFY, "The supplier must notify the bank of a security incident within ten days.")


@pytest.mark.parametrize(
    ("requirement", "span", "kept"),
    [
        ("Fees above EUR 50 must not be charged to students.", "Students are charged fees of up to EUR 40.", True),
        ("Fees above EUR 50 must not be charged to students.", "Students are charged fees of up to EUR 60.", False),
        ("Fees above EUR 50 must not be charged to students.", "Students are charged fees of EUR 40 for lost cards.", False),
        ("The bank must tell the regulator of an outage within 24 hours.", "We tell the regulator of an outage within 12 hours.", True),
        ("The bank must tell the regulator of an outage within 24 hours.", "We tell the regulator of an outage at once.", False),
    ],
)
def test_a_number_that_is_kept_makes_up_for_some_words(requirement, span, kept):
    assert repeats(requirement, span) is kept
