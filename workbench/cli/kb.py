"""``workbench kb``: add, read, search, list, remove, rebuild."""

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.cli.output import AsJson, Home, Profile, note, refusals, show

app = typer.Typer(help="The knowledge base: add, read, search, list, remove, rebuild.", no_args_is_help=True)
Collection = Annotated[str, typer.Option("--collection", "-c", help="Name or id of the collection.", show_default=False)]
OneCollection = Annotated[str | None, typer.Option("--collection", "-c", help="Name or id of a collection.", show_default=False)]


class Config(enum.StrEnum):
    """Named ways to search."""

    fast = "fast"
    accurate = "accurate"


@app.command()
def add(
    paths: Annotated[
        list[Path],
        typer.Argument(help='Files, folders, .jsonl with one {"id", "title", "text"} per line.', exists=True, show_default=False),
    ],
    collection: Collection,
    as_json: AsJson = False,
    home: Home = None,
    profile: Profile = None,
) -> None:
    """Add documents to a collection, which is made where there is none. What is there already is passed over.

    A file that cannot be read is told with its reason and stops nothing. Exit code 1 where not one document is ready.
    """
    with refusals(as_json):
        from workbench.cli.analyze import Progress

        with _client(home, profile) as client:
            added = client.add(paths, collection, Progress())
        if as_json:
            show(added)
        else:
            for said in added["documents"]:
                print(f"{said['document']}: {_state(said)}")
        if not any(said["state"] == "ready" for said in added["documents"]):
            raise typer.Exit(1)


@app.command()
def read(
    file: Annotated[Path, typer.Argument(help="PDF, DOCX, HTML, Markdown, text, CSV, EML, MHT or MSG.", exists=True, show_default=False)],
    as_json: AsJson = False,
) -> None:
    """What the reader gets from one file. Nothing is indexed."""
    with refusals(as_json):
        from infra.telemetry import configure_logging
        from knowledge.reading import as_kb_read, read_document

        configure_logging(level="error")
        document = read_document(file)
        if as_json:
            show(as_kb_read(document))
            return
        language = f", {document.language}" if document.language else ""
        print(f"{document.name}: {document.media_type}, {len(document.pages)} pages{language}, {len(document.text):,} characters")
        for warning in document.warnings:
            print(f"warning: {warning}")
        for page in document.pages:
            print(f"\n--- page {page.number}\n{page.text}" if document.paged else page.text)


@app.command()
def search(
    collection: Collection,
    query: Annotated[str | None, typer.Argument(help="A question, or words.", show_default=False)] = None,
    queries: Annotated[
        Path | None, typer.Option("--queries", help='Many: {"id", "text"} a line.', exists=True, dir_okay=False, show_default=False)
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="Passages given.")] = 10,
    config: Annotated[Config, typer.Option(help="fast, or accurate (reranked if an entailment model is installed).")] = Config.fast,
    where: Annotated[
        list[str] | None, typer.Option("--filter", help="NAME=VALUE: organisation, kind, year, quarter, language, document.")
    ] = None,
    as_json: AsJson = False,
    home: Home = None,
    profile: Profile = None,
) -> None:
    """The passages that answer a question best, with where they stand."""
    if (query is None) == (queries is None):
        raise typer.BadParameter("Give either a query or --queries FILE.")
    filters = _filters(where or [])
    with refusals(as_json):
        with _client(home, profile) as client:
            if queries is not None:
                for answer in _many(client, queries, collection, k, filters, config.value):
                    print(json.dumps(answer, ensure_ascii=False), flush=True)
                return
            passages = client.search([query], collection, k, filters, config.value)[0]
        if as_json:
            show({"query": query, "collection": collection, "config": config.value, "passages": passages})
            return
        for number, passage in enumerate(passages, 1):
            page = f", page {passage['page']}" if passage["page"] else ""
            title = f" ({passage['title']})" if passage["title"] else ""
            print(f"{number}. {passage['document']}{title}{page}, {passage['start']}-{passage['end']}, score {passage['score']:.3f}")
            print(f"   {' '.join(passage['text'].split())[:400]}\n")
        if not passages:
            print("No results.")


@app.command("list")
def list_them(collection: OneCollection = None, as_json: AsJson = False, home: Home = None, profile: Profile = None) -> None:
    """Your collections; with --collection the documents of one, each with its state."""
    with refusals(as_json), _client(home, profile) as client:
        if collection is not None:
            documents = client.documents(collection)
            if as_json:
                show({"collection": collection, "documents": documents})
                return
            for said in documents:
                print(f"{said['id']}  {_state(said):<28}  {said['document']}")
            if not documents:
                print(f"The collection '{collection}' is empty. Add to it: workbench kb add PATH --collection {collection}")
            return
        collections = client.collections()
        if as_json:
            show({"collections": collections})
            return
        for said in collections:
            shared = ", shared" if said["shared"] else ""
            print(f"{said['id']}  {said['name']}: {said['documents']} documents, {said['chunks']} chunks{shared}")
        if not collections:
            print("No collections yet. Create one: workbench kb add PATH --collection NAME")


@app.command()
def remove(
    identifier: Annotated[
        str, typer.Argument(metavar="ID", help="Document or collection (with its documents), by ID or name.", show_default=False)
    ],
    collection: OneCollection = None,
    as_json: AsJson = False,
    home: Home = None,
    profile: Profile = None,
) -> None:
    """Remove a document, or a whole collection: from the index, the store and every cache."""
    with refusals(as_json), _client(home, profile) as client:
        removed = client.remove(identifier, collection)
        if as_json:
            show({"removed": removed})
        else:
            print(f"Removed the {removed['what']} {removed['name']}.")


@app.command()
def rebuild(collection: OneCollection = None, as_json: AsJson = False, home: Home = None, profile: Profile = None) -> None:
    """Make the index of a collection (or of all that you may change) anew from the tables and the stored vectors."""
    with refusals(as_json), _client(home, profile) as client:
        rebuilt = client.rebuild(collection)
        if as_json:
            show({"collections": rebuilt})
            return
        for said in rebuilt:
            print(f"{said['name']}: {said['chunks']} chunks")


def _client(home: Any, profile: Any) -> Any:
    from infra.settings import load_settings
    from workbench.cli.kb_client import LocalKnowledge, RunningKnowledge
    from workbench.cli.running import find_running

    settings = load_settings(home=home, profile=profile)
    client = find_running(settings)
    if client is not None:
        return RunningKnowledge(client)
    note("No workbench is running: working in this process")
    return LocalKnowledge(settings)


def _many(client: Any, path: Path, collection: str, k: int, filters: dict[str, list[str]], config: str) -> Any:
    from workbench.cli.kb_client import QUERIES_AT_ONCE, read_queries

    asked = read_queries(path)
    for start in range(0, len(asked), QUERIES_AT_ONCE):
        part = asked[start : start + QUERIES_AT_ONCE]
        answers = client.search([text for _, text in part], collection, k, filters, config)
        yield from ({"id": identifier, "passages": passages} for (identifier, _), passages in zip(part, answers, strict=True))


def _filters(given: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or not name or not value:
            raise typer.BadParameter(f"'{text}' is not NAME=VALUE")
        found.setdefault(name, []).append(value)
    return found


def _state(said: dict[str, Any]) -> str:
    if said["state"] == "failed":
        return f"failed: {(said['error'] or {}).get('message', 'no reason given')}"
    if said["state"] == "ready":
        pages = f"{said['pages']} pages, " if said["pages"] else ""
        return f"ready ({pages}{said['chunks']} chunks)"
    return said.get("progress") or said["state"]
