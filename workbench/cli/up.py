"""``workbench up``."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from workbench.cli.output import Home, Profile, note, refusals


def add_to(app: typer.Typer) -> None:
    app.command("up")(up)


def up(
    profile: Profile = None,
    port: Annotated[int | None, typer.Option(help="Port of the web pages (by default 8000).", show_default=False)] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on (by default the loopback).", show_default=False)] = None,
    home: Home = None,
    sample: Annotated[
        bool, typer.Option(help="Analyse the bundled samples and index the neuroradiology primer at the first start.")
    ] = True,
) -> None:
    """Start the workbench and keep it running until Ctrl-C."""
    with refusals():
        from infra.settings import load_settings
        from workbench.supervisor.banner import Banner
        from workbench.supervisor.supervisor import Supervisor

        gateway = {name: value for name, value in (("port", port), ("host", host)) if value is not None}
        settings = load_settings(profile=profile, home=home, gateway=gateway or None)
        note(f"Workbench, data in {settings.home.resolve()} (profile {settings.profile})")
        asyncio.run(Supervisor(settings, say=note, banner=Banner(note, sample=sample), primer=sample).run())
