"""A document and its chunks as HTML."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.services.addresses import knowledge_address
from workbench.services.knowledge import ChunkCard, DocumentCard, VersionCard
from workbench.services.knowledge.chunks import LONGEST
from workbench.ui.knowledge.html import document_name, path_of, state_html
from workbench.ui.shared.actions import button
from workbench.ui.shared.formatting import escape, moment, plural, size
from workbench.ui.shared.shell import chip, empty


def document_title_html(card: DocumentCard, *, may_write: bool) -> str:
    """Its name, how it is, what it takes, and what can be done with it."""
    said = [plural(card.pages, "page")] if card.pages else []
    said += [plural(card.chunks, "chunk"), size(card.size), f"updated {moment(card.updated_at)}"]
    name = f"<p>{escape(str(card.facts['title']))}</p>" if card.facts["title"] else ""
    links = ""
    if card.has_file:
        links += f'<a class="wb-button" href="/mlops/kb/{card.collection_id}/documents/{card.id}/file" download>Download</a>'
    if may_write:
        ask = escape(f"Remove {card.document} from {card.collection}? Its file, text and chunks are deleted.")
        links += f'<button type="button" class="wb-button wb-danger" data-do="remove" data-ask="{ask}">Remove</button>'
    return (
        f'<div class="wb-title"><div><a class="wb-back" href="{knowledge_address(card.collection_id)}">{escape(card.collection)}</a>'
        f'<h1>{document_name(card.document)}</h1>{name}<p class="wb-quiet">{" · ".join(said)} {state_html(card)}</p></div>'
        f'<div class="wb-downloads">{links}</div></div>{_notes(card)}'
    )


def _notes(card: DocumentCard) -> str:
    notes = ""
    if card.state == "failed":
        why = escape(str((card.error or {}).get("message") or "No reason given."))
        kept = " The previous version stays searchable." if card.chunks else ""
        notes += f'<div class="wb-note bad" role="alert"><strong>Upload failed.</strong> {why}{kept}</div>'
    return notes + "".join(f'<div class="wb-note limited">{escape(warning)}</div>' for warning in card.warnings)


def versions_html(card: DocumentCard, versions: Sequence[VersionCard]) -> str:
    """Versions that were replaced; nothing where there are none."""
    if not versions:
        return ""
    place = f"/mlops/kb/{card.collection_id}/documents/{card.id}/versions"
    rows = "".join(
        f'<tr><th scope="row">Version {one.version}</th><td>replaced {moment(one.replaced_at)}</td>'
        f'<td class="wb-number">{plural(one.pages, "page") if one.pages else ""}</td><td class="wb-number">{size(one.size)}</td>'
        f'<td class="wb-actions"><a class="wb-link" href="{place}/{one.version}/file" download>Download</a></td></tr>'
        for one in versions
    )
    told = "Not searched. Citations of an earlier version still open it."
    table = f'<table class="wb-table wb-jobs"><tbody>{rows}</tbody></table>'
    return f'<section class="wb-card"><h2>Earlier versions</h2><p class="wb-quiet">{told}</p>{table}</section>'


def chunks_html(card: DocumentCard, chunks: Sequence[ChunkCard], *, may_write: bool, at_once: int, here: int | None = None) -> str:
    """Some of its chunks, with the way to those before and after.

    Args:
        at_once: chunks on one look.
        here: position of the one that was asked for.
    """
    if not chunks:
        if card.state in ("queued", "reading", "embedding"):
            return empty("Processing", "Chunks appear here when the document is ready. Reload the page to check.")
        return empty("No chunks", "The document could not be read. Fix the file and upload it again.")
    first, last = chunks[0].position, chunks[-1].position
    way = ""
    if card.chunks > at_once:
        before = button("Previous", "from", str(max(0, first - at_once))) if first > 0 else ""
        after = button("Next", "from", str(last + 1)) if last + 1 < card.chunks else ""
        way = f'<span class="wb-quiet wb-number">{before} {first + 1} to {last + 1} of {card.chunks} {after}</span>'
    body = "".join(_chunk(chunk, may_write=may_write, here=chunk.position == here) for chunk in chunks)
    told = "Disabled chunks are excluded from answers. Search text replaces a chunk's text in searches; citations show the original text."
    foot = f'<p class="wb-after">{way}</p>' if way else ""
    head = f'<div class="wb-card-head"><h2>Chunks</h2>{way}</div>'
    return f'<section class="wb-card">{head}<p class="wb-quiet">{told}</p>{body}{foot}</section>'


def _chunk(chunk: ChunkCard, *, may_write: bool, here: bool) -> str:
    pages = ""
    if chunk.page is not None:
        several = chunk.last_page not in (None, chunk.page)
        pages = f"pages {chunk.page} to {chunk.last_page}" if several else f"page {chunk.page}"
    facts = [f"{chunk.position + 1}", pages, escape(path_of(chunk.headings)), f"{chunk.tokens} tokens"]
    chips = ("" if chunk.enabled else chip("disabled", "limited")) + (chip("custom search text", "live") if chunk.search_text else "")
    about, tools, words = " · ".join(fact for fact in facts if fact), "", ""
    if may_write:
        tools = button("Disable", "off", str(chunk.id)) if chunk.enabled else button("Enable", "on", str(chunk.id))
        words = _words(chunk)
    return (
        f'<article class="wb-chunk{"" if chunk.enabled else " off"}"{" data-here" if here else ""}>'
        f'<header><span class="wb-quiet">{about}</span> {chips}<span class="wb-tools">{tools}</span></header>'
        f'<p class="wb-verbatim">{escape(chunk.text)}</p>{words}</article>'
    )


def _words(chunk: ChunkCard) -> str:
    back = button("Reset to original text", "own-words", str(chunk.id)) if chunk.search_text else ""
    return (
        '<details class="wb-parts" data-words><summary class="wb-quiet">Search text</summary>'
        f'<textarea rows="4" maxlength="{LONGEST}" aria-label="Search text of chunk {chunk.position + 1}">'
        f"{escape(chunk.search_text or chunk.text)}</textarea>"
        f"<p>{button('Save', 'reword', str(chunk.id))} {back}</p></details>"
    )
