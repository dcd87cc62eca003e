from knowledge.reading import Document
from knowledge.reading.document import Page, with_paths
from knowledge.reading.plain import markdown_blocks
from knowledge.reading.records import record_document
from knowledge.requirements import extract_requirements
from knowledge.requirements.spans import Span, spans_of

POLICY = """ACCESS POLICY

1. Purpose

This policy applies to all staff.

2. Accounts

2.1 Every user must have an account of their own. Passwords must not be shared.

2.2 The administrator must:

(a) remove accounts of leavers within 24 hours;

(b) review all rights every quarter; and

(c) log every change.

2.3 Users may choose a nickname.

2.4 If an account is misused, the officer must block it, unless the police ask otherwise. (Severity: critical)

2.5 No visitor may use a system.
"""


def policy(text: str = POLICY):
    return record_document("access.txt", text, title="Access Policy")


def test_every_sentence_that_asks_for_something_is_a_requirement_that_can_be_read_alone():
    found = extract_requirements(policy())
    assert [(one.modality, one.text) for one in found] == [
        ("obligation", "Every user must have an account of their own."),
        ("prohibition", "Passwords must not be shared."),
        ("obligation", "The administrator must remove accounts of leavers within 24 hours."),
        ("obligation", "The administrator must review all rights every quarter."),
        ("obligation", "The administrator must log every change."),
        ("permission", "Users may choose a nickname."),
        ("obligation", "If an account is misused, the officer must block it, unless the police ask otherwise."),
        ("prohibition", "No visitor may use a system."),
    ]


def test_a_requirement_knows_where_it_stands():
    document = policy()
    for one in extract_requirements(document, collection_id="c1"):
        assert one.source is not None
        assert document.text[one.source.start : one.source.end] == one.source.text
        assert (one.source.document, one.source.collection_id) == ("access.txt", "c1")


def test_a_tag_after_the_full_stop_is_the_sentences_own():
    found = {one.text: one.severity for one in extract_requirements(policy())}
    assert found["If an account is misused, the officer must block it, unless the police ask otherwise."] == "critical"
    assert found["No visitor may use a system."] != "critical"


def test_ids_stay_where_the_words_stay():
    before = {one.text: one.id for one in extract_requirements(policy())}
    after = {one.text: one.id for one in extract_requirements(policy(POLICY.replace("24 hours", "48 hours")))}
    changed = {text for text in before if before[text] != after.get(text)}
    assert changed == {"The administrator must remove accounts of leavers within 24 hours."}
    assert len(set(before.values())) == len(before)


def test_the_same_sentence_twice_is_two_requirements():
    found = extract_requirements(policy("Doors must be locked.\n\nDoors must be locked.\n"))
    assert len({one.id for one in found}) == len(found) == 2


def test_spans_are_verbatim_and_items_know_what_they_go_on():
    document = policy()
    spans = spans_of(document)
    assert all(document.text[span.start : span.end] == span.text for span in spans)
    item = next(span for span in spans if span.text.startswith("(a)"))
    assert item.lead.endswith("The administrator must:")
    assert item.premise.startswith(item.lead)
    plain = next(span for span in spans if "nickname" in span.text)
    assert plain.lead == ""


def test_marked_headings_are_read_as_a_sentence_without_their_numbers():
    text = "# 2 Security\n\n## 2.3 Access: doors\n\nDoors are locked.\n"
    blocks = with_paths([(kind, start, end, 1, level) for kind, start, end, level in markdown_blocks(text)], text)
    said = {span.text: span.premise for span in spans_of(Document("d.md", "text/markdown", (Page(1, 0, text),), blocks, False))}
    assert said == {"Doors are locked.": "Security, Access: doors. Doors are locked."}
    assert Span(None, 0, 5, "Doors", "IT > V. Access", marked=True).premise == "IT, Access. Doors"
    assert Span(None, 0, 5, "Doors", "... > :", marked=True).premise == "Doors"
    assert Span(None, 0, 5, "Doors", "3. Access").premise == "3. Access\nDoors"  # as contracts are trained


def test_items_inside_a_sentence_are_spans_and_references_are_not():
    text = "The party shall (a) keep the data secret; and (b) return them as paragraph (c) says within five (5) days.\n"
    assert [span.text for span in spans_of(policy(text))] == [
        "The party shall",
        "(a) keep the data secret; and",
        "(b) return them as paragraph (c) says within five (5) days.",
    ]
