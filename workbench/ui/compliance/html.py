"""An analysis as HTML: the finding first, then every verdict, the severest violations before the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from knowledge.requirements.contract import SEVERITIES
from pipelines.compliance.contract import ComplianceReport, OwnObligation
from pipelines.compliance.records import ASKED
from pipelines.compliance.scoring import FORMULA
from pipelines.compliance.wording import (
    LIMITS,
    MEANINGS,
    RISK_WORDS,
    STANDINGS,
    Standing,
    counted,
    explained,
    headline,
    on_one_line,
    policy_place,
    standing,
)
from workbench.ui.shared.actions import button
from workbench.ui.shared.cards import model_words, role_name
from workbench.ui.shared.formatting import capital, duration, escape, moment, percent, plural
from workbench.ui.shared.shell import chip, empty, html, panel

if TYPE_CHECKING:
    from infra.database.tables import AnalysisJob
    from workbench.services.compliance import AnalysisCard, AnalysisView, MatchCard

KINDS: dict[Standing, str] = {"violated": "bad", "missing": "limited", "satisfied": "good", "silent": "plain", "permission": "plain"}
RISK_KINDS = {"low": "good", "medium": "limited", "high": "bad", "critical": "bad"}
FILES = (("report.pdf", "PDF"), ("report.docx", "Word"), ("report.json", "JSON"), ("requirements.csv", "CSV"))
REVIEW = "To review"
PARTS = (("Document analysis", "/compliance"), ("Requirements", "/requirements"), ("Dashboard", "/compliance-dashboard"))


def address(analysis: str, match: str = "") -> str:
    """Of an analysis, and of one of its verdicts."""
    return f"/compliance?{urlencode({'job': analysis, **({'match': match} if match else {})})}"


def analyses_html(cards: Sequence[AnalysisCard]) -> str:
    """Analyses as a table, the newest first."""
    rows = "".join(_analysis(card) for card in cards)
    head = "<th>Document</th><th>Risk</th><th class=wb-number>Score</th><th class=wb-number>Violated</th>"
    head += "<th>To review</th><th>Analysed</th>"
    return f'<section class="wb-card"><table class="wb-table wb-jobs"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></section>'


def _analysis(card: AnalysisCard) -> str:
    against = escape(", ".join(str(one["name"]) for one in card.policies))
    violated = card.counts.get("violated", 0)
    waiting = chip(f"{card.open_reviews} open", "limited") if card.open_reviews else ""
    return (
        f'<tr><th scope="row"><a href="{address(card.id)}">{escape(card.document)}</a><small>{against}</small></th>'
        f"<td>{chip(RISK_WORDS[card.risk], RISK_KINDS[card.risk])}</td>"
        f'<td class="wb-number">{card.score:.0f}<span class="wb-unit"> of 100</span></td>'
        f'<td class="wb-number">{violated}<span class="wb-unit"> violated</span></td>'
        f'<td>{waiting}</td><td class="wb-when">{moment(card.created_at)}</td></tr>'
    )


def title_html(job: AnalysisJob | None, view: AnalysisView | None) -> str:
    """The document's name, what it was checked against, and what can be taken away."""
    facts, links = [], ""
    if view is not None:
        report = view.report
        facts.append("against " + escape(", ".join(f"{one['name']}{_version(one)}" for one in report.policies)))
        facts.append(f"checked {moment(view.created_at)}")
        total = report.seconds.get("total") or sum(report.seconds.values())
        facts += [f"in {duration(total)}"] if total else []
        links = "".join(
            f'<a class="wb-button{" first" if name == "report.pdf" else ""}" href="/mlops/analysis/{view.id}/files/{name}" download>'
            f"{label}</a>"
            for name, label in FILES
        )
    elif job is not None:
        facts.append(f"sent {moment(job.created_at)}")
    name = view.report.document if view is not None else job.title if job is not None else ""
    return (
        f'<div class="wb-title"><div><a class="wb-back" href="/compliance">New analysis</a><h1>{escape(name)}</h1>'
        f'<p class="wb-quiet">{" · ".join(facts)}</p></div><div class="wb-downloads">{links}</div></div>'
    )


def _version(policy: object) -> str:
    version = dict(policy).get("version")  # type: ignore[call-overload]
    return f" (version {version})" if version else ""


def finding_html(view: AnalysisView) -> str:
    """The finding: score, risk, how the requirements stand, and how the score came about."""
    report = view.report
    grade = report.grade
    count = counted(report.requirements)
    changed = view.first_score != grade.score
    was = f'<p class="wb-quiet">Score before review: {view.first_score:.0f}.</p>' if changed else ""
    notes = "".join(f'<p class="wb-note limited">{escape(warning)}</p>' for warning in report.warnings)
    why = "".join(f"<li>{escape(sentence)}</li>" for sentence in explained(report))
    return (
        f'<section class="wb-card wb-grade">{score_html(grade.score)}<div><p class="wb-said">{escape(headline(report))}</p>'
        f"<p>{chip(RISK_WORDS[grade.risk], RISK_KINDS[grade.risk])}</p>{bar_html(count)}{was}"
        f'<details class="wb-parts"><summary class="wb-quiet">How the score and risk are calculated</summary>'
        f'<ul class="wb-reasons">{why}</ul><p class="wb-quiet wb-formula">{escape(FORMULA)}</p></details></div></section>{notes}'
    )


def score_html(score: float) -> str:
    """The score as a ring."""
    length = 2 * 3.14159 * 42
    return (
        f'<figure class="wb-ring" role="img" aria-label="Score {score:.0f} of 100"><svg viewBox="0 0 100 100">'
        f'<circle cx="50" cy="50" r="42"/><circle cx="50" cy="50" r="42" stroke-dasharray="{length * score / 100:.1f} {length:.1f}"/></svg>'
        f"<b>{score:.0f}</b><small>of 100</small></figure>"
    )


def bar_html(count: dict[Standing, int]) -> str:
    """How many requirements stand where, as a bar with its legend. Permissions are in the legend alone."""
    parts = "".join(f'<i class="{name}" style="flex:{number}"></i>' for name, number in count.items() if number and name != "permission")
    legend = "".join(
        f'<li title="{escape(capital(MEANINGS[name]))}"><i class="{name}"></i><b>{number}</b> {STANDINGS[name].lower()}</li>'
        for name, number in count.items()
        if number
    )
    return f'<div class="wb-split" aria-hidden="true">{parts}</div><ul class="wb-legend">{legend}</ul>'


def waiting(match: MatchCard) -> bool:
    """Whether a person should look at it: it is uncertain, or its spans disagree, and nobody has."""
    return standing(match.verdict) != "permission" and match.verdict.uncertainty >= ASKED


def choices(view: AnalysisView) -> list[str]:
    """The table's filters, each with how many it shows: ``Violated 3``."""
    count = counted(view.report.requirements)
    named = {"All": len(view.matches), REVIEW: sum(waiting(match) for match in view.matches)}
    named |= {STANDINGS[name]: number for name, number in count.items()}
    return [f"{name} {number}" for name, number in named.items() if number or name == "All"]


def shown(view: AnalysisView, wanted: str, severity: str = "All", policy: str = "All", text: str = "") -> list[MatchCard]:
    """The verdicts of the list: gaps first, the severest before the others and of one severity the most certain; then the rest.

    Args:
        wanted: one of :func:`choices`; ``severity`` and ``policy`` a severity or a policy's document, or All.
        text: only requirements with it.
    """
    name = wanted.rpartition(" ")[0] or wanted
    order = list(STANDINGS)
    found = [
        match
        for match in view.matches
        if (name == "All" or (name == REVIEW and waiting(match)) or STANDINGS[standing(match.verdict)] == name)
        and severity.lower() in ("all", match.verdict.requirement.severity)
        and policy in ("All", policy_of(match))
        and text.strip().lower() in match.verdict.requirement.text.lower()
    ]

    def key(match: MatchCard) -> tuple[int, int, int, float, int]:
        one = match.verdict
        where, severity = standing(one), -SEVERITIES.index(one.requirement.severity)
        certainty = getattr(one.believed, one.effective)
        gap = where in ("violated", "missing")
        return (0 if gap else order.index(where)), (severity if gap else 0), order.index(where), -certainty, match.position

    return sorted(found, key=key)


def policy_of(match: MatchCard) -> str:
    """The policy's document as people call it; requirements without one are ``Added manually``."""
    source = match.verdict.requirement.source
    return (source.title or source.document) if source else "Added manually"


def verdicts_html(matches: Sequence[MatchCard], chosen: str, *, most: int = 200) -> str:
    """The list of verdicts; each opens its two sides."""
    if not matches:
        return empty("No matching requirements", "Change the filters or the search.")
    rows = "".join(_verdict(match, match.id == chosen) for match in matches[:most])
    more = (
        f'<p class="wb-quiet wb-after">{plural(len(matches) - most, "more requirement")}. Use the filters to narrow the list.</p>'
        if len(matches) > most
        else ""
    )
    return f'<ul class="wb-verdicts">{rows}</ul>{more}'


def _verdict(match: MatchCard, current: bool) -> str:
    one = match.verdict
    where = standing(one)
    marks = chip(STANDINGS[where], KINDS[where], capital(MEANINGS[where]))
    marks += "" if where == "permission" else severity_html(one.requirement.severity)
    if one.reviewed:
        marks += chip("reviewed", "live")
    elif one.conflict:
        marks += chip("conflicting evidence", "limited")
    elif waiting(match):
        marks += chip("uncertain", "limited", "Low-confidence verdict")
    sure = "" if one.reviewed or where == "permission" else percent(100 * getattr(one.probabilities, one.verdict)).replace(".0", "")
    here = ' aria-current="true"' if current else ""
    return (
        f'<li><button type="button" class="{where}" data-do="open" data-id="{match.id}"{here}>'
        f'<span class="wb-marks">{marks}<em class="wb-number">{sure}</em></span>'
        f"<span>{escape(on_one_line(one.requirement.text, 260))}</span>"
        f"<small>{escape(policy_place(one.requirement.source))}</small></button></li>"
    )


def severity_html(severity: str) -> str:
    """A severity as a word with one to four marks."""
    level = SEVERITIES.index(severity) + 1  # type: ignore[arg-type]
    return f'<span class="wb-severity s{level}" title="Severity: {severity}"><i></i><i></i><i></i><i></i>{severity}</span>'


def own_html(own: Sequence[OwnObligation]) -> str:
    """What the document asks for by itself."""
    if not own:
        return ""
    items = "".join(
        f"<li>{escape(on_one_line(one.text))}{f' <span class=wb-quiet>page {one.page}</span>' if one.page else ''}</li>" for one in own[:60]
    )
    more = f"<li>{len(own) - 60} more in the JSON file</li>" if len(own) > 60 else ""
    told = '<p class="wb-quiet">Obligations in the document that no selected requirement covers.</p>'
    return panel(f"Not covered by a policy ({len(own)})", f'{told}<ul class="wb-reasons wb-own">{items}{more}</ul>')


def made_html(report: ComplianceReport) -> str:
    """Which models made it, and what took how long."""
    rows = "".join(
        f'<tr><th scope="row">{role_name(model.role)}</th><td class="wb-wrap">'
        f"{model_words(model.name, model.version, model.backend, model.device)}</td></tr>"
        for model in report.models
    )
    times = " · ".join(f"{escape(stage)} {duration(seconds)}" for stage, seconds in report.seconds.items())
    return panel("Models", f'<table class="wb-table wb-roles"><tbody>{rows}</tbody></table><p class="wb-quiet wb-after">{times}</p>')


def delete_html(view: AnalysisView) -> str:
    """The button that deletes an analysis, which asks first."""
    ask = f"Delete the analysis of {view.report.document}, including its reviews and the document?"
    return f'<p class="wb-after">{button("Delete analysis", "delete", view.id, ask=ask)}</p>'


def sub_bar(active: str) -> Any:
    """The programme's pages; ``active`` is the name of the one that is shown."""
    links = "".join(f'<a href="{address}"{" aria-current=page" if name == active else ""}>{name}</a>' for name, address in PARTS)
    return html(f'<nav class="wb-sub" aria-label="Compliance">{links}</nav>', elem_classes="wb-sub-holder")


def last_line() -> Any:
    """The footer of the compliance pages."""
    return html(f'<footer class="wb-foot">{LIMITS}</footer>')
