"""The command line. Heavy libraries are imported by the command that needs them: ``workbench --help`` is quick."""

from __future__ import annotations

import typer

from infra.datafolder import private_umask
from workbench.cli import analyze, ask, comply, doctor, entail, evaluate, jobs, kb, login, models, people, pipelines, status, up

app = typer.Typer(
    name="workbench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="A research workbench on Ray: brain MRI reports, policy compliance and questions about documents, with evidence.",
)
for group in (up, status, login, doctor, analyze, ask, comply, entail):
    group.add_to(app)
app.add_typer(jobs.app, name="jobs")
app.add_typer(models.app, name="models")
app.add_typer(pipelines.app, name="pipelines")
app.add_typer(kb.app, name="kb")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(people.users, name="users")
app.add_typer(people.tokens, name="tokens")


def main() -> None:
    """Entry of the console script. What commands write is for this user alone: scans and reports are private."""
    private_umask()
    app()
