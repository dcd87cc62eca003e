"""Questions over HTTP: ask (at once, or as the answer comes), the history, feedback."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from pipelines.questions import Piece, Said, Searched
from workbench.api.contract import Whole
from workbench.api.knowledge_bodies import Body, Filter, Value
from workbench.api.problems import body_of, problem_of
from workbench.api.uploads import Someone
from workbench.services import questions
from workbench.services.cited_pages import cited_picture
from workbench.services.context import Services
from workbench.services.questions import Kept

Event = Searched | Piece | Said | Kept


class Question(Body):
    """A question to collections."""

    question: str = Field(max_length=4000)
    collections: list[str] = Field(default_factory=list, max_length=20, description="Names or ids; by default the conversation's.")
    conversation: str | None = Field(None, max_length=100, description="Conversation to continue; by default a new one.")
    filters: dict[Filter, Value] = Field(default_factory=dict, description="Allowed values by document property.")
    config: Literal["fast", "accurate"] = "fast"
    writer: Literal["quotes", "model"] | None = Field(
        None,
        description="Quote the documents, or let the language model write the answer. Default: depends on the language model.",
    )


class Judgement(Body):
    """What a person thinks of an answer."""

    value: Literal[1, -1] | None = Field(description="1 thumb up, -1 thumb down, null for none.")
    comment: str = Field("", max_length=2000)


class Title(Body):
    """A conversation's new title."""

    title: str = Field(max_length=200)


def question_routes(services: Services) -> APIRouter:
    """``/mlops/query`` and ``/mlops/history``."""
    routes = APIRouter(prefix="/mlops", tags=["questions"])

    @routes.post("/query", summary="Ask (server-sent events where 'Accept: text/event-stream' asks for them)")
    async def query(asked: Question, request: Request, user: Someone) -> Response:
        stream = questions.ask(
            services, user, asked.question, asked.collections, conversation=asked.conversation, filters={**asked.filters},
            config=asked.config, writer=asked.writer,
        )  # fmt: skip
        if "text/event-stream" in request.headers.get("accept", ""):
            # The first event before the status: what cannot be asked at all is a problem document, not a broken stream.
            first = await anext(stream)
            headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
            return StreamingResponse(_events(first, stream), media_type="text/event-stream", headers=headers)
        last: Event | None = None
        async for event in stream:
            last = event
        assert isinstance(last, Kept)
        return JSONResponse(last.as_dict())

    @routes.post("/query/{answer}/feedback", status_code=204, summary="Rate an answer")
    async def feedback(answer: str, asked: Judgement, user: Someone) -> Response:
        await questions.give_feedback(services, user, answer, asked.value, asked.comment)
        return Response(status_code=204)

    @routes.get("/query/page.png", summary="Image of the cited page with the citation marked (PDF)")
    async def page(
        collection: str, document: str, page: Whole, start: Whole, end: Whole, user: Someone, version: Whole | None = None
    ) -> Response:
        drawn = await cited_picture(services, user, collection, document, page, start, end, version)
        return Response(drawn, media_type="image/png", headers={"cache-control": "private, max-age=3600"})

    @routes.get("/history", summary="Your conversations, last used first")
    async def history(user: Someone, containing: str = "", limit: Whole = 50) -> JSONResponse:
        return JSONResponse({"conversations": await questions.list_conversations(services, user, containing=containing, limit=limit)})

    @routes.get("/history/{conversation}", summary="One conversation with its answers")
    async def show(conversation: str, user: Someone) -> JSONResponse:
        return JSONResponse(await questions.show_conversation(services, user, conversation))

    @routes.get("/history/{conversation}/export", summary="The same as Markdown")
    async def export(conversation: str, user: Someone) -> Response:
        text = await questions.export_conversation(services, user, conversation)
        headers = {"content-disposition": f'attachment; filename="conversation-{conversation[:8]}.md"'}
        return PlainTextResponse(text, media_type="text/markdown", headers=headers)

    @routes.patch("/history/{conversation}", summary="Rename it")
    async def rename(conversation: str, asked: Title, user: Someone) -> JSONResponse:
        return JSONResponse(await questions.rename_conversation(services, user, conversation, asked.title))

    @routes.delete("/history/{conversation}", status_code=204, summary="Delete it with its answers")
    async def delete(conversation: str, user: Someone) -> Response:
        await questions.delete_conversation(services, user, conversation)
        return Response(status_code=204)

    return routes


async def _events(first: Event, rest: AsyncIterator[Event]) -> AsyncIterator[bytes]:
    """``passages``, ``text``, ``sentence`` and at the end ``answer``; an error on the way is the last one, ``error``."""
    try:
        yield _event(first)
        async for event in rest:
            yield _event(event)
    except Exception as error:
        yield _sse("error", body_of(problem_of(error)))
    finally:
        # The reader has gone: nothing more is read or written.
        with contextlib.suppress(Exception):
            await rest.aclose()  # type: ignore[attr-defined]


def _event(event: Event) -> bytes:
    if isinstance(event, Searched):
        return _sse("passages", {"asked": event.asked, "passages": [found.as_dict() for found in event.passages]})
    if isinstance(event, Piece):
        return _sse("text", {"text": event.text})
    if isinstance(event, Said):
        return _sse("sentence", event.sentence.as_dict())
    return _sse("answer", event.as_dict())


def _sse(name: str, value: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(value, default=str)}\n\n".encode()
