"""``workbench pipelines``."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli.output import AsJson, Home, Profile, refusals, show

app = typer.Typer(help="Pipelines: their stages, retries and error states.", no_args_is_help=True)


@app.command("list")
def list_pipelines(as_json: AsJson = False) -> None:
    """The pipelines there are."""
    with refusals(as_json):
        from pipelines.jobs.catalog import names, pipeline

        found = [{"name": name, "title": pipeline(name).title} for name in names()]
        if as_json:
            show(found)
            return
        for item in found:
            print(f"{item['name']:<14}{item['title']}")


@app.command("show")
def show_pipeline(
    name: Annotated[str, typer.Argument(help="The pipeline's name, for example imaging.", show_default=False)],
    as_json: AsJson = False,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Only the flowchart.")] = False,
    home: Home = None,
    profile: Profile = None,
) -> None:
    """A pipeline's stages, retries and error states, and its flowchart (Mermaid)."""
    with refusals(as_json):
        from infra.settings import load_settings
        from pipelines.jobs.catalog import pipeline
        from pipelines.jobs.show import as_mermaid, as_text, describe

        shown = describe(pipeline(name), load_settings(home=home, profile=profile).jobs)
        if as_json:
            show({**shown, "mermaid": as_mermaid(shown)})
        elif mermaid:
            print(as_mermaid(shown))
        else:
            print(f"{as_text(shown)}\n\n{as_mermaid(shown)}")
