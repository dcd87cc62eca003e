"""``workbench comply``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.output import AsJson, Home, Profile, note, refusals

if TYPE_CHECKING:
    from workbench.cli.analyze import Progress
    from workbench.cli.running import Client

MARKS = {"satisfied": "kept", "violated": "VIOLATED", "not_addressed": "not addressed"}


def add_to(app: typer.Typer) -> None:
    app.command("comply")(comply)


def comply(
    document: Annotated[
        Path,
        typer.Argument(help="Document to check: PDF, DOCX, HTML, Markdown or text.", exists=True, dir_okay=False, show_default=False),
    ],
    policies: Annotated[
        list[str] | None,
        typer.Option("--policies", "-p", help="A collection of policies; can be repeated.", show_default=False),
    ] = None,
    requirements: Annotated[
        Path | None,
        typer.Option(
            "--requirements",
            help="Instead of policies: CSV or XLSX with id,text[,severity,topic,modality], or one per line.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the report (PDF, Word, JSON) and the requirements as CSV.", show_default=False)
    ] = None,
    as_json: AsJson = False,
    home: Home = None,
    profile: Profile = None,
) -> None:
    """Check a document against policies, requirement by requirement: verdicts with evidence, score and risk.

    Uses the running workbench if there is one, else this process.
    """
    if bool(policies) == (requirements is not None):
        raise typer.BadParameter("Give either --policies or --requirements.")
    with refusals(as_json):
        from infra.settings import load_settings
        from workbench.cli.analyze import Progress
        from workbench.cli.running import find_running

        settings = load_settings(home=home, profile=profile)
        client, progress = find_running(settings), Progress()
        if client:
            said = _remote(client, document, policies or [], requirements, out, progress)
        else:
            said = _here(settings, document, policies or [], requirements, out, progress)
        if as_json:
            print(json.dumps(said, ensure_ascii=False))
            return
        print(as_text(said))
        if out:
            print(f"Files: {out}")


def as_text(said: dict[str, Any]) -> str:
    """A report for a terminal: the finding, what is violated or missing with its evidence, and how the score came about."""
    lines = [f"{said['document']}: score {said['score']:g} of 100, risk {said['risk']}", ""]
    order = {"violated": 0, "not_addressed": 1, "satisfied": 2}
    for one in sorted(said["requirements"], key=lambda one: order[one["reviewed"] or one["verdict"]]):
        verdict = one["reviewed"] or one["verdict"]
        sure = f"{one['probabilities'][one['verdict']]:.0%}" if not one["reviewed"] else "reviewed"
        conflict = ", conflicting evidence" if one["conflict"] else ""
        lines.append(f"{MARKS[verdict]:13} {sure:>8}  [{one['severity']}] {one['id']}: {one['text']}{conflict}")
        for span in [span for span in one["evidence"] if span["decided"]][:2] if verdict != "satisfied" else []:
            page = f"page {span['page']}, " if span["page"] else ""
            different = f" ({span['difference']})" if span["difference"] else ""
            lines.append(f"{'':24}{page}{span['start']}-{span['end']}: {' '.join(span['text'].split())[:200]}{different}")
    if said["uncovered"]:
        lines += ["", f"{len(said['uncovered'])} obligations of the document are not covered by a policy."]
    return "\n".join([*lines, "", *said["grade"]["explanation"], "Not legal advice."])


def _here(
    settings: Any, document: Path, policies: list[str], requirements: Path | None, out: Path | None, progress: Progress
) -> dict[str, Any]:
    from infra.telemetry import configure_logging
    from pipelines.compliance import comply as check

    configure_logging(level="error")
    note("No workbench is running: checking in this process")
    return check(document, policies=policies, requirements=requirements, out=out, settings=settings, progress=progress).as_dict()


def _remote(
    client: Client, document: Path, policies: list[str], requirements: Path | None, out: Path | None, progress: Progress
) -> dict[str, Any]:
    from pipelines.compliance.files import FILES
    from workbench.cli.analyze import finish

    body: dict[str, Any] = {"policies": policies}
    if requirements is not None:
        from knowledge.requirements import read_requirements_file

        policy = read_requirements_file(requirements)
        columns = ("id", "text", "severity", "topic", "modality")
        body = {"requirements": [{name: getattr(one, name) for name in columns} for one in policy.requirements], "name": policy.name}
    progress(0.0, f"Sending {document.name} to {client.url}")
    upload = client.send_file("/uploads", document, fields={})
    job = client.post("/mlops/analyze", {"upload": upload["id"], "title": document.name, **body})
    job = finish(client, job, progress)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            client.download(f"/mlops/analysis/{job['id']}/files/{name}", out / name)
    return client.get(f"/mlops/analysis/{job['id']}")
