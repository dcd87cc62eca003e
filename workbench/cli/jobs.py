"""``workbench jobs``: list, show, retry, cancel."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from workbench.cli.output import AsJson, Home, refusals, show

app = typer.Typer(help="Durable jobs: list, show, retry, cancel.", no_args_is_help=True)
Id = Annotated[str, typer.Argument(help="Job ID, or its first characters.", show_default=False)]


@app.command("list")
def list_jobs(limit: Annotated[int, typer.Option("-n", help="How many.")] = 20, as_json: AsJson = False, home: Home = None) -> None:
    """Your jobs, newest first."""
    with refusals(as_json):
        found = _client(home).list(limit)
        if as_json:
            show(found)
            return
        for job in found:
            print(f"{job['id']}  {job['created_at'][:16].replace('T', ' ')}  {_state(job):<22}  {job['pipeline']}  {job['title']}")
        if not found:
            print("No jobs yet. Start one: workbench analyze SCAN")


@app.command("show")
def show_job(job_id: Id, as_json: AsJson = False, home: Home = None) -> None:
    """One job and what happened to it."""
    with refusals(as_json):
        said = _client(home).show(job_id)
        if as_json:
            show(said)
            return
        job = said["job"]
        print(f"{job['title']} ({job['pipeline']}), {_state(job)}, {job['id']}")
        for event in said["events"]:
            seconds = f" {event['seconds']:.1f} s" if event["seconds"] is not None else ""
            print(f"  {event['created_at'][11:19]}  {event['kind']:<10}{event['stage'] or '':<10}{event['message']}{seconds}")


@app.command()
def retry(
    job_id: Id,
    from_stage: Annotated[
        str | None, typer.Option("--from", help="Reuse the results of the stages before this one.", show_default=False)
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="ROLE=VERSION, for example segmentation=2.", show_default=False)] = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Run a job again, as a new job."""
    models = dict(_pair(text) for text in model or [])
    with refusals(as_json):
        job = _client(home).retry(job_id, from_stage, models)
        if as_json:
            show(job)
            return
        print(f"{job['id']} goes on from '{from_stage}'" if from_stage else f"{job['id']} begins")


@app.command()
def cancel(job_id: Id, as_json: AsJson = False, home: Home = None) -> None:
    """Stop a job."""
    with refusals(as_json):
        job = _client(home).cancel(job_id)
        if as_json:
            show(job)
            return
        print(f"{job['id']}: {_state(job)}")


def _client(home: Any) -> Any:
    from infra.settings import load_settings
    from workbench.cli.jobs_client import LocalJobs, RunningJobs
    from workbench.cli.running import find_running

    settings = load_settings(home=home)
    client = find_running(settings)
    return RunningJobs(client) if client else LocalJobs(settings)


def _pair(text: str) -> tuple[str, str]:
    role, separator, version = text.partition("=")
    if not separator or not role or not version:
        raise typer.BadParameter(f"'{text}' is not ROLE=VERSION")
    return role, version


def _state(job: dict[str, Any]) -> str:
    if job["state"] == "running":
        return f"running {job['stage'] or ''} {job['fraction']:.0%}"
    if job["state"] == "failed":
        return f"failed at {job['stage']}" if job["stage"] else "failed"
    return job["state"]
