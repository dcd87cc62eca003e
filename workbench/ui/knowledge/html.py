"""Collections and documents as HTML: lists, tables, and what is being added."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from knowledge.library import Storage
from workbench.services.addresses import knowledge_address
from workbench.services.knowledge import CollectionCard, DocumentCard, FoundPassage, MemberCard
from workbench.services.progress import JobProgress
from workbench.ui.shared.actions import button
from workbench.ui.shared.formatting import escape, moment, plural, size
from workbench.ui.shared.shell import chip, empty, progress_bar

_KIND = {"ready": "good", "failed": "bad", "queued": "plain", "reading": "live", "embedding": "live"}
_NAMES = {"ready": "Ready", "failed": "Failed", "queued": "Queued", "reading": "Reading", "embedding": "Embedding"}


def collections_html(cards: list[CollectionCard]) -> str:
    """All that the person may read."""
    if not cards:
        return empty(
            "No collections yet",
            "Create one above, then upload documents. To add a whole folder from the command line: "
            '<span class="wb-code">workbench kb add FOLDER --collection NAME</span>',
        )
    rows = "".join(_collection(card) for card in cards)
    return _table(("Collection", "State", "#Documents", "#Chunks", "Created"), rows)


def _collection(card: CollectionCard) -> str:
    said = []
    if card.working:
        said.append(chip(f"{card.working} in progress", "live"))
    if card.failed:
        said.append(chip(f"{card.failed} failed", "bad"))
    if not said and card.documents:
        said.append(chip("Ready", "good"))
    whose = "" if card.mine else f"{escape(card.owner)}’s, {'read and write' if card.may_write else 'read-only'}"
    parts = (escape(card.description), whose, "shared with everyone" if card.shared and card.mine else "")
    told = " · ".join(part for part in parts if part)
    return (
        f'<tr><th scope="row"><a href="{knowledge_address(card.id)}">{escape(card.name)}</a>{f"<small>{told}</small>" if told else ""}</th>'
        f'<td>{" ".join(said) or chip("Empty")}</td><td class="wb-number">{_counted(card.documents, "document")}</td>'
        f'<td class="wb-number">{_counted(card.chunks, "chunk")}</td><td class="wb-when">{moment(card.created_at)}</td></tr>'
    )


def collection_title_html(card: CollectionCard, storage: Storage | None) -> str:
    """Its name, what is in it and what it takes, and what can be done with it."""
    said = [plural(card.documents, "document"), plural(card.chunks, "chunk")]
    if storage is not None:
        parts = f"files {size(storage.files)}, texts {size(storage.texts)}, vectors {size(storage.vectors)}"
        said.append(f'<span title="{parts}">{size(storage.files + storage.texts + storage.vectors)} stored</span>')
    said.append("yours" if card.mine else f"{escape(card.owner)}’s{'' if card.may_write else ', read-only'}")
    if card.shared:
        said.append("shared with everyone")
    about = f"<p>{escape(card.description)}</p>" if card.description else ""
    return (
        f'<div class="wb-title"><div><a class="wb-back" href="/knowledge">Knowledge</a><h1>{escape(card.name)}</h1>{about}'
        f'<p class="wb-quiet">{" · ".join(said)}</p></div><div class="wb-downloads">'
        f'<a class="wb-button" href="/requirements?{urlencode({"collection": card.id})}">Requirements</a></div></div>'
    )


def adding_html(jobs: list[JobProgress]) -> str:
    """What is being added to a collection, job by job, with how far it is."""
    return "".join(_adding(progress) for progress in jobs)


def _adding(progress: JobProgress) -> str:
    job, name = progress.job, escape(progress.job.title)
    if job.state == "failed":
        why = escape(str((job.error or {}).get("message") or "No reason given."))
        again = button("Try again", "retry", job.id, title=f"Try again: {job.title}")
        return f'<div class="wb-note bad" role="alert"><strong>Adding {name} failed.</strong> {why} {again}</div>'
    running = next((stage for stage in progress.stages if stage.state == "running"), None)
    said = escape(running.message or running.title) if running else "Queued"
    stop = button("Cancel", "cancel", job.id, title=f"Cancel: {job.title}")
    return (
        f'<section class="wb-card wb-adding" data-state="{job.state}" aria-live="polite"><div class="wb-card-head">'
        f"<h2>Adding {name}</h2>{stop}</div>{progress_bar(f'Adding {job.title}', job.fraction)}"
        f'<p class="wb-quiet">{said}. You can close this page; the job continues.</p></section>'
    )


def documents_html(card: CollectionCard, documents: list[DocumentCard], *, more: bool, narrowed: bool) -> str:
    """The table of a collection's documents, by name.

    Args:
        more: there are others after these.
        narrowed: only those with a text or a state were asked for.
    """
    if not documents:
        if narrowed:
            return empty("No matching documents", "Change the filter or the search.")
        if not card.may_write:
            return empty("No documents yet", "No documents have been added.")
        told = "Upload documents above. Each can be searched as soon as it is ready."
        return empty("No documents yet", told)
    rows = "".join(_document(card, one) for one in documents)
    head = ("Document", "State", "#Pages", "#Chunks", "#Size", "Updated", '<span class="wb-hidden">Actions</span>')
    return _table(head, rows, f'<p class="wb-after">{button("Show more", "more")}</p>' if more else "")


def _table(head: Sequence[str], rows: str, after: str = "") -> str:
    """A table on a card; a column whose name begins with # holds numbers."""
    names = "".join(f'<th class="wb-number">{name[1:]}</th>' if name.startswith("#") else f"<th>{name}</th>" for name in head)
    table = f'<table class="wb-table wb-jobs wb-kb"><thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table>'
    return f'<section class="wb-card">{table}{after}</section>'


def _document(card: CollectionCard, one: DocumentCard) -> str:
    remove = ""
    if card.may_write:
        ask = f"Remove {one.document} from {card.name}? Its file, text and chunks are deleted."
        remove = button("Remove", "remove", one.id, ask=ask, title=f"Remove {one.document}")
    cells = "".join(
        f'<td class="wb-number">{text}</td>'
        for text in (_counted(one.pages, "page"), _counted(one.chunks, "chunk"), size(one.size) if one.size else "")
    )
    return (
        f'<tr data-state="{one.state}"><th scope="row">'
        f'<a href="{knowledge_address(one.collection_id, one.id)}">{document_name(one.document)}</a>'
        f"{_told(one)}</th><td>{state_html(one)}</td>{cells}"
        f'<td class="wb-when">{moment(one.updated_at)}</td><td class="wb-actions">{remove}</td></tr>'
    )


def _counted(count: int | None, word: str) -> str:
    """A number whose unit is said where the table's head is not shown; nothing for none."""
    if not count:
        return ""
    value, _, unit = plural(count, word).rpartition(" ")
    return f'{value}<span class="wb-unit"> {unit}</span>'


def document_name(name: str) -> str:
    """A document's name, the folders before it quiet."""
    folder, slash, last = name.rpartition("/")
    return f'<span class="wb-quiet">{escape(folder + slash)}</span>{escape(last)}' if slash else escape(name)


def _told(one: DocumentCard) -> str:
    lines = []
    if one.facts["title"] and one.facts["title"] != one.document:
        lines.append(escape(str(one.facts["title"])))
    if one.state == "failed":
        lines.append(f'<span class="wb-why">{escape(str((one.error or {}).get("message") or "No reason given."))}</span>')
        if one.chunks:
            lines.append("The previous version stays searchable.")
    lines += [escape(warning) for warning in one.warnings[:1]]
    return "".join(f"<small>{line}</small>" for line in lines)


def path_of(headings: Sequence[str]) -> str:
    """Headings from the outermost, without the marks that Markdown sets before them."""
    return " › ".join(heading.lstrip("# ") for heading in headings)


def state_html(one: DocumentCard) -> str:
    """The state as a chip; of one on its way, how far it is."""
    said = chip(_NAMES.get(one.state, one.state), _KIND.get(one.state, "plain"))
    if one.version > 1:
        said += " " + chip(f"version {one.version}", title="Replaced by an upload with other content")
    if one.state in ("reading", "embedding"):
        said += f"{progress_bar(one.document, one.fraction, 'wb-thin')}<small>{escape(one.progress)}</small>"
    return said


def passages_html(question: str, found: list[FoundPassage]) -> str:
    """What a search found, best first; each opens its place in the document."""
    if not found:
        return empty("No results", f"No passage matches “{escape(question)}”. Try other words.")
    rows = "".join(_passage(number, one) for number, one in enumerate(found, 1))
    head = f"<h2>{plural(len(found), 'passage')} for “{escape(question)}”</h2>{button('Clear', 'clear')}"
    return f'<div class="wb-heading">{head}</div><ol class="wb-passages">{rows}</ol>'


def _passage(number: int, one: FoundPassage) -> str:
    passage = one.passage
    path = path_of(passage.headings)
    title = passage.title if passage.title and not path.startswith(passage.title) and passage.title != passage.document else ""
    place = " · ".join(escape(part) for part in (title, path) if part)
    page = f", page {passage.page}" if passage.page else ""
    link = knowledge_address(one.collection_id, passage.document, passage.start)
    score = f'<span class="wb-quiet wb-number" title="Relevance; comparable within this search only">{passage.score:.2f}</span>'
    return (
        f'<li class="wb-card"><div class="wb-card-head"><h3><a href="{link}">{number}. {document_name(passage.document)}{page}</a></h3>'
        f'{score}</div><p class="wb-verbatim">{escape(passage.text)}</p>'
        f'<p class="wb-quiet">{place}</p></li>'
    )


def members_html(members: list[MemberCard]) -> str:
    """Who else may use a collection."""
    if not members:
        return '<p class="wb-quiet">Not shared with anyone individually.</p>'
    rows = "".join(f"<li><b>{escape(one.name)}</b>: {'read and write' if one.right == 'write' else 'read'}</li>" for one in members)
    return f'<ul class="wb-reasons">{rows}</ul>'


def delete_collection_html(card: CollectionCard) -> str:
    """The button that deletes it, which asks first."""
    ask = f"Delete the collection {card.name} with all its documents? This cannot be undone."
    return (
        '<p class="wb-quiet">Deletes all files, texts and chunks of the collection. Answers that cite it '
        "keep the quoted passages, in the conversation and its MLflow trace, until the conversation is deleted.</p>"
        f'<button type="button" class="wb-button small wb-danger" data-do="delete" data-ask="{escape(ask)}">Delete collection</button>'
    )
