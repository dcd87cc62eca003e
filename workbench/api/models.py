"""The roles over HTTP: what serves, and calls to it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import tempfile
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np
import orjson
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response, StreamingResponse

from infra.errors import InvalidInput, NotFound
from serving.roles import known_roles
from serving.roles.entailment import ENTAILMENT_LABELS
from serving.roles.llm import Delta, Message, WriteOptions
from serving.roles.segmentation import Segmentation
from serving.volume.confined import read_volume
from workbench.api.identity import require_user
from workbench.api.multipart import MultipartForm
from workbench.api.problems import body_of, problem_of
from workbench.api.uploads import FORM, body_pieces, check_length
from workbench.services.context import Services
from workbench.services.models import list_roles
from workbench.services.uploads import clean_name, write_pieces

SCANS_AT_ONCE = 2


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: str | None = Field(None, description="Version of the role's model; by default the champion.")


class EmbedRequest(Asked):
    texts: list[str] = Field(min_length=1, max_length=1024, description="Texts, one vector each.")


class Pair(BaseModel):
    model_config = ConfigDict(extra="forbid")

    claim: str = Field(max_length=20_000, description="Claim or requirement.")
    passage: str = Field(max_length=400_000, description="Passage; of a long one, the sentences closest to the claim are used.")


class EntailRequest(Asked):
    pairs: list[Pair] = Field(max_length=1024, description="Pairs of a claim and a passage.")


class CallRequest(BaseModel):
    """A call of a role from another package: its own fields, as the role's description names them."""

    model_config = ConfigDict(extra="allow")

    version: str | None = Field(default=None, max_length=100, description="Version of the role's model; by default the champion.")


class Turn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "user", "assistant"]
    content: str


class WriteRequest(Asked):
    messages: list[Turn] = Field(min_length=1, max_length=256)
    max_tokens: int = Field(WriteOptions.max_tokens, ge=1, le=8192)
    temperature: float = Field(WriteOptions.temperature, ge=0, le=2)
    stop: list[str] = Field(default_factory=list, max_length=8)
    repetition_penalty: float = Field(WriteOptions.repetition_penalty, ge=1, le=2)


def model_routes(services: Services) -> APIRouter:
    """Routes below ``/models``."""
    routes = APIRouter(prefix="/models", tags=["models"], dependencies=[Depends(require_user)])
    reading = asyncio.Semaphore(SCANS_AT_ONCE)

    @routes.get("", summary="All roles with their models and states")
    async def roles() -> JSONResponse:
        cards = await list_roles(services)
        return JSONResponse({"roles": [{**asdict(card), "champion": card.champion.as_dict() if card.champion else None} for card in cards]})

    @routes.post("/embedding/embed", summary="Texts to unit vectors")
    async def embed(asked: EmbedRequest) -> Response:
        answer = await services.roles.require("embedding").embed(asked.texts, version=asked.version)
        # FastAPI's encoder walks every number of every vector; orjson reads the array as it lies.
        body = orjson.dumps({"vectors": answer.vectors, "model": answer.model.as_dict()}, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(body, media_type="application/json")

    @routes.post("/entailment/entail", summary="Probabilities that a passage entails, contradicts or does not mention a claim")
    async def entail(asked: EntailRequest) -> JSONResponse:
        pairs = [(pair.claim, pair.passage) for pair in asked.pairs]
        answer = await services.roles.require("entailment").entail(pairs, version=asked.version)
        answers = [dict(zip(ENTAILMENT_LABELS, map(float, row), strict=True)) for row in answer.probabilities]
        return JSONResponse({"answers": answers, "model": answer.model.as_dict()})

    @routes.post("/llm/write", summary="Generate text (server-sent events)")
    async def write(asked: WriteRequest) -> Response:
        role = services.roles.require("llm")
        options = WriteOptions(asked.max_tokens, asked.temperature, tuple(asked.stop), asked.repetition_penalty)
        messages = [Message(turn.role, turn.content) for turn in asked.messages]
        stream = role.write(messages, options, version=asked.version)
        # The first piece before the status: what cannot be written at all is a problem document, not a broken stream.
        first = await anext(stream)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(_events(first, stream), media_type="text/event-stream", headers=headers)

    @routes.post("/segmentation/segment", summary="A scan file to labels (npz; the rest in the header X-Segmentation)", openapi_extra=FORM)
    async def segment(request: Request, version: str | None = None) -> Response:
        check_length(request, services)
        role = services.roles.require("segmentation")
        form = MultipartForm(body_pieces(request), request.headers.get("content-type", ""))
        if not await form.find_file():
            raise InvalidInput("The form has no file. Put the scan in the field 'file'.")
        with tempfile.TemporaryDirectory(dir=await asyncio.to_thread(_incoming, services)) as folder:
            path = Path(folder) / clean_name(form.filename or "scan.nii.gz")
            await write_pieces(path, form.file_pieces(), limit=services.settings.gateway.max_upload_mb * 1_000_000)
            await form.finish()
            async with reading:
                volume = await asyncio.to_thread(read_volume, path, Path(folder), services.settings.imaging)
        found = await role.segment(volume, version=version or form.fields.get("version"))
        return await asyncio.to_thread(_npz, found)

    @routes.post("/{name}/{method}", summary="Call a role from another package")
    async def call(name: str, method: str, asked: CallRequest) -> JSONResponse:
        role = known_roles().get(name)
        if role is None or role.method != method or role.kind == "stream":
            raise NotFound(f"There is no /models/{name}/{method}. `GET /models` lists the roles.")
        arguments = role.check(*role.from_json(asked.model_extra or {}))
        answer = await getattr(services.roles.require(name), method)(*arguments, version=asked.version)
        return JSONResponse(role.answer_to_json(answer))

    return routes


async def _events(first: Delta, rest: AsyncIterator[Delta]) -> AsyncIterator[bytes]:
    """Deltas as server-sent events; an error on the way is the last one, of the type ``error``."""
    try:
        yield _event(first)
        async for delta in rest:
            yield _event(delta)
    except Exception as error:
        yield f"event: error\ndata: {json.dumps(body_of(problem_of(error)), default=str)}\n\n".encode()
    finally:
        # The reader has gone: the model stops writing.
        with contextlib.suppress(Exception):
            await rest.aclose()  # type: ignore[attr-defined]


def _event(delta: Delta) -> bytes:
    return f"data: {json.dumps(asdict(delta))}\n\n".encode()


def _incoming(services: Services) -> Path:
    folder = services.folder.home / "incoming"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _npz(found: Segmentation) -> Response:
    """``labels`` (int16) and ``affine`` (float64) as npz; everything else as JSON in the header."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, labels=found.labels, affine=found.affine)
    facts = json.dumps(known_roles()["segmentation"].answer_to_json(found), separators=(",", ":"))
    return Response(buffer.getvalue(), media_type="application/x-npz", headers={"x-segmentation": facts})
