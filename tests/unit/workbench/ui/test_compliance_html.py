"""The compliance pages' HTML and charts: severe gaps first, both sides marked, nothing unescaped, an empty state that says what to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from knowledge.requirements import Requirement
from pipelines.compliance.actions import Draft
from pipelines.compliance.scoring import grade
from tests.unit.pipelines.compliance.analysed import READER, analysed, verdict
from workbench.services.cited_pages import Cited
from workbench.services.compliance import (
    AnalysisCard,
    AnalysisView,
    Dashboard,
    MatchCard,
    OpenReview,
    PolicyCard,
    RequirementCard,
    ReviewCard,
)
from workbench.services.compliance_sending import PolicyChoice
from workbench.ui.compliance.charts import distribution, distribution_chart, risk_chart, scores_chart
from workbench.ui.compliance.dashboard_html import figures_html, policies_html, reviews_html, violated_html
from workbench.ui.compliance.detail import action_html, detail_html, first_evidence, review_html
from workbench.ui.compliance.html import analyses_html, choices, finding_html, own_html, shown, title_html, verdicts_html
from workbench.ui.compliance.requirements_html import policies_html as choices_html
from workbench.ui.compliance.requirements_html import requirements_html

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def view(*verdicts) -> AnalysisView:
    report = analysed(*verdicts)
    matches = tuple(MatchCard(f"m{place}", place, one, ()) for place, one in enumerate(report.requirements))
    return AnalysisView("a1", "u1", NOW, report, matches, 38.0)


def card(document: str = "terms.pdf", score: float = 41.0, risk: str = "critical", days: float = 0.0) -> AnalysisCard:
    counts = {"satisfied": 3, "violated": 2, "not_addressed": 1, "conflicts": 1}
    return AnalysisCard(f"id-{document}-{days}", document, [{"name": "Vendors"}], score, risk, counts, 4, NOW - timedelta(days=days))


def test_the_finding_says_score_risk_counts_and_the_formula() -> None:
    html = finding_html(view())
    for said in ("1 violated and 1 not addressed, of 5 requirements.", "Critical risk", "Score 41 of 100", "Score before review: 38"):
        assert said in html
    assert "because a critical requirement is violated" in html
    assert "Permissions are not scored" in html
    assert html.index("41") < html.index("How the score and risk are calculated")


def test_the_title_offers_every_file_and_escapes_the_name() -> None:
    html = title_html(None, view())
    assert "terms &amp; conditions.pdf" in html and "Vendors (version 4)" in html
    for name in ("report.pdf", "report.docx", "report.json", "requirements.csv"):
        assert f'href="/mlops/analysis/a1/files/{name}"' in html


def test_the_severest_gaps_come_first_and_filters_count() -> None:
    found = view()
    assert choices(found) == ["All 6", "To review 2", "Violated 1", "Not addressed 1", "Satisfied 2", "Not mentioned 1", "Permission 1"]
    order = [match.verdict.requirement.id for match in shown(found, "All 6")]
    assert order == ["R2", "R3", "R6", "R1", "R4", "R5"]  # gaps by severity, then by standing and certainty
    assert [match.verdict.requirement.id for match in shown(found, "To review 2")] == ["R2", "R3"]
    assert [match.verdict.requirement.id for match in shown(found, "All 6", severity="High")] == ["R3"]
    assert [match.verdict.requirement.id for match in shown(found, "Satisfied 2", text="writing")] == ["R1"]
    assert shown(found, "All 6", policy="Another Policy") == []
    assert "No matching requirements" in verdicts_html([], "")


def test_the_list_marks_the_chosen_one_and_says_what_is_reviewed() -> None:
    html = verdicts_html(shown(view(), "All"), "m1")
    assert html.count('aria-current="true"') == 1
    assert html.index('data-id="m1" aria-current') < html.index('data-id="m2"')
    assert "conflicting evidence" in html and "uncertain" in html and "reviewed" in html


def test_both_sides_are_shown_with_what_was_said_there() -> None:
    match = view().matches[1]
    evidence = first_evidence(match.verdict)
    assert evidence is not None
    policy = Cited("policy.md", "Outsourcing Policy", None, False, "## 4 Running\n\n", "Incidents must", "<script>alert(1)</script>", False)
    place = Cited("terms.pdf", "terms & conditions.pdf", 3, True, "", "within <b>ten</b> days", "", False)
    html = detail_html("a1", match, policy, place, evidence)
    assert "<mark data-here>Incidents must</mark>" in html and "<b>4 Running</b>" in html
    assert "<mark data-here>within &lt;b&gt;ten&lt;/b&gt; days</mark>" in html
    assert "<script>" not in html and "<b>ten</b>" not in html
    assert 'src="/mlops/analysis/a1/page.png?page=3&amp;start=100&amp;end=' in html
    assert "24 hours, not ten days" in html
    gone = detail_html("a1", match, None, None, None)
    assert "The policy was deleted" in gone and "No relevant passage found" in gone


def test_a_review_confirms_or_overturns_and_shows_what_people_said() -> None:
    match = view().matches[1]
    html = review_html(match)
    assert 'data-id="m1 violated">Confirm: violated' in html
    assert 'data-id="m1 satisfied"' in html and 'data-id="m1 not_addressed"' in html
    said = ReviewCard("Ada <b>", "satisfied", False, "An & annex says so", NOW)
    html = review_html(replace(match, reviews=(said,)))
    assert "Ada &lt;b&gt;" in html and "An &amp; annex says so" in html and "decided “Satisfied”" in html
    assert review_html(view().matches[4]) == ""  # a permission


def test_a_draft_is_offered_to_larger_models_and_shown_only_where_it_is_usable() -> None:
    match = view().matches[1]
    assert "to comply with" in action_html(match) and 'data-do="draft"' not in action_html(match)
    assert "Draft new wording" in action_html(match, may_draft=True)
    html = action_html(match, Draft((("Report <b>within</b> 24 hours.", 0.9),), (READER,)), may_draft=True)
    assert "Report &lt;b&gt;within&lt;/b&gt; 24 hours." in html and "workbench-entailment version 3" in html and "Draft again" in html
    unusable = action_html(match, Draft((("Report within 24 hours.", 0.9), ("Call me.", 0.1)), (READER,)), may_draft=True)
    assert "did not produce a usable draft" in unusable and "Call me." not in unusable
    assert "did not produce a usable draft" in action_html(match, Draft((), (READER,)))
    assert action_html(view().matches[0]) == ""


def test_what_no_policy_covers_is_listed() -> None:
    assert "Staff must wear badges." in own_html(analysed().own)
    assert own_html(()) == ""


def test_dashboard_numbers_count_documents_not_runs() -> None:
    cards = [card(days=9, score=20), card("b.pdf", 90, "low", 5), card(score=60, risk="high")]
    html = figures_html(Dashboard(cards, [], {}, [], 3, 0.75))
    assert "in 3 runs" in html and "<dd>2</dd>" in html
    assert "<dd>75</dd>" in html  # the mean of 60 and 90: the latest of each document
    assert "75.0 %" in html and "of 2 documents" in html


def test_dashboard_lists_link_to_what_they_name() -> None:
    reviews = [OpenReview("m7", "a1", "terms.pdf", "Contracts <must> be kept.", "high", "violated", 0.6, True)]
    html = reviews_html(reviews, 5)
    assert "/compliance?job=a1&match=m7" in html and "Contracts &lt;must&gt; be kept." in html and "4 more in the analyses" in html
    assert "No open reviews" in reviews_html([], 0)
    policies = policies_html([PolicyCard("c1", "Vendors", 4, 2, 31, 3)])
    assert "/requirements?collection=c1" in policies and "31 requirements" in policies and "3 disabled" in policies
    assert "Add policies" in policies_html([])
    ranked = violated_html([("A <b>", 4), ("B", 1)])
    assert ranked.index("A &lt;b&gt;") < ranked.index("width:25%")


def test_charts_show_every_analysis_and_every_cell() -> None:
    cards = [card(days=9, score=20), card("b.pdf", 100, "low", 5), card(score=0, risk="high")]
    assert distribution(cards) == {"0 to 20": 1, "20 to 40": 1, "40 to 60": 0, "60 to 80": 0, "80 to 100": 1}
    assert list(distribution_chart(cards).data[0].y) == [1, 1, 0, 0, 1]
    dots = [trace for trace in scores_chart(cards).data if trace.mode == "markers"]
    assert sorted(value for trace in dots for value in trace.y) == [0, 20, 100]
    assert sum(trace.mode == "lines" for trace in scores_chart(cards).data) == 1  # one document was checked twice
    first, last = scores_chart(cards[1:2]).layout.xaxis.range
    assert last - first == timedelta(hours=1)  # one alone: else its ticks are seconds apart, and all read the same
    chart = risk_chart(grade(analysed().requirements).matrix).data[0]
    counted = [int(text) for row in chart.text for text in row if text]
    assert sum(counted) == 5
    assert chart.z[3][3] == 3 and chart.z[0][0] == 0  # almost certain and critical; rare and low


def test_the_table_of_analyses_and_of_policies() -> None:
    html = analyses_html([card("<x>.pdf")])
    assert "&lt;x&gt;.pdf" in html and "Critical risk" in html and "4 open" in html
    html = choices_html([PolicyChoice("c1", "Vendors", 2, 31), PolicyChoice("c2", "New", 1, 0)])
    assert "31 requirements" in html and "not extracted yet" in html
    assert "starter policies" in choices_html([])


def test_requirements_can_be_changed_by_those_who_may() -> None:
    one = Requirement("r1", "Contracts <must> be kept.", "obligation", "high", "Vendors", condition="where signed")
    made = RequirementCard(one, "", "c1", "Vendors", "policy.md", "written", True, False, None, 1, None, NOW)
    html = requirements_html([made], may_write=True, narrowed=False, most=10)
    assert "Contracts &lt;must&gt; be kept." in html and 'data-do="save" data-id="r1"' in html and "<option selected>high</option>" in html
    assert "Condition: where signed" in html and "added manually" in html
    read = requirements_html([made], may_write=False, narrowed=False, most=10)
    assert "data-do" not in read and "<textarea" not in read
    off = requirements_html([replace(made, enabled=False, merged_into="r9")], may_write=True, narrowed=False, most=10)
    assert "merged into another" in off and "Enable" in off and "data-tick" not in off
    assert "Show 1 more" in requirements_html([made, made], may_write=True, narrowed=False, most=1)
    assert "Change the filters" in requirements_html([], may_write=True, narrowed=True, most=1)


def test_a_permission_never_waits() -> None:
    unsure = verdict(1, "Managers may use a form.", "satisfied", sure=0.4, modality="permission")
    assert choices(view(unsure)) == ["All 1", "Permission 1"]
