"""Answers as HTML: sentences with their citations, what is near where there is no answer, and the cited place itself."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from workbench.services.addresses import knowledge_address
from workbench.services.cited_pages import Cited
from workbench.ui.shared.actions import button
from workbench.ui.shared.formatting import escape, percent, plural
from workbench.ui.shared.shell import chip, empty

NOTHING = empty("No questions yet", "Ask below. If the documents do not contain the answer, the reply says so.")
NO_SOURCE = f'<div class="wb-no-source">{empty("No source selected", "Select a source in an answer to read it here.")}</div>'


def turns_html(turns: list[dict[str, Any]]) -> str:
    """A conversation, the last question last."""
    return "".join(_turn(turn) for turn in turns) if turns else NOTHING


def live_html(question: str, status: str, sentences: list[dict[str, Any]], text: str = "") -> str:
    """An answer in progress: the current step, the checked sentences, and the text that is not checked yet."""
    said = "".join(f"<li>{escape(one['text'])}{_mark(one)}</li>" for one in sentences)
    if rest := unchecked(text, sentences):
        said += f'<li class="wb-quiet">{escape(rest)}</li>'
    answer = f'<ul class="wb-answer">{said}</ul>' if said else ""
    foot = f'<p class="wb-quiet" role="status">{escape(status)} <span data-note></span></p>'
    return f'<article class="wb-turn" data-live><h2>{escape(question)}</h2>{answer}{foot}</article>'


def failed_html(question: str, reason: str) -> str:
    """A question that could not be answered, and why."""
    note = f'<p class="wb-note bad" role="alert"><strong>The question could not be answered.</strong> {escape(reason)}</p>'
    return f'<article class="wb-turn"><h2>{escape(question)}</h2>{note}</article>'


def unchecked(text: str, sentences: list[dict[str, Any]]) -> str:
    """What of a model's text is in none of its checked sentences yet."""
    flat, done = " ".join(text.split()), " ".join(one["text"] for one in sentences)
    return flat[len(done) :].strip() if flat.startswith(done) else ""


def _turn(turn: dict[str, Any]) -> str:
    if turn["abstained"]:
        near = "".join(
            f"<li>{_cite(turn['id'], f'p{number}', passage)}<span>{escape(_short(passage['text']))}</span></li>"
            for number, passage in enumerate(turn["passages"][:3])
        )
        found = (
            f'<p class="wb-quiet">Closest passages; none of them answers the question:</p><ul class="wb-near">{near}</ul>' if near else ""
        )
        body = f'<p class="wb-absent">{escape(turn["answer"])}</p>{found}'
    else:
        body = f'<ul class="wb-answer">{"".join(_sentence(turn["id"], n, one) for n, one in enumerate(turn["sentences"]))}</ul>'
    sure = f"Confidence {percent(100 * turn['confidence'])}"
    asked = f'<span class="wb-quiet">Searched for: {escape(turn["asked"])}</span>' if turn["asked"] != turn["question"] else ""
    told = f'<span class="wb-quiet">{sure}{_wrote(turn)}</span>{asked}'
    foot = f'<div class="wb-turn-end">{told}<span class="wb-tools">{_thumbs(turn)}</span></div>'
    return f'<article class="wb-turn"><h2>{escape(turn["question"])}</h2>{body}{foot}</article>'


def _sentence(answer: str, number: int, sentence: dict[str, Any]) -> str:
    cites = "".join(_cite(answer, f"s{number}.{place}", passage) for place, passage in enumerate(sentence["passages"]))
    return f"<li><span>{escape(sentence['text'])}</span> {_mark(sentence)}{cites}</li>"


def _mark(sentence: dict[str, Any]) -> str:
    return " " + chip("not supported", "limited", "No passage supports this sentence") if sentence["support"] == "unsupported" else ""


def _wrote(turn: dict[str, Any]) -> str:
    """Which model wrote it; nothing where the sentences are quoted (also instead of written ones that nothing supported)."""
    names = [escape(one["name"]) for one in turn["models"] if one["role"] == "llm"]
    quoted = all(one["passages"] and one["text"] == " ".join(one["passages"][0]["text"].split()) for one in turn["sentences"])
    return f" · Written by {names[0]}; each sentence checked against the documents" if names and not quoted else ""


def _cite(answer: str, place: str, passage: dict[str, Any]) -> str:
    """A button that opens the place; ``place`` is ``sSENTENCE.PASSAGE``, or ``pPASSAGE`` of the nearest."""
    support = f", support {percent(100 * passage['entailed'])}" if "entailed" in passage else ""
    page = f", p. {passage['page']}" if passage["page"] else ""
    hint = f"{_name(passage)}{page}; relevance {percent(100 * passage['score'])}{support}"
    return f'<small class="wb-cite">{button(_name(passage) + page, "open", f"{answer} {place}", title=hint)}</small>'


def _thumbs(turn: dict[str, Any]) -> str:
    up, down = (turn["feedback"] == value for value in (1, -1))
    liked = button("Marked helpful" if up else "Helpful", "up", turn["id"])
    return liked + button("Marked not helpful" if down else "Not helpful", "down", turn["id"])


def viewer_html(found: Cited, passage: dict[str, Any]) -> str:
    """The cited place: the page as a picture, or the text around it."""
    where = f"page {found.page}" if found.page else f"characters {passage['start']} to {passage['end']}"
    link = knowledge_address(passage["collection_id"], passage["document"], passage["start"])
    relevance = chip(f"relevance {percent(100 * passage['score'])}", "good" if passage["score"] >= 0.5 else "limited")
    entailed = passage.get("entailed")
    support = "" if entailed is None else chip(f"support {percent(100 * entailed)}", "good" if entailed >= 0.5 else "limited")
    changed = '<p class="wb-why">Document replaced since; this is its current text.</p>' if found.changed else ""
    if found.version is not None:
        changed = f'<p class="wb-quiet">Version {found.version}, as cited. Document replaced since.</p>'
    if found.pdf:
        asked = {
            "collection": passage["collection_id"],
            "document": passage["document"],
            "page": found.page,
            "start": passage["start"],
            "end": passage["end"],
        } | ({} if found.version is None else {"version": found.version})
        shown = f'<img class="wb-page" alt="Page {found.page} of {escape(found.title)}" src="/mlops/query/page.png?{urlencode(asked)}">'
    else:
        quote = f"<mark data-here>{escape(found.quote)}</mark>"
        shown = f'<div class="wb-verbatim wb-tall">{escape(found.before)}{quote}{escape(found.after)}</div>'
    head = f'<h3><a href="{escape(link)}">{escape(found.title)}</a></h3><p class="wb-quiet">{where} {relevance} {support}</p>'
    close = '<button type="button" class="wb-button small" data-close>Close</button>'
    return f'<section class="wb-card wb-cited" tabindex="0" role="region" aria-label="Source">{close}{head}{changed}{shown}</section>'


def history_html(conversations: list[dict[str, Any]], current: str) -> str:
    """A person's conversations, as links."""
    if not conversations:
        return '<p class="wb-quiet">No conversations found.</p>'
    rows = "".join(
        f'<li><a href="/ask?conversation={one["id"]}"{" aria-current=page" if one["id"] == current else ""}>{escape(one["title"])}</a></li>'
        for one in conversations
    )
    return f'<ul class="wb-history">{rows}</ul>'


def reading_text(count: int) -> str:
    return f"Reading {plural(count, 'passage')}" if count else "No passages found"


def _name(passage: dict[str, Any]) -> str:
    return str(passage["title"] or passage["document"].rpartition("/")[2])[:60]


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= 220 else f"{plain[:220]} ..."
