"""Asking for pages and routes: who may ask which collections, what is kept of an answer, and what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from infra.database import as_utc
from infra.database.tables import User
from infra.database.tables_questions import Conversation
from infra.errors import InvalidInput
from infra.telemetry import logger
from knowledge.library import find_collection as find_row
from pipelines.questions import Answer, Answered, AnswerOptions, Piece, Said, Searched, answer_stream, records
from pipelines.questions.searching import search_of
from pipelines.questions.tracing import traces_of
from pipelines.questions.writers import Writer, usual_writer
from workbench.accounts.audit import record
from workbench.services.context import Services
from workbench.services.knowledge import DocumentCard, list_documents

log = logger(__name__)

MOST_COLLECTIONS = 20
DELETE_AGAIN_SECONDS = 60.0
_tracing: set[asyncio.Task[Any]] = set()  # traces on their way: the loop keeps no strong reference


@dataclass(frozen=True)
class Kept:
    """The last event: an answer that is in the tables.

    Attributes:
        id: of the answer; feedback goes by it.
        conversation: to go on asking in.
    """

    id: str
    conversation: str
    answer: Answer

    def as_dict(self) -> dict[str, Any]:
        return {**self.answer.as_dict(), "id": self.id, "conversation": self.conversation}


async def ask(
    services: Services,
    user: User,
    question: str,
    collections: Sequence[str],
    *,
    conversation: str | None = None,
    filters: Mapping[str, Any] | None = None,
    documents: Sequence[tuple[str, str]] = (),
    config: str = "fast",
    writer: Writer | None = None,
) -> AsyncIterator[Searched | Piece | Said | Kept]:
    """Answer a question; what is known is told as soon as it is, and the answer is kept.

    Args:
        collections: names or ids; where none is named, those that the conversation asked last.
        conversation: to go on in; a new one where none is named.
        documents: id of a collection and of a document in it, each; where any is named, only these are searched.
        writer: by default what suits the language model that serves.

    Raises:
        NotFound: a collection that the person may not read or that is not there; another person's conversation.
        InvalidInput: no collection, too many, a document of another collection, or an empty question.
    """
    only: dict[str, list[str]] = {}
    for collection, document in documents:
        only.setdefault(collection, []).append(document)

    def prepare(session: Session) -> tuple[list[tuple[str, str]], list[str]]:
        row = records.find_conversation(session, user.id, conversation) if conversation else None
        wanted = list(dict.fromkeys(collections)) or (row.collections if row else [])
        if not 1 <= len(wanted) <= MOST_COLLECTIONS:
            raise InvalidInput(f"Choose 1 to {MOST_COLLECTIONS} collections.")
        rows = [find_row(session, user.id, name) for name in wanted]
        return [(one.id, one.name) for one in rows], records.earlier_questions(session, row.id) if row else []

    places, earlier = await services.database.run(prepare)
    if set(only) - {identifier for identifier, _ in places}:
        raise InvalidInput("A selected document is not in the selected collections. Select its collection, or remove the document.")
    search = search_of(services.index_service, places, filters=filters, documents=only, config=config)
    options = AnswerOptions(writer=writer or default_writer(services))
    async for event in answer_stream(question, search, services.roles, earlier=earlier, options=options):
        if isinstance(event, Answered):
            yield await _keep(services, user, event.answer, conversation, [identifier for identifier, _ in places], config)
        else:
            yield event


async def list_choices(services: Services, user: User, collections: Sequence[str], limit: int = 500) -> list[DocumentCard]:
    """The searchable documents of these collections, by name; at most ``limit`` of each.

    Raises:
        NotFound: one of the collections is not there, or this person may not read it.
    """
    found: list[DocumentCard] = []
    for collection in collections[:MOST_COLLECTIONS]:
        found += [card for card in (await list_documents(services, user, collection, limit=limit))[0] if card.chunks]
    return found


def default_writer(services: Services) -> Writer:
    """Who writes where a person does not choose."""
    return usual_writer(services.settings)


async def _keep(services: Services, user: User, answer: Answer, conversation: str | None, collections: list[str], config: str) -> Kept:
    def work(session: Session) -> Kept:
        row = records.open_conversation(session, user.id, conversation, answer.question, collections)
        response = records.keep(session, row, answer, collections=collections, config=config)
        return Kept(response.id, row.id, answer)

    kept = await services.database.run(work)
    _in_background(_trace(services, user, kept))
    return kept


def _in_background(work: Coroutine[Any, Any, Any]) -> None:
    task = asyncio.create_task(work)
    _tracing.add(task)
    task.add_done_callback(_tracing.discard)


async def _trace(services: Services, user: User, kept: Kept) -> None:
    trace = await traces_of(services.settings).write(kept.answer, user=user.id, conversation=kept.conversation, response=kept.id)
    if trace is not None and not await services.database.run(lambda session: records.note_trace(session, kept.id, trace)):
        await delete_traces(services)


async def give_feedback(services: Services, user: User, response: str, value: int | None, comment: str = "") -> None:
    """A thumb up (1), down (-1) or none (None) for one of the person's answers; a thumb goes to its trace, too."""

    def work(session: Session) -> str | None:
        return records.judge(session, user.id, response, value, comment).trace_id

    trace = await services.database.run(work)
    if value is not None:
        await traces_of(services.settings).judge(trace, user=user.id, value=value, comment=comment)


async def list_conversations(services: Services, user: User, *, containing: str = "", limit: int = 50) -> list[dict[str, Any]]:
    """``[{"id", "title", "collections", "created_at", "updated_at"}]``, the last used first."""
    return await services.database.run(
        lambda session: [_card(row) for row in records.conversations(session, user.id, containing=containing, limit=limit)]
    )


async def show_conversation(services: Services, user: User, conversation: str) -> dict[str, Any]:
    """The conversation with its ``turns``: each question with its whole answer, feedback and trace."""

    def work(session: Session) -> dict[str, Any]:
        row = records.find_conversation(session, user.id, conversation)
        return {**_card(row), "turns": [_turn(turn) for turn in records.turns(session, user.id, conversation)]}

    return await services.database.run(work)


async def rename_conversation(services: Services, user: User, conversation: str, title: str) -> dict[str, Any]:
    """Raises NotFound; InvalidInput for an empty title."""
    return await services.database.run(lambda session: _card(records.rename(session, user.id, conversation, title)))


async def delete_conversation(services: Services, user: User, conversation: str) -> None:
    """With its questions, answers and their traces in MLflow. Raises NotFound."""

    def work(session: Session) -> None:
        records.forget(session, user.id, conversation)
        record(session, "question.conversation.deleted", user_id=user.id, subject=conversation)

    await services.database.run(work)
    _in_background(delete_traces(services))


async def delete_traces(services: Services) -> int:
    """Delete the traces of deleted conversations; how many. What MLflow does not delete now is tried again (:func:`keep_deleting`)."""
    traces = await services.database.run(records.traces_to_delete)
    if not traces or not await traces_of(services.settings).delete(traces):
        return 0
    await services.database.run(lambda session: records.traces_deleted(session, traces))
    return len(traces)


async def keep_deleting(services: Services) -> None:
    """Try again and again to delete traces that MLflow could not delete at once, until cancelled."""
    while True:
        await asyncio.sleep(DELETE_AGAIN_SECONDS)
        try:
            await delete_traces(services)
        except Exception as error:
            log.warning("traces could not be deleted", error=f"{type(error).__name__}: {str(error)[:200]}")


async def export_conversation(services: Services, user: User, conversation: str) -> str:
    """Markdown: questions, answers, and below each the places that it cites."""
    said = await show_conversation(services, user, conversation)
    lines = [f"# {said['title']}", ""]
    for turn in said["turns"]:
        lines += [f"## {turn['question']}", "", turn["answer"], ""]
        for sentence in turn["sentences"]:
            for cited in sentence["passages"]:
                page = f", page {cited['page']}" if cited["page"] else ""
                quote = " ".join(cited["text"].split())
                lines.append(f"- {cited['document']}{page}, characters {cited['start']} to {cited['end']}: “{quote}”")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _card(row: Conversation) -> dict[str, Any]:
    times = {name: as_utc(getattr(row, name)).isoformat() for name in ("created_at", "updated_at")}
    return {"id": row.id, "title": row.title, "collections": list(row.collections), **times}


def _turn(turn: records.Turn) -> dict[str, Any]:
    kept = turn.response.model_dump(
        include={"id", "answer", "abstained", "confidence", "sentences", "passages", "models", "seconds", "trace_id", "feedback", "comment"}
    )
    return {"question": turn.query.question, "asked": turn.query.asked, **kept, "created_at": as_utc(turn.query.created_at).isoformat()}
