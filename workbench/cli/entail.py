"""``workbench entail``."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.output import AsJson, Home, Profile, note, refusals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.settings import Settings
    from workbench.cli.running import Client

CHUNK = 256
"""Pairs sent, or read, at once: lines come out as the work goes on."""


def add_to(app: typer.Typer) -> None:
    app.command("entail")(entail)


def entail(
    pairs: Annotated[
        Path, typer.Option("--pairs", help='Lines of {"id", "claim", "passage"}; - reads standard input.', show_default=False)
    ],
    version: Annotated[
        str | None, typer.Option("--version", help="Version of the entailment model; by default the champion.", show_default=False)
    ] = None,
    as_json: AsJson = False,
    home: Home = None,
    profile: Profile = None,
) -> None:
    """Does a passage entail a claim, contradict it, or not mention it? A line out for every line in.

    Uses the running workbench if there is one, else this process.
    """
    if str(pairs) != "-" and not pairs.is_file():
        raise typer.BadParameter(f"File not found: {pairs}.", param_hint="--pairs")
    with refusals(as_json):
        from infra.settings import load_settings
        from workbench.cli.running import find_running

        rows = read_pairs(pairs)
        settings = load_settings(home=home, profile=profile)
        client = find_running(settings)
        for row, answer in _remote(client, rows, version) if client else _inline(rows, version, settings):
            found = {label: round(value, 6) for label, value in answer.items()}
            if as_json:
                print(json.dumps({"id": row["id"], **found}, ensure_ascii=False), flush=True)
            else:
                verdict = max(found, key=found.__getitem__)
                print(f"{row['id']}\t{verdict}\t" + "\t".join(f"{label} {value:.3f}" for label, value in found.items()), flush=True)


def read_pairs(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of pairs (``-``: standard input). All are read first: a bad line costs no half-done work.

    Raises:
        InvalidInput: a line is no pair; the message names it.
    """
    from infra.errors import InvalidInput

    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text.") from error
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(text.split("\n"), 1):  # not splitlines: a passage may hold a form feed
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InvalidInput(f"Line {number} of {path.name} is not JSON: {error}.") from error
        if not isinstance(row, dict) or not isinstance(row.get("id"), str | int):
            raise InvalidInput(f'Line {number} of {path.name} is not an object with an "id".')
        for name in ("claim", "passage"):
            if not isinstance(row.get(name), str):
                raise InvalidInput(f'Line {number} of {path.name} has no text in "{name}".')
        rows.append(row)
    return rows


def _remote(client: Client, rows: list[dict[str, Any]], version: str | None) -> Iterator[tuple[dict[str, Any], dict[str, float]]]:
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        body = {"pairs": [{"claim": row["claim"], "passage": row["passage"]} for row in part], "version": version}
        yield from zip(part, client.post("/models/entailment/entail", body)["answers"], strict=True)


def _inline(rows: list[dict[str, Any]], version: str | None, settings: Settings) -> Iterator[tuple[dict[str, Any], dict[str, float]]]:
    from infra.telemetry import configure_logging
    from serving.local import local_roles
    from serving.roles.entailment import ENTAILMENT_LABELS

    configure_logging(level="error")
    role = local_roles(settings).require("entailment")
    note("No workbench is running: reading in this process")
    with asyncio.Runner() as runner:
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            answer = runner.run(role.entail([(row["claim"], row["passage"]) for row in part], version=version))
            for row, values in zip(part, answer.probabilities.tolist(), strict=True):
                yield row, dict(zip(ENTAILMENT_LABELS, values, strict=True))
