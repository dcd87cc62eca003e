"""Conversations in the tables: every question with its passages, answer, versions, times and feedback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, delete, func, or_, select

from infra.database.tables import now
from infra.database.tables_questions import Conversation, RagQuery, RagResponse, TraceDeletion
from infra.errors import InvalidInput, NotFound
from pipelines.questions.contract import Answer

TITLE = 120
EARLIER = 6  # questions of a conversation that a follow-up may refer to


@dataclass(frozen=True)
class Turn:
    """A question and its answer, as they are kept."""

    query: RagQuery
    response: RagResponse


def open_conversation(session: Session, owner_id: str, conversation_id: str | None, title: str, collections: Sequence[str]) -> Conversation:
    """The person's conversation of that id; a new one where none is named. Raises NotFound."""
    if conversation_id is not None:
        return find_conversation(session, owner_id, conversation_id)
    row = Conversation(owner_id=owner_id, title=" ".join(title.split())[:TITLE], collections=list(collections))
    session.add(row)
    session.flush()
    return row


def find_conversation(session: Session, owner_id: str, conversation_id: str) -> Conversation:
    """Raises NotFound, also where it is another person's."""
    row = session.get(Conversation, conversation_id)
    if row is None or row.owner_id != owner_id:
        raise NotFound("Conversation not found.")
    return row


def earlier_questions(session: Session, conversation_id: str) -> list[str]:
    """What was searched in it, oldest first."""
    query = select(RagQuery.asked).where(RagQuery.conversation_id == conversation_id).order_by(col(RagQuery.created_at).desc())
    return list(session.exec(query.limit(EARLIER)))[::-1]


def keep(session: Session, conversation: Conversation, answer: Answer, *, collections: Sequence[str], config: str) -> RagResponse:
    """Put a question and its answer into the tables. The conversation may have been deleted meanwhile: NotFound."""
    row = find_conversation(session, conversation.owner_id, conversation.id)
    query = RagQuery(
        conversation_id=row.id,
        owner_id=row.owner_id,
        question=answer.question,
        asked=answer.asked,
        collections=list(collections),
        config=config,
    )
    row.updated_at, row.collections = now(), list(collections)
    session.add(row)
    session.add(query)
    session.flush()
    said = answer.as_dict()
    kept = {name: said[name] for name in ("answer", "abstained", "confidence", "sentences", "passages", "models", "seconds")}
    response = RagResponse(query_id=query.id, **kept)
    session.add(response)
    session.flush()
    return response


def conversations(session: Session, owner_id: str, *, containing: str = "", limit: int = 50) -> list[Conversation]:
    """A person's, the last used first; those whose title, questions or answers have the text."""
    query = select(Conversation).where(Conversation.owner_id == owner_id)
    if containing.strip():
        text = containing.strip().lower()
        asked = (
            select(RagQuery.conversation_id)
            .join(RagResponse, col(RagResponse.query_id) == col(RagQuery.id))
            .where(
                or_(
                    func.lower(col(RagQuery.question)).contains(text, autoescape=True),
                    func.lower(col(RagResponse.answer)).contains(text, autoescape=True),
                )
            )
        )
        query = query.where(or_(func.lower(col(Conversation.title)).contains(text, autoescape=True), col(Conversation.id).in_(asked)))
    return list(session.exec(query.order_by(col(Conversation.updated_at).desc()).limit(min(max(limit, 1), 500))))


def turns(session: Session, owner_id: str, conversation_id: str) -> list[Turn]:
    """All of a conversation, oldest first. Raises NotFound."""
    row = find_conversation(session, owner_id, conversation_id)
    query = (
        select(RagQuery, RagResponse)
        .join(RagResponse, col(RagResponse.query_id) == col(RagQuery.id))
        .where(RagQuery.conversation_id == row.id)
        .order_by(col(RagQuery.created_at))
    )
    return [Turn(question, response) for question, response in session.exec(query)]


def rename(session: Session, owner_id: str, conversation_id: str, title: str) -> Conversation:
    """Raises NotFound; InvalidInput for an empty title."""
    row = find_conversation(session, owner_id, conversation_id)
    title = " ".join(title.split())[:TITLE]
    if not title:
        raise InvalidInput("Enter a name for the conversation.")
    row.title = title
    session.add(row)
    return row


def forget(session: Session, owner_id: str, conversation_id: str) -> None:
    """Delete a conversation with its questions and answers; their traces are noted for deletion. Raises NotFound."""
    row = find_conversation(session, owner_id, conversation_id)
    mine = select(RagQuery.id).where(RagQuery.conversation_id == row.id)
    for trace in session.exec(select(RagResponse.trace_id).where(col(RagResponse.query_id).in_(mine))):
        if trace is not None:
            session.add(TraceDeletion(trace_id=trace))
    session.exec(delete(RagResponse).where(col(RagResponse.query_id).in_(mine)))
    session.exec(delete(RagQuery).where(col(RagQuery.conversation_id) == row.id))
    session.delete(row)


def find_response(session: Session, owner_id: str, response_id: str) -> Turn:
    """Raises NotFound, also where it is another person's."""
    response = session.get(RagResponse, response_id)
    query = session.get(RagQuery, response.query_id) if response is not None else None
    if response is None or query is None or query.owner_id != owner_id:
        raise NotFound("Answer not found.")
    return Turn(query, response)


def judge(session: Session, owner_id: str, response_id: str, value: int | None, comment: str = "") -> RagResponse:
    """A thumb up (1), down (-1), or taken back (None). Raises NotFound, InvalidInput."""
    if value not in (1, -1, None):
        raise InvalidInput("Feedback is 1, -1 or nothing.")
    row = find_response(session, owner_id, response_id).response
    row.feedback, row.comment = value, comment[:2000]
    session.add(row)
    return row


def note_trace(session: Session, response_id: str, trace_id: str) -> bool:
    """Which trace of MLflow is the answer's; whether the answer is there.

    Where it was deleted meanwhile, the trace is noted for deletion.
    """
    row = session.get(RagResponse, response_id)
    if row is None:
        session.add(TraceDeletion(trace_id=trace_id))
        return False
    row.trace_id = trace_id
    session.add(row)
    return True


def traces_to_delete(session: Session) -> list[str]:
    """Traces whose answers are gone, the oldest first."""
    return list(session.exec(select(TraceDeletion.trace_id).order_by(col(TraceDeletion.asked_at)).limit(1000)))


def traces_deleted(session: Session, traces: Sequence[str]) -> None:
    session.exec(delete(TraceDeletion).where(col(TraceDeletion.trace_id).in_(traces)))
