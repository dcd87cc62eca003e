"""Asking from a notebook, a script or the command line, without a gateway.

``from pipelines.questions.client import ask; ask("What is the revenue?", "filings").answer``
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infra.settings import Settings
from knowledge.library import find_collection
from pipelines.ingestion.client import KnowledgeClient, open_knowledge
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
    knowledge: KnowledgeClient | None = None,
) -> Answer:
    """Answer a question from collections, by name or id; it is kept in the tables as a conversation of its own, and traced.

    Args:
        config: of the search: ``fast`` or ``accurate``.
        knowledge: an open one, for several questions; by default one is opened and closed.

    Raises:
        NotFound: there is no such collection.
        InvalidInput: the question is empty.
    """
    names = [collections] if isinstance(collections, str) else list(collections)
    if knowledge is None:
        with open_knowledge(settings) as opened:
            return ask(question, names, filters=filters, config=config, options=options, knowledge=opened)
    with knowledge.database.session() as session:
        rows = [find_collection(session, knowledge.user_id, name) for name in dict.fromkeys(names)]
        places = [(row.id, row.name) for row in rows]
    search = search_of(knowledge.index, places, filters=filters, config=config)
    identifiers = [identifier for identifier, _ in places]
    loop = LoopThread("questions")  # a notebook's own loop is running already
    try:
        found = loop.run(answer(question, search, knowledge.roles, options=options))
        with knowledge.database.session() as session:
            conversation = open_conversation(session, knowledge.user_id, None, question, identifiers)
            kept, here = keep(session, conversation, found, collections=identifiers, config=config).id, conversation.id
        trace = loop.run(traces_of(knowledge.settings).write(found, user=knowledge.user_id, conversation=here, response=kept))
    finally:
        loop.close()
    if trace is not None:
        with knowledge.database.session() as session:
            note_trace(session, kept, trace)
    return found
