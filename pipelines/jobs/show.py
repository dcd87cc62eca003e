"""A pipeline for people and programs to look at: stages, retries, error states; as text, JSON or Mermaid."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from infra.errors import all_errors
from infra.settings import Jobs
from pipelines.jobs import ENDED, LIVE
from pipelines.jobs.definition import Pipeline
from pipelines.jobs.retry import RetryPolicy

# What any stage may end with, besides what it declares.
ALWAYS = ("unavailable", "timeout", "internal")


def describe(pipeline: Pipeline, jobs: Jobs) -> dict[str, Any]:
    """The pipeline as JSON values.

    ``stages`` have ``step`` (the number of the durable step), ``share`` (of the whole time, 0 to 1) and ``errors``;
    ``retries.waits_seconds`` are the waits between tries.
    """
    policy = RetryPolicy.of(jobs)
    known = all_errors()
    stages = []
    for step, stage in enumerate(pipeline.stages, 1):
        begin, end = pipeline.span(pipeline.plan, stage.name)
        codes = dict.fromkeys([*stage.errors, *ALWAYS])
        errors = [{"code": code, "retryable": bool(code in known and known[code].retryable)} for code in codes]
        stages.append({"step": step, "name": stage.name, "title": stage.title, "share": round(end - begin, 4), "errors": errors})
    return {
        "name": pipeline.name,
        "title": pipeline.title,
        "version": pipeline.version,
        "stages": stages,
        "retired": list(pipeline.retired),
        "retries": {
            "attempts": policy.attempts,
            "waits_seconds": [policy.wait(attempt) for attempt in range(1, policy.attempts)],
            "timeout_seconds": policy.timeout_seconds,
            "retryable": sorted(code for code, cls in known.items() if cls.retryable),
        },
        "states": [*LIVE, *ENDED],
    }


def as_text(shown: dict[str, Any]) -> str:
    """What :func:`describe` gave, for a terminal."""
    stages, retries = shown["stages"], shown["retries"]
    wide = max((len(stage["name"]) for stage in stages), default=0)
    titles = max((len(stage["title"]) for stage in stages), default=0)
    lines = [f"{shown['title']} ({shown['name']}, version {shown['version']})", ""]
    for stage in stages:
        own = [error["code"] for error in stage["errors"] if error["code"] not in ALWAYS]
        fails = f"  fails with {', '.join(own)}" if own else ""
        lines.append(f"  {stage['step']:>2}. {stage['name']:<{wide}}  {stage['title']:<{titles}}  {stage['share']:>4.0%}{fails}".rstrip())
    waits = ", ".join(f"{wait:g} s" for wait in retries["waits_seconds"])
    lines += [
        "",
        f"Any stage may also end with {', '.join(ALWAYS)}.",
        f"Retries: the errors {', '.join(retries['retryable'])} are tried {retries['attempts']} times"
        + (f", waiting {waits}" if waits else "")
        + f"; a try may take {retries['timeout_seconds']:g} s.",
        "Every other error fails the job at once.",
        "States: queued, running, then done, failed (with the stage and the reason) or cancelled.",
        "After a crash a job goes on at the first stage that had not finished.",
    ]
    if shown["retired"]:
        lines.append(f"Only for jobs begun by an older version: {', '.join(shown['retired'])}.")
    return "\n".join(lines)


def as_mermaid(shown: dict[str, Any]) -> str:
    """What :func:`describe` gave, as a Mermaid flowchart."""
    attempts = shown["retries"]["attempts"]
    lines = ["flowchart TD", "    queued([queued])"]
    lines += [f'    {_node(stage)}["{_quoted(stage["title"])}<br/><small>{stage["name"]}</small>"]' for stage in shown["stages"]]
    lines += ["    done([done])", "    failed([failed])", "    cancelled([cancelled])"]
    chain = ["queued", *[_node(stage) for stage in shown["stages"]], "done"]
    lines += [f"    {left} --> {right}" for left, right in pairwise(chain)]
    for stage in shown["stages"]:
        again = ", ".join(error["code"] for error in stage["errors"] if error["retryable"])
        final = ", ".join(error["code"] for error in stage["errors"] if not error["retryable"])
        lines.append(f'    {_node(stage)} -. "{again}: up to {attempts} tries" .-> {_node(stage)}')
        lines.append(f'    {_node(stage)} -- "{final}" --> failed')
    lines.append("    queued & " + " & ".join(_node(stage) for stage in shown["stages"]) + ' -. "cancel" .-> cancelled')
    return "\n".join(lines)


def _node(stage: dict[str, Any]) -> str:
    # A prefix, since "end" and other words mean something to Mermaid.
    return f"s{stage['step']}_{stage['name']}"


def _quoted(text: str) -> str:
    return text.replace('"', "'")
