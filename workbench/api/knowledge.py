"""The knowledge base over HTTP: collections, documents, chunks, search."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from starlette.responses import JSONResponse, Response

from infra.errors import InvalidInput
from knowledge.reading import as_kb_read
from workbench.api.contract import FILE, STILL_RUNNING, Whole
from workbench.api.files import file_response
from workbench.api.jobs import job_view
from workbench.api.knowledge_bodies import (
    ChunkChange,
    CollectionChange,
    DocumentsToAdd,
    FactsChange,
    MemberRight,
    NewCollection,
    Search,
    SearchSeveral,
    State,
    chunk_view,
    collection_view,
    document_view,
    version_view,
)
from workbench.api.uploads import Someone, form_body, receive_form
from workbench.services import knowledge
from workbench.services.context import Services
from workbench.services.results import StillRunning

Key = Annotated[str | None, Header(max_length=200)]


def knowledge_routes(services: Services) -> APIRouter:
    """Routes below ``/mlops/kb``. A ``{collection}`` is a name or an id, a ``{document}`` an id."""
    routes = APIRouter(prefix="/mlops/kb", tags=["knowledge"])

    # -- across collections (before the routes of one, whose {collection} would take these words)

    @routes.get("", summary="Collections you can read")
    async def collections(user: Someone) -> JSONResponse:
        return JSONResponse({"collections": [collection_view(card) for card in await knowledge.list_collections(services, user)]})

    @routes.post("", status_code=201, summary="Create a collection")
    async def create(asked: NewCollection, user: Someone) -> JSONResponse:
        card = await knowledge.new_collection(services, user, asked.name, shared=asked.shared, description=asked.description)
        return JSONResponse(collection_view(card), status_code=201)

    @routes.post("/search", summary="Search several collections")
    async def search_several(asked: SearchSeveral, user: Someone) -> JSONResponse:
        began = time.perf_counter()
        found = await knowledge.search_collections(services, user, asked.collections, asked.query, asked.k, {**asked.filters}, asked.config)
        return JSONResponse({"config": asked.config, "passages": [one.as_dict() for one in found], "seconds": _since(began)})

    @routes.get("/documents", summary="Documents with a name or ID, in all collections you can read")
    async def named(named: str, user: Someone) -> JSONResponse:
        return JSONResponse({"documents": [document_view(card) for card in await knowledge.named_documents(services, user, named)]})

    @routes.post("/documents", status_code=202, summary="Add uploads to a collection (created if missing), as one job")
    async def add_uploads(asked: DocumentsToAdd, user: Someone, idempotency_key: Key = None) -> JSONResponse:
        files = [(file.upload, file.name) for file in asked.files]
        job = await knowledge.add_uploads(services, user, asked.collection, files, idempotency_key=idempotency_key)
        return JSONResponse({"job": job_view(job)}, status_code=202)

    @routes.get("/jobs/{job_id}", summary="Results of the documents of a job; 202 while it runs", responses=STILL_RUNNING)
    async def added(job_id: str, user: Someone) -> Response:
        try:
            return JSONResponse(await knowledge.added_documents(services, user, job_id))
        except StillRunning as running:
            return JSONResponse(running.details, status_code=202, headers={"retry-after": "1"})

    # -- one collection

    @routes.get("/{collection}", summary="One collection")
    async def show(collection: str, user: Someone) -> JSONResponse:
        return JSONResponse(collection_view(await knowledge.find_collection(services, user, collection)))

    @routes.patch("/{collection}", summary="Rename, describe or share a collection (owner only)")
    async def change(collection: str, asked: CollectionChange, user: Someone) -> JSONResponse:
        card = await knowledge.change_collection(
            services, user, collection, new_name=asked.name, shared=asked.shared, description=asked.description
        )
        return JSONResponse(collection_view(card))

    @routes.delete("/{collection}", status_code=204, summary="Delete a collection (owner only)")
    async def delete(collection: str, user: Someone) -> Response:
        await knowledge.delete_collection(services, user, collection)
        return Response(status_code=204)

    @routes.get("/{collection}/storage", summary="Storage used by a collection")
    async def storage(collection: str, user: Someone) -> JSONResponse:
        return JSONResponse((await knowledge.storage_used(services, user, collection)).as_dict())

    @routes.post("/{collection}/rebuild", summary="Rebuild the index of a collection")
    async def rebuild(collection: str, user: Someone) -> JSONResponse:
        return JSONResponse({"chunks": await knowledge.rebuild_collection(services, user, collection)})

    @routes.get("/{collection}/members", summary="Members of a collection")
    async def members(collection: str, user: Someone) -> JSONResponse:
        found = await knowledge.list_members(services, user, collection)
        return JSONResponse({"members": [{"name": member.name, "right": member.right} for member in found]})

    @routes.put("/{collection}/members/{person}", status_code=204, summary="Set a person's permission (owner only)")
    async def give(collection: str, person: str, asked: MemberRight, user: Someone) -> Response:
        await knowledge.set_member(services, user, collection, person, asked.right)
        return Response(status_code=204)

    @routes.delete("/{collection}/members/{person}", status_code=204, summary="Remove a person's permission (owner only)")
    async def take(collection: str, person: str, user: Someone) -> Response:
        await knowledge.set_member(services, user, collection, person, None)
        return Response(status_code=204)

    @routes.post("/{collection}/search", summary="Search a collection; several queries at once")
    async def search(collection: str, asked: Search, user: Someone) -> JSONResponse:
        if (asked.query is None) == (asked.queries is None):
            raise InvalidInput("Send either 'query' or 'queries'.")
        began = time.perf_counter()
        queries = asked.queries if asked.queries is not None else [asked.query or ""]
        found = await knowledge.search_many(services, user, collection, queries, asked.k, {**asked.filters}, asked.config)
        answers = [[passage.as_dict() for passage in passages] for passages in found]
        said: dict[str, Any] = {"answers": answers} if asked.queries is not None else {"query": asked.query, "passages": answers[0]}
        return JSONResponse({"collection": collection, "config": asked.config, **said, "seconds": _since(began)})

    # -- its documents

    @routes.get("/{collection}/documents", summary="Documents of a collection, by name")
    async def documents(
        collection: str,
        user: Someone,
        after: str | None = None,
        limit: Whole = 200,
        state: State | None = None,
        containing: str | None = None,
    ) -> JSONResponse:
        cards, following = await knowledge.list_documents(
            services, user, collection, after=after, limit=limit, state=state, containing=containing
        )
        return JSONResponse({"documents": [document_view(card) for card in cards], "next": following})

    @routes.post("/{collection}/documents", status_code=202, summary="Add one file, sent as a form", openapi_extra=form_body("name"))
    async def add_form(collection: str, request: Request, user: Someone, idempotency_key: Key = None) -> JSONResponse:
        upload, fields = await receive_form(request, services, user)
        if upload is None:
            raise InvalidInput("The form has no file. Put it in the field 'file', and its name with folders in 'name' if it has any.")
        files = [(upload.id, fields.get("name"))]
        job = await knowledge.add_uploads(services, user, collection, files, idempotency_key=idempotency_key)
        return JSONResponse({"job": job_view(job)}, status_code=202)

    @routes.get("/{collection}/documents/{document}", summary="One document")
    async def document_card(collection: str, document: str, user: Someone) -> JSONResponse:
        return JSONResponse(document_view(await knowledge.find_document(services, user, collection, document)))

    @routes.patch("/{collection}/documents/{document}", summary="Correct a document's details")
    async def edit(collection: str, document: str, asked: FactsChange, user: Someone) -> JSONResponse:
        facts = asked.model_dump(exclude_unset=True)
        return JSONResponse(document_view(await knowledge.edit_document(services, user, collection, document, facts)))

    @routes.delete("/{collection}/documents/{document}", status_code=204, summary="Delete a document")
    async def remove(collection: str, document: str, user: Someone) -> Response:
        await knowledge.remove_documents(services, user, collection, [document])
        return Response(status_code=204)

    @routes.get("/{collection}/documents/{document}/text", summary="Text of a document, by page")
    async def text(collection: str, document: str, user: Someone) -> JSONResponse:
        return JSONResponse(as_kb_read(await knowledge.read_document_text(services, user, collection, document)))

    @routes.get("/{collection}/documents/{document}/file", summary="File of a document", responses=FILE)
    async def original(collection: str, document: str, request: Request, user: Someone) -> Response:
        stream, info, name = await knowledge.open_file(services, user, collection, document)
        return file_response(request, stream, info, filename=name)

    @routes.get("/{collection}/documents/{document}/versions", summary="Earlier versions of a document, newest first")
    async def versions(collection: str, document: str, user: Someone) -> JSONResponse:
        found = await knowledge.list_versions(services, user, collection, document)
        return JSONResponse({"versions": [version_view(card) for card in found]})

    @routes.get("/{collection}/documents/{document}/versions/{version}/text", summary="Text of an earlier version, by page")
    async def version_text(collection: str, document: str, version: Whole, user: Someone) -> JSONResponse:
        return JSONResponse(as_kb_read(await knowledge.read_version(services, user, collection, document, version)))

    @routes.get("/{collection}/documents/{document}/versions/{version}/file", summary="File of an earlier version", responses=FILE)
    async def version_file(collection: str, document: str, version: Whole, request: Request, user: Someone) -> Response:
        stream, info, name = await knowledge.open_version(services, user, collection, document, version)
        return file_response(request, stream, info, filename=name)

    @routes.get("/{collection}/documents/{document}/chunks", summary="Chunks of a document")
    async def chunks(collection: str, document: str, user: Someone, after: Whole = -1, limit: Whole = 100) -> JSONResponse:
        found = await knowledge.list_chunks(services, user, collection, document, after=after, limit=limit)
        return JSONResponse({"chunks": [chunk_view(card) for card in found]})

    @routes.patch("/{collection}/chunks/{chunk}", summary="Enable or disable a chunk, or change its search text")
    async def edit_chunk(collection: str, chunk: Whole, asked: ChunkChange, user: Someone) -> JSONResponse:
        card = await knowledge.edit_chunk(services, user, collection, chunk, enabled=asked.enabled, search_text=asked.search_text)
        return JSONResponse(chunk_view(card))

    return routes


def _since(began: float) -> float:
    return round(time.perf_counter() - began, 4)
