"""``workbench evaluate``: whole pipelines on development data."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.cli.kb import Config
from workbench.cli.output import AsJson, Home, Profile, note, refusals, show

app = typer.Typer(help="Whole pipelines on development data: retrieval, parsing, answers, compliance.", no_args_is_help=True)
Data = Annotated[
    Path, typer.Option("--data", help="A folder laid out as ../shared/data/rag.", exists=True, file_okay=False, show_default=False)
]


@app.command()
def retrieval(
    data: Data,
    sets: Annotated[list[str] | None, typer.Option("--set", help="scifact, obliqa or financebench; by default all.")] = None,
    config: Annotated[list[Config] | None, typer.Option(help="fast or accurate (default: both).")] = None,
    part: Annotated[float, typer.Option(min=0.001, max=1.0, help="Fraction of the documents to use, for quick comparisons.")] = 1.0,
    as_json: AsJson = False,
    home: Home = None,
    profile: Profile = None,
) -> None:
    """SciFact nDCG@10, ObliQA recall@10 and MAP@10, FinanceBench page recall@10, for every configuration of search.

    Uses the models of the running workbench if there is one, else this process. Logged to MLflow where one is there.
    """
    from pipelines.evaluation.retrieval_sets import SETS

    chosen = sets or list(SETS)
    if unknown := set(chosen) - set(SETS):
        raise typer.BadParameter(f"There is no set '{min(unknown)}'. There are: {', '.join(SETS)}.")
    with refusals(as_json):
        from infra.settings import load_settings
        from pipelines.evaluation.retrieval import as_json as figures_json
        from pipelines.evaluation.retrieval import as_metrics, as_table, evaluate_retrieval
        from pipelines.evaluation.tracking import log_figures
        from pipelines.index_service.models import EntailmentReranker

        settings = load_settings(home=home, profile=profile)
        roles = _roles(settings)
        reranker = EntailmentReranker(roles.entailment) if roles.entailment is not None else None
        configs = [one.value for one in config or Config]
        work = evaluate_retrieval(data, roles.require("embedding"), reranker=reranker, sets=chosen, configs=configs, part=part, say=note)
        figures = asyncio.run(work)
        run = log_figures(settings, "retrieval", as_metrics(figures), {"sets": ",".join(chosen), "part": f"{part:g}"})
        if as_json:
            show({"figures": figures_json(figures), "mlflow_run": run})
            return
        print(as_table(figures))
        if reranker is None and "accurate" in configs:
            print("accurate: not measured, no entailment model is installed")
        if run:
            print(f"Logged to MLflow: run {run}")


@app.command()
def parsing(
    data: Data,
    only: Annotated[str | None, typer.Option(help="Regular expression; only cases whose name matches.", show_default=False)] = None,
    as_json: AsJson = False,
    home: Home = None,
    profile: Profile = None,
) -> None:
    """How well documents are read: word recall, right refusals, time and memory. Logged to MLflow where one is there."""
    with refusals(as_json):
        from infra.errors import NotFound
        from infra.settings import load_settings
        from infra.telemetry import configure_logging
        from knowledge.parsing_evaluation import evaluate_parsing
        from pipelines.evaluation.tracking import log_figures

        configure_logging(level="error")
        if not (data / "parsing" / "cases.jsonl").is_file():
            raise NotFound(f"There is no {data / 'parsing' / 'cases.jsonl'}. Name a folder laid out as ../shared/data/rag with --data.")
        settings = load_settings(home=home, profile=profile)
        report = evaluate_parsing(data, only=only)
        metrics = {name.replace(",", "").replace(" ", "_"): float(value) for name, value in report["summary"].items()}
        run = log_figures(settings, "parsing", metrics, {"only": only or ""})
        if as_json:
            show({**report, "mlflow_run": run})
            return
        for case in report["cases"]:
            if not case["right"] or (case["recall"] is not None and case["recall"] < 0.95):
                recall = "" if case["recall"] is None else f"{case['recall']:.3f}"
                print(
                    f"{case['name'][:70]:72}{case['expect']:18}{case['outcome']:18}{recall:8}{case['seconds']:6.1f} s  {case['note'][:100]}"
                )
        for name, value in report["summary"].items():
            print(f"{name:34}{value}")
        if run:
            print(f"Logged to MLflow: run {run}")


@app.command()
def answers(
    data: Data,
    sets: Annotated[list[str] | None, typer.Option("--set", help="scifact, pubmedqa or obliqa; by default all.")] = None,
    questions: Annotated[int, typer.Option(min=5, help="Maximum number of questions per set.")] = 150,
    fit: Annotated[bool, typer.Option("--fit", help="Refit the calibration on the tuning parts and save it in the source tree.")] = False,
    as_json: AsJson = False,
    home: Home = None,
    profile: Profile = None,
) -> None:
    """Where citations point (hit@1, recall@3), and whether an answer that is not there is known not to be (AUROC).

    On parts that the entailment model was not trained on. Uses the models of the running workbench if there is one, else
    this process. Logged to MLflow where one is there.
    """
    from pipelines.evaluation.answers import FITTED, SETS

    chosen = sets or list(SETS)
    if unknown := set(chosen) - set(SETS):
        raise typer.BadParameter(f"There is no set '{min(unknown)}'. There are: {', '.join(SETS)}.")
    if fit and "scifact" not in chosen:
        raise typer.BadParameter(f"--fit needs scifact (it fits on {' and '.join(FITTED)}).")
    with refusals(as_json):
        from infra.settings import load_settings
        from pipelines.evaluation.answers import as_json as figures_json
        from pipelines.evaluation.answers import as_metrics, as_table, evaluate_answers, split_of, with_figures
        from pipelines.evaluation.tracking import log_figures
        from pipelines.questions.calibration import shipped, write_calibration

        settings = load_settings(home=home, profile=profile)
        known = None if fit else shipped()
        work = evaluate_answers(data, _roles(settings), known, split_of(settings), sets=chosen, questions=questions, say=note)
        figures, calibration = asyncio.run(work)
        if fit:
            write_calibration(with_figures(calibration, figures))
        run = log_figures(settings, "answers", as_metrics(figures), {"sets": ",".join(chosen), "questions": str(questions)})
        if as_json:
            show({"figures": figures_json(figures), "calibration": calibration.as_dict(), "mlflow_run": run})
            return
        print(as_table(figures))
        if run:
            print(f"Logged to MLflow: run {run}")


@app.command()
def compliance(
    data: Annotated[
        Path, typer.Option("--data", help="A folder laid out as ../shared/data.", exists=True, file_okay=False, show_default=False)
    ],
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="pairs, units, contracts, bans, reader, samples or size; by default all.")
    ] = None,
    contracts: Annotated[int, typer.Option(min=0, help="Maximum number of contracts; 0: all that were not used for training.")] = 0,
    cache: Annotated[Path | None, typer.Option(help="Folder that keeps what the models read; a second run reads it from there.")] = None,
    as_json: AsJson = False,
    home: Home = None,
    profile: Profile = None,
) -> None:
    """Verdicts, calibration and evidence on pairs, thresholds, contracts and bans; the starter documents; time, memory and lines.

    Uses the models of the running workbench if there is one, else this process. Logged to MLflow where one is there. How evidence
    becomes a verdict is fitted by `python -m pipelines.evaluation.compliance_fit`.
    """
    from pipelines.evaluation.compliance import SETS

    chosen = sets or list(SETS)
    if unknown := set(chosen) - set(SETS):
        raise typer.BadParameter(f"There is no set '{min(unknown)}'. There are: {', '.join(SETS)}.")
    with refusals(as_json):
        from infra.settings import load_settings
        from pipelines.evaluation.answers import split_of
        from pipelines.evaluation.compliance import evaluate_compliance
        from pipelines.evaluation.table import as_json as figures_json
        from pipelines.evaluation.table import as_metrics, as_table
        from pipelines.evaluation.tracking import log_figures

        settings = load_settings(home=home, profile=profile)
        work = evaluate_compliance(data, _roles(settings), split_of(settings), sets=chosen, limit=contracts, cache=cache, say=note)
        rows = asyncio.run(work)
        run = log_figures(settings, "compliance", as_metrics(rows), {"contracts": str(contracts), "sets": ",".join(chosen)})
        if as_json:
            show({"figures": figures_json(rows), "mlflow_run": run})
            return
        print(as_table(rows))


def _roles(settings: Any) -> Any:
    from infra.telemetry import configure_logging
    from serving.http import http_roles
    from serving.local import local_roles
    from workbench.cli.running import find_running, token_for

    client = find_running(settings)
    if client is not None:
        roles = http_roles(client.url, token_for(settings))
        missing = [one["role"] for one in client.get("/models")["roles"] if one["state"] == "missing"]
        return roles.replace(**dict.fromkeys(missing))
    configure_logging(level="error")
    note("No workbench is running: its models are loaded in this process")
    return local_roles(settings)
