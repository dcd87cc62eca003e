"""``workbench ask``."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.output import AsJson, Home, Profile, note, refusals, show

if TYPE_CHECKING:
    from infra.settings import Settings

CONTRACT = ("question", "answer", "abstained", "confidence", "sentences", "passages", "models", "seconds")


class Config(enum.StrEnum):
    """Named ways to search."""

    fast = "fast"
    accurate = "accurate"


class Writer(enum.StrEnum):
    """Who writes the answer."""

    quotes = "quotes"
    model = "model"


def add_to(app: typer.Typer) -> None:
    app.command("ask")(ask)


def ask(
    question: Annotated[str, typer.Argument(help="Your question.", show_default=False)],
    collection: Annotated[list[str], typer.Option("--collection", "-c", help="Name or id; can be repeated.", show_default=False)],
    config: Annotated[Config, typer.Option(help="Search configuration.")] = Config.fast,
    writer: Annotated[
        Writer | None,
        typer.Option(
            help="Quote sentences of the documents, or let the language model write the answer (each sentence is checked). "
            "Default: quotes with the embedded language model.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
    home: Home = None,
    profile: Profile = None,
) -> None:
    """Answer a question from documents: every sentence with its citation, or "Not in these documents".

    Uses the running workbench if there is one, else this process.
    """
    with refusals(as_json):
        from infra.settings import load_settings
        from workbench.cli.running import find_running

        settings = load_settings(home=home, profile=profile)
        client = find_running(settings)
        if client is not None:
            body = {"question": question, "collections": collection, "config": config.value, "writer": writer and writer.value}
            said = client.post("/mlops/query", body)
        else:
            said = _here(settings, question, collection, config.value, writer and writer.value)
        if as_json:
            show({name: said[name] for name in CONTRACT})
        else:
            print(as_text(said))


def as_text(said: dict[str, Any]) -> str:
    """An answer for a terminal."""
    lines = []
    if said["abstained"]:
        lines += [f"{said['answer']} The nearest passages:", ""]
        for passage in said["passages"][:3]:
            lines += [f"  {_place(passage)}", f"     {' '.join(passage['text'].split())[:240]}"]
        return "\n".join(lines)
    for sentence in said["sentences"]:
        mark = "" if sentence["support"] == "cited" else " [unsupported]"
        lines.append(f"{sentence['text']}{mark}")
        lines += [f"  {_place(passage)}, relevance {passage['score']:.2f}" for passage in sentence["passages"]]
    return "\n".join([*lines, "", f"confidence {said['confidence']:.2f}"])


def _place(passage: dict[str, Any]) -> str:
    page = f", page {passage['page']}" if passage["page"] else ""
    return f"{passage['document']}{page}, {passage['start']}-{passage['end']}"


def _here(settings: Settings, question: str, collections: list[str], config: str, writer: Any) -> dict[str, Any]:
    from infra.telemetry import configure_logging
    from pipelines.questions import AnswerOptions
    from pipelines.questions.client import ask as ask_here
    from pipelines.questions.writers import usual_writer

    configure_logging(level="error")
    note("No workbench is running: answering in this process")
    options = AnswerOptions(writer=writer or usual_writer(settings))
    return ask_here(question, collections, config=config, options=options, settings=settings).as_dict()
