"""``workbench login``."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli.output import Home, refusals


def add_to(app: typer.Typer) -> None:
    app.command("login")(login)


def login(
    user: Annotated[str | None, typer.Option(help="User name (default: the owner).", show_default=False)] = None,
    home: Home = None,
) -> None:
    """Print a one-time sign-in link."""
    with refusals():
        from infra.database import Database
        from infra.datafolder import DataFolder
        from infra.errors import Unavailable
        from infra.settings import load_settings
        from workbench.accounts import Accounts

        settings = load_settings(home=home)
        folder = DataFolder(settings.home)
        running = folder.running()
        if running is None:
            raise Unavailable(f"No workbench runs on {settings.home.resolve()}. Start one: workbench up")
        # Whoever may write the data folder is its owner: the link is made in the tables, nobody is asked for a password.
        database = Database(settings.database_url)
        accounts = Accounts(settings, database, folder)
        link = accounts.make_link(accounts.user_named(user) if user else accounts.ensure_owner(), url=running.url)
        database.close()
        print(link)
