"""``workbench models``: list, register, evaluate, promote, roll back.

They work on the data folder's MLflow (or ``mlflow.tracking_uri``); a running workbench follows a promotion by itself,
within ``mlflow.poll_seconds``, and restarts nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.cli.output import AsJson, Home, Profile, note, refusals, show

app = typer.Typer(help="Model versions: list, register, evaluate, promote, roll back.", no_args_is_help=True)
Ref = Annotated[str, typer.Argument(help="ROLE@champion, ROLE@previous or ROLE/VERSION.", show_default=False)]


@app.command("list")
def list_models(as_json: AsJson = False, home: Home = None, profile: Profile = None) -> None:
    """Every version of every role, and which of them serves."""
    with refusals(as_json):
        from serving.registry.promotion import list_versions

        cards = list_versions(_settings(home, profile))
        if as_json:
            show([card.as_dict() for card in cards])
            return
        for card in cards:
            marks = [mark for mark, there in (("champion", card.serves), ("previous", card.previous)) if there]
            marks += [f"evaluation {card.evaluation}"] if card.evaluation else []
            marks += [f"REFUSED: {card.refused}"] if card.refused else []
            print(f"{f'{card.role}/{card.version}':<20}{card.backend:<17}{card.digest[:12]}  {card.title[:48]:<50}{', '.join(marks)}")
        if not cards:
            print("No model is on this machine. `workbench doctor` says what to do.")


@app.command("register")
def register_model(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder (Hugging Face layout, MONAI bundle), a file of weights (safetensors, GGUF, exported program), "
            "or hub:ORG/NAME@REVISION.",
            show_default=False,
        ),
    ],
    role: Annotated[str, typer.Option("--role", help="segmentation, embedding, llm, vlm or entailment.", show_default=False)],
    title: Annotated[str, typer.Option("--title", help="Display name (default: the name in the model files).")] = "",
    backend: Annotated[str, typer.Option("--backend", help="Backend that loads it (default: the one in the settings).")] = "",
    as_json: AsJson = False,
    home: Home = None,
    profile: Profile = None,
) -> None:
    """Read a model, try it, and register it as the next version of its role. The champion stays what it is."""
    with refusals(as_json):
        from serving.registry.registration import register

        model = register(_settings(home, profile), source, role, title=title, backend=backend)
        if as_json:
            show(model.as_dict())
            return
        print(f"{role}/{model.ref.version}: {model.facts.get('title', '')} ({model.ref.backend}, sha256 {model.ref.digest[:12]})")
        if model.facts.get("notes"):
            print(model.facts["notes"])
        print(f"Evaluate it: workbench models evaluate {role}/{model.ref.version} --data DIR")


@app.command("evaluate")
def evaluate_model(
    ref: Ref,
    data: Annotated[Path, typer.Option("--data", help="Folder laid out like ../shared/data/mri.", exists=True, show_default=False)],
    only: Annotated[str, typer.Option("--only", help="Only measures whose name contains this, for example lesions.")] = "",
    no_peer: Annotated[bool, typer.Option("--no-peer", help="Leave brainchop out.")] = False,
    as_json: AsJson = False,
    home: Home = None,
    profile: Profile = None,
) -> None:
    """Measure a version: one table, brainchop beside it, kept on the version's run in MLflow. Takes minutes."""
    with refusals(as_json):
        from infra.telemetry import configure_logging
        from serving.registry.evaluation import evaluate_version
        from serving.segmentation.evaluation.evaluate import Row, print_row

        configure_logging(level="error")

        def told(row: Row) -> None:
            if as_json:
                note(f"{row.measure}: {'-' if row.value is None else f'{row.value:.4g}'}")
            else:
                print_row(row)

        found = evaluate_version(_settings(home, profile), ref, data, only=only, peer=not no_peer, show=told)
        if as_json:
            print(json.dumps(found.as_dict(), ensure_ascii=False))
            return
        missed = [row.measure for row in found.rows if row.passed is False]
        verdict = f"{len(missed)} measures missed: {', '.join(missed)}" if missed else "all thresholds are met"
        print(f"\n{found.model.ref.role}/{found.model.ref.version}: {verdict}")


@app.command("promote")
def promote_model(ref: Ref, as_json: AsJson = False, home: Home = None, profile: Profile = None) -> None:
    """Make a version the champion of its role. A running workbench swaps it in by itself."""
    with refusals(as_json):
        from serving.registry.promotion import promote

        _told(promote(_settings(home, profile), ref), as_json)


@app.command("rollback")
def rollback_model(
    role: Annotated[str, typer.Argument(help="The role.", show_default=False)],
    as_json: AsJson = False,
    home: Home = None,
    profile: Profile = None,
) -> None:
    """Make the champion before the present one the champion again."""
    with refusals(as_json):
        from serving.registry.promotion import rollback

        _told(rollback(_settings(home, profile), role), as_json)


def _told(change: Any, as_json: bool) -> None:
    if as_json:
        show({"champion": change.now.as_dict(), "before": change.before})
    elif change.before == change.now.version:
        print(f"{change.now.role}/{change.now.version} is already the champion.")
    else:
        print(f"{change.now.role}/{change.now.version} is now the champion; previous: {change.before or 'none'}.")


def _settings(home: Path | None, profile: str | None) -> Any:
    from infra.settings import load_settings

    return load_settings(home=home, profile=profile)
