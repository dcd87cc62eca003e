import pytest

from pipelines.compliance.quantities import agreement, difference, quantities


@pytest.mark.parametrize(
    ("requirement", "passage", "wanted"),
    [
        ("Passwords must have at least 12 characters.", "Passwords have at least 8 characters.", "broken"),
        ("Passwords must have at least 12 characters.", "A password has 14 characters.", "kept"),
        ("Connections must use TLS 1.2 or later.", "Connections use TLS 1.0.", "broken"),
        ("Connections must use TLS 1.2 or later.", "Connections use TLS 1.3.", "kept"),
        ("Accounts must not be opened for persons under 18 years of age.", "Persons of 16 years and older may open one.", "broken"),
        ("Forklifts must not drive faster than 10 km/h in the hall.", "Forklifts drive at up to 20 km/h.", "broken"),
        ("At least three quotes must be obtained.", "Two quotes are obtained for every purchase.", "broken"),
        ("At least half of the members must be independent.", "One third of the members of the board are independent.", "broken"),
        ("The fee must not exceed 0.5 % of the assets.", "The fee is 80 basis points of the assets.", "broken"),
        ("The insurance must cover at least EUR 5 million.", "The insurance covers 2 million euros.", "broken"),
        ("Cheques above EUR 1,000 must be countersigned.", "Cheques above EUR 5.000 are countersigned.", "broken"),
        ("Invoices above EUR 25,000 must be checked.", "Invoices above 25 k€ are checked by the controller.", "kept"),
        ("Attachments must not be larger than 20 MB.", "Attachments are limited to 20,000 kB.", "kept"),
        ("Shifts must not be longer than 8 hours.", "Shifts last at most 480 minutes.", "kept"),
        ("Warranty claims must be accepted for at least 18 months.", "Claims are accepted for one and a half years.", "kept"),
        ("The deposit must be returned within six weeks.", "It is returned within a quarter of a year.", "broken"),
        ("Samples must be taken from at least 5 % of the lots.", "Samples are taken from one lot in twenty.", "kept"),
        ("The annual report must be filed by 31 March.", "The report is filed by 30 June.", "broken"),
        ("The alarm must be tested before 8 a.m.", "The alarm is tested at 10 a.m.", "broken"),
        ("Humidity must be kept between 45 and 55 percent.", "Humidity is kept between 48 and 52 percent.", "kept"),
        ("Humidity must be kept between 45 and 55 percent.", "Humidity is kept at 60 percent.", "broken"),
        ("Players may not return for at least 12 days.", "A player can be fielded again after four days.", "broken"),
        ("Quality must follow ISO 9001:2015.", "It follows ISO 9001:2008.", "broken"),
        ("Incidents must be reported within 24 hours.", "Incidents are reported at once.", "unknown"),
        ("Incidents must be reported within 24 hours.", "Ten incidents were reported.", "unknown"),
        ("Incidents must be reported.", "Incidents are reported within 3 days.", "none"),
    ],
)
def test_limits_are_compared_in_other_units_and_words(requirement, passage, wanted):
    assert agreement(requirement, passage) == wanted


def test_the_difference_is_said():
    assert difference("Incidents must be reported within 24 hours.", "They are reported within ten days.") == "10 days, not 24 hours"
    assert difference("Incidents must be reported within 24 hours.", "They are reported within two hours.") == ""


@pytest.mark.parametrize("text", ["", "12", "the 3rd of 1,2,3.4.5", "a" * 3000, "9" * 400, "1.2.3.4 and 12/13/14, 5:99", "½ of ∞ %"])
def test_any_text_can_be_read(text):
    assert isinstance(quantities(text), tuple)
