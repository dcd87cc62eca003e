"""One verdict as HTML: the requirement in its policy beside the evidence in the document, what to do, and the person's review."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from pipelines.compliance.actions import Draft, recommended
from pipelines.compliance.contract import VERDICTS, Evidence, RequirementVerdict
from pipelines.compliance.wording import LIMITS, STANDINGS, deciding, evidence_place, on_one_line, standing
from workbench.services.addresses import knowledge_address
from workbench.services.cited_pages import Cited
from workbench.ui.compliance.html import KINDS, severity_html, waiting
from workbench.ui.shared.actions import button
from workbench.ui.shared.formatting import capital, escape, moment, percent
from workbench.ui.shared.shell import chip, empty

if TYPE_CHECKING:
    from workbench.services.compliance import MatchCard

BEFORE, AFTER = 320, 700
"""Characters of a text without pages that are shown around a passage."""
NAMES = {"satisfied": "Satisfied", "violated": "Violated", "not_addressed": "Not addressed"}
NOTHING = empty("No requirement selected", "Select one to see its policy and the evidence side by side.")


def detail_html(analysis: str, match: MatchCard, policy: Cited | None, place: Cited | None, evidence: Evidence | None) -> str:
    """One verdict with its two sides.

    Args:
        policy: where the requirement stands; None where it was written by hand, or its policy is gone.
        place, evidence: where the chosen evidence stands; None where nothing was found.
    """
    one = match.verdict
    where = standing(one)
    marks = chip(STANDINGS[where], KINDS[where]) + severity_html(one.requirement.severity) + chip(one.requirement.modality)
    marks += chip(one.requirement.topic) if one.requirement.topic else ""
    marks += (
        chip("conflicting evidence", "limited", "Passages of the document support and contradict the requirement") if one.conflict else ""
    )
    differs = ""
    if evidence is not None and evidence.difference:
        differs = f'<p class="wb-note bad"><strong>Difference:</strong> {escape(evidence.difference)}</p>'
    return (
        f'<section class="wb-card wb-detail"><div class="wb-marks">{marks}</div>'
        f'<p class="wb-said">{escape(on_one_line(one.requirement.text, 900))}</p>{_likely(one)}{differs}'
        f'<div class="wb-sides">{_policy(one, policy)}{_document(analysis, match, place, evidence)}</div></section>'
    )


def _likely(one: RequirementVerdict) -> str:
    rows = "".join(
        f'<li><span>{NAMES[name]}</span><i><b class="{_CLASS[name]}" style="width:{100 * getattr(one.probabilities, name):.0f}%"></b></i>'
        f'<span class="wb-number">{percent(100 * getattr(one.probabilities, name))}</span></li>'
        for name in VERDICTS
    )
    return f'<ul class="wb-likely" aria-label="Probabilities of the three verdicts">{rows}</ul>'


_CLASS = {"satisfied": "satisfied", "violated": "violated", "not_addressed": "missing"}


def _policy(one: RequirementVerdict, found: Cited | None) -> str:
    source = one.requirement.source
    if source is None:
        return _side("In the policy", "Added manually or imported; not from a document.", "")
    name = escape(source.title or source.document)
    if found is None:
        quote = f'<div class="wb-verbatim" tabindex="0">{escape(source.text)}</div>'
        return _side("In the policy", f"{name}. The policy was deleted; this was its text.", quote)
    link = knowledge_address(source.collection_id, source.document, source.start)
    page = f", page {source.page}" if source.page else ""
    changed = '<p class="wb-why">Policy replaced since; this is its current text.</p>' if found.changed else ""
    if found.version is not None:
        changed = f'<p class="wb-quiet">Version {found.version}; replaced since.</p>'
    asked: dict[str, object] = {"collection": source.collection_id, "document": source.document, "page": source.page}
    asked |= {"start": source.start, "end": source.end, **({"version": found.version} if found.version is not None else {})}
    shown = changed + _shown(found, f"/mlops/query/page.png?{urlencode(asked)}")
    return _side("In the policy", f'<a href="{escape(link)}">{name}</a>{page}', shown)


def _document(analysis: str, match: MatchCard, found: Cited | None, evidence: Evidence | None) -> str:
    one = match.verdict
    if found is None or evidence is None:
        silent = "No relevant passage found."
        return _side("In the document", silent, "")
    asked = {"page": evidence.page, "start": evidence.start, "end": evidence.end}
    shown = _shown(found, f"/mlops/analysis/{analysis}/page.png?{urlencode(asked)}")
    told = escape(capital(evidence_place(evidence)))
    if evidence.heading:
        told += f" · {escape(evidence.heading.replace(' > ', ' › '))}"
    if one.effective == "not_addressed":
        told += ". Closest passage; not conclusive."
    return _side("In the document", told, shown + _others(match, evidence))


def _side(title: str, told: str, shown: str) -> str:
    return f'<div class="wb-side"><h3>{title}</h3><p class="wb-quiet">{told}</p>{shown}</div>'


def _shown(found: Cited, picture: str) -> str:
    quote = f"<mark data-here>{escape(found.quote)}</mark>"
    if not found.pdf:
        before = found.before[-BEFORE:].partition("\n\n")[2] if len(found.before) > BEFORE else found.before
        return f'<div class="wb-verbatim" tabindex="0">{_headings(before)}{quote}{_headings(found.after[:AFTER])} …</div>'
    alt = f"Page {found.page} of {escape(found.title)}, the passage marked"
    return (
        f'<blockquote class="wb-quote">{quote}</blockquote>'
        f'<a href="{escape(picture)}" target="_blank" rel="noopener" title="Open full-size page">'
        f'<img class="wb-page" loading="lazy" alt="{alt}" src="{escape(picture)}"></a>'
    )


def _headings(text: str) -> str:
    """Text as HTML, the marks of Markdown's headings shown as what they mean."""
    return re.sub(r"(?m)^#{1,6} (.+)$", r"<b>\1</b>", escape(text))


def _others(match: MatchCard, shown: Evidence) -> str:
    """The other passages, best first."""
    rows = "".join(
        f"<li>{button(on_one_line(evidence.text, 160), 'evidence', f'{match.id} {number}')}"
        f'<small class="wb-quiet">{escape(evidence_place(evidence))} · {_leaning(evidence)}</small></li>'
        for number, evidence in enumerate(match.verdict.evidence[:8])
        if evidence is not shown
    )
    return (
        f'<details class="wb-parts wb-others"><summary class="wb-quiet">Other passages</summary><ul>{rows}</ul></details>' if rows else ""
    )


def _leaning(evidence: Evidence) -> str:
    for_it, against = evidence.entailed, evidence.contradicted
    if max(for_it, against) < 0.3:
        return "not conclusive"
    return f"complies, {percent(100 * for_it)}" if for_it >= against else f"contradicts, {percent(100 * against)}"


def action_html(match: MatchCard, made: Draft | None = None, *, may_draft: bool = False) -> str:
    """What to do about a gap, and a draft of the new wording where one was asked for; empty where there is no gap.

    Args:
        may_draft: whether a draft is offered; drafts of the small embedded language model are not usable.
    """
    action = recommended(match.verdict)
    if action is None:
        return ""
    body = f"<p>{escape(action.text)}</p>" + ("" if made is None else _draft(made))
    if may_draft:
        body += f'<p class="wb-after">{button("Draft new wording" if made is None else "Draft again", "draft", match.id)}</p>'
    return f'<section class="wb-card wb-action"><h2>Recommended action</h2>{body}</section>'


def _draft(made: Draft) -> str:
    if not made.usable:
        return '<p class="wb-note">The language model did not produce a usable draft.</p>'
    rows = "".join(f"<li>{escape(sentence)}</li>" for sentence, _ in made.sentences)
    names = ", ".join(f"{escape(model.name)} version {escape(model.version)}" for model in made.models)
    return f'<ul class="wb-answer wb-draft">{rows}</ul><p class="wb-quiet">Draft by {names}. {escape(LIMITS)}</p>'


def review_html(match: MatchCard) -> str:
    """What people said of a verdict, and the form to confirm or overturn it; nothing for a permission."""
    one = match.verdict
    if standing(one) == "permission":
        return ""
    said = "".join(
        f"<li><b>{escape(review.person)}</b> {'confirmed' if review.agreed else 'decided'} “{NAMES[review.verdict]}” "
        f"{moment(review.created_at)}{f': {escape(review.reason)}' if review.reason else ''}</li>"
        for review in reversed(match.reviews)
    )
    history = f'<ul class="wb-reasons">{said}</ul>' if said else ""
    reason = "Conflicting evidence" if one.conflict else "Low confidence"
    why = f"{reason}: review needed." if waiting(match) else "Confirm the verdict, or change it and give a reason."
    others = "".join(
        f'<button type="button" class="wb-button small" data-do="review" data-id="{match.id} {name}">{NAMES[name]}</button>'
        for name in VERDICTS
        if name != one.verdict
    )
    return (
        f'<section class="wb-card wb-review" data-words><h2>Review</h2><p class="wb-quiet">{why}</p>{history}'
        f'<textarea rows="2" maxlength="2000" placeholder="Reason (required to change the verdict)" '
        f'aria-label="Review reason"></textarea>'
        f'<p class="wb-choices"><button type="button" class="wb-button small first" data-do="review" data-id="{match.id} {one.verdict}">'
        f'Confirm: {NAMES[one.verdict].lower()}</button><span class="wb-quiet">or change to</span>{others}</p></section>'
    )


def first_evidence(one: RequirementVerdict) -> Evidence | None:
    """The passage shown first: the deciding one, or the nearest where the document is silent."""
    return deciding(one) or next(iter(one.evidence), None)
