"""``workbench users`` and ``workbench tokens``: over HTTP where a workbench runs, else in the data folder, as its owner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from workbench.cli.output import AsJson, Home, note, refusals, show

if TYPE_CHECKING:
    from infra.settings import Settings
    from workbench.cli.running import Client

users = typer.Typer(no_args_is_help=True, help="Manage users (owners only).")
tokens = typer.Typer(no_args_is_help=True, help="Manage your API tokens.")
Name = Annotated[str, typer.Argument(help="The person's name.")]


@users.command("add")
def add_user(
    name: Name,
    role: Annotated[str, typer.Option("--role", help="owner, promoter (may change model aliases) or member.")] = "member",
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Add a person, and print the one-time link to hand over to them."""
    with _at(home, as_json) as client:
        _hand_over(client.add(name, role), as_json)


@users.command("list")
def list_users(as_json: AsJson = False, home: Home = None) -> None:
    """Everybody: role, whether they have a password, open sessions, valid tokens."""
    with _at(home, as_json) as client:
        found = client.people()
        if as_json:
            show({"users": found})
            return
        for one in found:
            state = "disabled" if one["disabled_at"] else "password" if one["has_password"] else "no password"
            print(f"{one['name']:<24}{one['role']:<10}{state:<13}{one['sessions']} sessions, {one['tokens']} tokens")


@users.command("disable")
def disable_user(name: Name, as_json: AsJson = False, home: Home = None) -> None:
    """Refuse a person from now on: sessions end, tokens are refused. Their results stay. `reset` enables them again."""
    with _at(home, as_json) as client:
        done = client.disable(name)
        show(done) if as_json else print(f"{done['name']} is disabled.")


@users.command("reset")
def reset_user(name: Name, as_json: AsJson = False, home: Home = None) -> None:
    """Forget a person's password, end sessions and tokens, enable the account, and print a new one-time link."""
    with _at(home, as_json) as client:
        _hand_over(client.reset(name), as_json)


@tokens.command("add")
def add_token(
    name: Annotated[str, typer.Argument(help="Name of the token, for example laptop.")],
    days: Annotated[int | None, typer.Option("--days", help="Validity in days (default: 90).", show_default=False)] = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Make a token, and print it, this once. Use it as WORKBENCH_TOKEN or as 'Authorization: Bearer TOKEN'."""
    with _at(home, as_json) as client:
        made = client.add_token(name, days)
        if as_json:
            show(made)
            return
        note(f"Valid until {_day(made['token']['expires_at'])}. It is shown only once:")
        print(made["secret"])


@tokens.command("list")
def list_tokens(as_json: AsJson = False, home: Home = None) -> None:
    """Your valid tokens, with their last use and their end."""
    with _at(home, as_json) as client:
        found = client.tokens()
        if as_json:
            show({"tokens": found})
            return
        for one in found:
            used = f"last used {_day(one['last_used_at'])}" if one["last_used_at"] else "never used"
            print(f"{one['name']:<36}{used:<24}valid until {_day(one['expires_at'])}")


@tokens.command("revoke")
def revoke_token(
    name: Annotated[str, typer.Argument(help="The token's name or id.")],
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """End a token."""
    with _at(home, as_json) as client:
        client.revoke(name)
        show({"revoked": name}) if as_json else print(f"The token {name} is revoked.")


def _hand_over(made: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show(made)
        return
    note(f"Hand this one-time link over to {made['user']['name']} ({made['user']['role']}); it signs in and asks for a password:")
    print(made["link"])


def _day(moment: str | datetime) -> str:
    return str(moment)[:10]


@contextmanager
def _at(home: Any, as_json: bool) -> Iterator[_Remote | _Local]:
    with refusals(as_json):
        from infra.settings import load_settings
        from workbench.cli.running import find_running

        settings = load_settings(home=home)
        client = find_running(settings)
        if client is not None:
            yield _Remote(client)
            return
        local = _Local(settings)
        try:
            yield local
        finally:
            local.close()


class _Remote:
    """A running workbench, as the person whose token it is."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def people(self) -> list[dict[str, Any]]:
        return self._client.get("/auth/users")["users"]

    def add(self, name: str, role: str) -> dict[str, Any]:
        return self._client.post("/auth/users", {"name": name, "role": role})

    def disable(self, name: str) -> dict[str, Any]:
        return self._client.post(f"/auth/users/{self._id(name)}/disable")

    def reset(self, name: str) -> dict[str, Any]:
        return self._client.post(f"/auth/users/{self._id(name)}/reset")

    def tokens(self) -> list[dict[str, Any]]:
        return self._client.get("/auth/tokens")["tokens"]

    def add_token(self, name: str, days: int | None) -> dict[str, Any]:
        return self._client.post("/auth/tokens", {"name": name, "days": days})

    def revoke(self, name: str) -> None:
        self._client.delete(f"/auth/tokens/{quote(name, safe='')}")

    def _id(self, name: str) -> str:
        from infra.errors import NotFound

        found = [one["id"] for one in self.people() if name in (one["id"], one["name"])]
        if not found:
            raise NotFound(f"There is no user named {name}.")
        return found[0]


class _Local:
    """The data folder: whoever may write it is its owner."""

    def __init__(self, settings: Settings) -> None:
        from infra.database import Database, migrate
        from infra.datafolder import DataFolder
        from workbench.accounts import Accounts

        folder = DataFolder(settings.home).make()
        self._database = Database(settings.database_url)
        migrate(self._database)
        self._accounts = Accounts(settings, self._database, folder)
        self._owner = self._accounts.ensure_owner()

    def close(self) -> None:
        self._database.close()

    def people(self) -> list[dict[str, Any]]:
        from workbench.accounts.people import list_people

        return [_plain(one) for one in list_people(self._accounts, self._owner)]

    def add(self, name: str, role: str) -> dict[str, Any]:
        from workbench.accounts.people import add_person

        person, link = add_person(self._accounts, self._owner, name, role)
        return {"user": _plain(person), "link": link}

    def disable(self, name: str) -> dict[str, Any]:
        from workbench.accounts.people import disable, find_person

        return _plain(disable(self._accounts, self._owner, find_person(self._accounts, self._owner, name).id))

    def reset(self, name: str) -> dict[str, Any]:
        from workbench.accounts.people import find_person, reset

        person, link = reset(self._accounts, self._owner, find_person(self._accounts, self._owner, name).id)
        return {"user": _plain(person), "link": link}

    def tokens(self) -> list[dict[str, Any]]:
        from workbench.accounts.people import list_tokens

        return [_plain(one) for one in list_tokens(self._accounts, self._owner)]

    def add_token(self, name: str, days: int | None) -> dict[str, Any]:
        from workbench.accounts.people import add_token

        token, secret = add_token(self._accounts, self._owner, name, days)
        return {"token": _plain(token), "secret": secret}

    def revoke(self, name: str) -> None:
        from workbench.accounts.people import revoke_token

        revoke_token(self._accounts, self._owner, name)


def _plain(value: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return {name: one.isoformat() if isinstance(one, datetime) else one for name, one in asdict(value).items()}
