"""Policies and their requirements as HTML: what is asked for, where it stands, and the form to change it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from knowledge.requirements import MODALITIES, SEVERITIES
from workbench.services.addresses import knowledge_address
from workbench.ui.compliance.html import severity_html
from workbench.ui.shared.actions import button
from workbench.ui.shared.formatting import capital, escape, moment, plural
from workbench.ui.shared.shell import chip, empty

if TYPE_CHECKING:
    from workbench.services.compliance import RequirementCard
    from workbench.services.compliance_sending import PolicyChoice
    from workbench.services.knowledge import CollectionCard

LONGEST = 4000
PARTS = ("subject", "action", "condition", "exception")
ORIGINS = {"extracted": "", "written": "added manually", "imported": "imported", "merged": "merged"}

# A button carries the fields of its own form; the one that merges carries which requirements are ticked.
ON_REQUIREMENT = """element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-do]');
  if (!button || (button.dataset.ask && !confirm(button.dataset.ask))) return;
  button.disabled = true;
  setTimeout(() => { button.disabled = false; }, 4000);
  const form = button.closest('[data-form]');
  const fields = Object.fromEntries([...(form?.querySelectorAll('[name]') ?? [])].map((field) => [field.name, field.value]));
  const ticked = [...element.querySelectorAll('input[data-tick]:checked')].map((box) => box.value);
  trigger('submit', { action: button.dataset.do, id: button.dataset.id ?? '', fields: JSON.stringify(fields), ticked: ticked.join(' ') });
});
element.addEventListener('change', (event) => {
  if (!event.target.matches('input[data-tick]')) return;
  const count = element.querySelectorAll('input[data-tick]:checked').length;
  const bar = element.querySelector('[data-merge]');
  if (bar) { bar.hidden = count < 2; bar.querySelector('b').textContent = count; }
});"""


def policies_html(found: Sequence[PolicyChoice]) -> str:
    """Collections that a document can be checked against."""
    if not found:
        return empty(
            "No policies yet",
            'Add your policies as documents to a <a href="/knowledge">collection</a>, or start with the starter policies. '
            "Requirements are extracted from them.",
        )
    rows = "".join(
        f'<tr><th scope="row"><a href="/requirements?collection={escape(one.collection_id)}">{escape(one.name)}</a></th>'
        f'<td class="wb-number">{plural(one.requirements, "requirement") if one.requirements else "not extracted yet"}</td>'
        f'<td class="wb-number"><a href="{knowledge_address(one.collection_id)}">{plural(one.documents, "document")}</a></td></tr>'
        for one in found
    )
    head = "<th>Policies</th><th class=wb-number>Requirements</th><th class=wb-number>Documents</th>"
    return (
        '<section class="wb-card"><table class="wb-table wb-jobs wb-kb"><thead><tr>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table></section>"
    )


def policy_title_html(card: CollectionCard, version: int, cards: Sequence[RequirementCard]) -> str:
    """The collection's name, its policy version, and what it asks for."""
    on = [one for one in cards if one.enabled]
    parts = [plural(len(on), "requirement")]
    parts += [plural(count, name) for name in MODALITIES if (count := sum(one.requirement.modality == name for one in on))]
    parts += [f"{len(cards) - len(on)} disabled"] if len(cards) > len(on) else []
    link = f'<a class="wb-button" href="{knowledge_address(card.id)}">Documents</a>'
    return (
        f'<div class="wb-title"><div><a class="wb-back" href="/requirements">Requirements</a><h1>{escape(card.name)}</h1>'
        f'<p class="wb-quiet">policy version {version} · {" · ".join(parts)}</p></div><div class="wb-downloads">{link}'
        f'<a class="wb-button first" href="/compliance">Check a document</a></div></div>'
    )


def requirements_html(cards: Sequence[RequirementCard], *, may_write: bool, narrowed: bool, most: int, open_id: str = "") -> str:
    """The requirements, policy by policy, each with its form.

    Args:
        narrowed: only some were asked for.
        most: shown at once.
        open_id: the one whose form is open.
    """
    if not cards:
        if narrowed:
            return empty("No matching requirements", "Change the filters or the search.")
        return empty("No requirements yet", "Add policies to the collection, or add or import requirements below.")
    parts, document = [], None
    for card in cards[:most]:
        if card.document != document:
            document = card.document
            parts.append(f"<h3>{escape(document or 'Added manually or imported')}</h3>")
        parts.append(_requirement(card, may_write=may_write, is_open=card.requirement.id == open_id))
    merge = ""
    if may_write:
        merge = f'<p class="wb-merge" data-merge hidden><b></b> selected {button("Merge", "merge")}</p>'
    more = f'<p class="wb-after">{button(f"Show {len(cards) - most} more", "more")}</p>' if len(cards) > most else ""
    return f'<section class="wb-card wb-requirements">{merge}{"".join(parts)}{more}</section>'


def _requirement(card: RequirementCard, *, may_write: bool, is_open: bool) -> str:
    one = card.requirement
    marks = chip(one.modality, "plain") + severity_html(one.severity)
    marks += chip(ORIGINS[card.origin], "live") if ORIGINS.get(card.origin) else ""
    marks += chip("edited", "live") if card.edited and card.origin == "extracted" else ""
    marks += chip("merged into another" if card.merged_into else "disabled", "limited") if not card.enabled else ""
    tick = ""
    if may_write and card.enabled:
        tick = f'<input type="checkbox" data-tick value="{escape(one.id)}" aria-label="Select to merge: {escape(one.text[:80])}">'
    return (
        f'<div class="wb-requirement{"" if card.enabled else " off"}">{tick}<details{" open" if is_open else ""}>'
        f'<summary><span>{escape(one.text)}</span><span class="wb-marks">{marks}</span></summary>{_form(card, may_write)}</details></div>'
    )


def _form(card: RequirementCard, may_write: bool) -> str:
    one = card.requirement
    facts = [f"{capital(part)}: {escape(getattr(one, part))}" for part in PARTS if getattr(one, part)]
    facts += [f"Topic: {escape(one.topic)}"] if one.topic else []
    if one.source:
        page = f", page {one.source.page}" if one.source.page else ""
        link = knowledge_address(card.collection_id, one.source.document, one.source.start)
        facts.append(f'<a href="{escape(link)}">Open in {escape(one.source.title or one.source.document)}{page}</a>')
    facts.append(f"Version {one.version}, {moment(card.created_at)}")
    told = "".join(f"<li>{fact}</li>" for fact in facts)
    if not may_write:
        return f'<ul class="wb-reasons">{told}</ul>'
    switch = button("Disable", "off", one.id) if card.enabled else button("Enable", "on", one.id)
    return (
        f'<ul class="wb-reasons">{told}</ul><div class="wb-fields" data-form>'
        f'<textarea name="text" rows="3" maxlength="{LONGEST}" aria-label="Requirement text">{escape(one.text)}</textarea>'
        f"<p>{_select('severity', SEVERITIES, one.severity)}{_select('modality', MODALITIES, one.modality)}"
        f'<label>Topic <input name="topic" maxlength="200" value="{escape(one.topic)}"></label>'
        f'<button type="button" class="wb-button small first" data-do="save" data-id="{escape(one.id)}">Save</button>{switch}'
        f"{button('Earlier versions', 'history', one.id) if one.version > 1 else ''}</p></div>"
    )


def _select(name: str, options: Sequence[str], chosen: str) -> str:
    made = "".join(f"<option{' selected' if option == chosen else ''}>{option}</option>" for option in options)
    return f'<label>{capital(name)} <select name="{name}">{made}</select></label>'


def history_html(cards: Sequence[RequirementCard]) -> str:
    """The versions of one requirement, the newest first."""
    rows = "".join(
        f"<tr><td class=wb-number>{card.requirement.version}</td><td class=wb-wrap>{escape(card.requirement.text)}"
        f"{'' if card.enabled else ' ' + chip('disabled', 'limited')}</td><td>{card.requirement.severity}</td>"
        f"<td>{card.requirement.modality}</td><td class=wb-when>{moment(card.created_at)}</td></tr>"
        for card in cards
    )
    return (
        f'<section class="wb-card"><div class="wb-card-head"><h2>Requirement history</h2>{button("Close", "close")}</div>'
        f'<table class="wb-table wb-jobs"><tbody>{rows}</tbody></table></section>'
    )
