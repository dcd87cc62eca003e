"""Asking from a notebook, a script or the command line, without a gateway.

``from pipelines.questions.room import ask; ask("What is the revenue?", "filings").answer``
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infra.settings import Settings
from knowledge.library import find_collection
from pipelines.ingestion.room import KnowledgeRoom, open_knowledge
from pipelines.questions.answering import AnswerOptions, answer
from pipelines.questions.contract import Answer
from pipelines.questions.records import keep, note_trace, open_conversation
from pipelines.questions.searching import search_of
from pipelines.questions.tracing import traces_of
from serving.loop import LoopThread


def ask(
    question: str,
    collections: str | Sequence[str],
    *,
    filters: Mapping[str, Any] | None = None,
    config: str = "fast",
    options: AnswerOptions = AnswerOptions(),
    settings: Settings | None = None,
    room: KnowledgeRoom | None = None,
) -> Answer:
    """Answer a question from collections, by name or id; it is kept in the tables as a conversation of its own, and traced.

    Args:
        config: of the search: ``fast`` or ``accurate``.
        room: an open one, for several questions; by default one is opened and closed.

    Raises:
        NotFound: there is no such collection.
        InvalidInput: the question is empty.
    """
    names = [collections] if isinstance(collections, str) else list(collections)
    if room is None:
        with open_knowledge(settings) as opened:
            return ask(question, names, filters=filters, config=config, options=options, room=opened)
    with room.database.session() as session:
        rows = [find_collection(session, room.user_id, name) for name in dict.fromkeys(names)]
        places = [(row.id, row.name) for row in rows]
    search = search_of(room.index, places, filters=filters, config=config)
    identifiers = [identifier for identifier, _ in places]
    loop = LoopThread("questions")  # a notebook's own loop is running already
    try:
        found = loop.run(answer(question, search, room.roles, options=options))
        with room.database.session() as session:
            conversation = open_conversation(session, room.user_id, None, question, identifiers)
            kept, here = keep(session, conversation, found, collections=identifiers, config=config).id, conversation.id
        trace = loop.run(traces_of(room.settings).write(found, user=room.user_id, conversation=here, response=kept))
    finally:
        loop.close()
    if trace is not None:
        with room.database.session() as session:
            note_trace(session, kept, trace)
    return found
