"""The compliance dashboard's words and lists as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.compliance.wording import on_one_line
from workbench.services.addresses import knowledge_address
from workbench.ui.compliance.html import address, severity_html
from workbench.ui.shared.formatting import escape, percent, plural
from workbench.ui.shared.shell import chip, panel

if TYPE_CHECKING:
    from workbench.services.compliance import Dashboard, OpenReview, PolicyCard


def figures_html(found: Dashboard) -> str:
    """The numbers that are read first."""
    latest = list({card.document: card for card in found.analyses}.values())  # the last one of each document
    mean = sum(card.score for card in latest) / len(latest) if latest else 0.0
    critical = sum(card.risk in ("high", "critical") for card in latest)
    agreement = "–" if found.agreement is None else percent(100 * found.agreement)
    shown = (
        ("Documents checked", str(len(latest)), f"in {plural(len(found.analyses), 'run')}"),
        ("Mean score", f"{mean:.0f}", "of the latest analyses"),
        ("High or critical risk", str(critical), f"of {plural(len(latest), 'document')}"),
        ("Open reviews", str(found.open_reviews), "uncertain verdicts"),
        ("Reviewer agreement", agreement, "with the models" if found.agreement is not None else "no reviews yet"),
    )
    return '<dl class="wb-figures">' + "".join(f"<div><dt>{n}</dt><dd>{v}</dd><dd class=note>{t}</dd></div>" for n, v, t in shown) + "</dl>"


def violated_html(violated: Sequence[tuple[str, int]], most_shown: int = 6) -> str:
    """The requirements that documents break most often, as bars."""
    if not violated:
        return panel("Most violated requirements", '<p class="wb-quiet">No violated requirements</p>')
    most = max(times for _, times in violated)
    rows = "".join(
        f'<li><span>{escape(on_one_line(text, 180))}</span><i><b style="width:{100 * times / most:.0f}%"></b></i>'
        f'<span class="wb-number">{times}</span></li>'
        for text, times in violated[:most_shown]
    )
    return panel("Most violated requirements", f'<ul class="wb-ranked">{rows}</ul>')


def policies_html(policies: Sequence[PolicyCard]) -> str:
    """Each policy collection with its version and requirements."""
    if not policies:
        return panel("Policies", '<p class="wb-quiet">No policies yet. <a href="/requirements">Add policies</a></p>')
    rows = "".join(
        f'<tr><th scope="row"><a href="/requirements?collection={escape(one.collection_id)}">{escape(one.name)}</a>'
        f"<small>version {one.version}</small></th>"
        f'<td class="wb-number"><a href="{knowledge_address(one.collection_id)}">{plural(one.documents, "document")}</a></td>'
        f'<td class="wb-number">{plural(one.requirements, "requirement")}</td>'
        f"<td>{chip(f'{one.switched_off} disabled', 'limited') if one.switched_off else ''}</td></tr>"
        for one in policies
    )
    aside = '<a class="wb-quiet" href="/requirements">All policies</a>'
    return panel("Policies", f'<table class="wb-table wb-jobs"><tbody>{rows}</tbody></table>', aside=aside)


def reviews_html(reviews: Sequence[OpenReview], count: int) -> str:
    """What waits for a person, the most uncertain first; each opens its verdict."""
    if not reviews:
        return panel("Open reviews", '<p class="wb-quiet">No open reviews</p>')
    rows = "".join(
        f'<li><a href="{address(one.analysis_id, one.match_id)}">{escape(on_one_line(one.text, 150))}</a>'
        f'<span class="wb-marks">{severity_html(one.severity)}{chip("conflicting evidence", "limited") if one.conflict else ""}'
        f'<small class="wb-quiet">{escape(one.document)}</small></span></li>'
        for one in reviews
    )
    more = f'<p class="wb-quiet wb-after">{count - len(reviews)} more in the analyses</p>' if count > len(reviews) else ""
    return panel(f"Open reviews ({count})", f'<ul class="wb-waiting">{rows}</ul>{more}')
