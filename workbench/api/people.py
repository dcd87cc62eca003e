"""People and tokens over HTTP: owners manage people, everybody their own tokens."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from infra.database.people import MEMBER
from workbench.accounts import Accounts, people
from workbench.accounts.people import Person, TokenView
from workbench.api.uploads import Someone

Id = Annotated[str, Path(max_length=40)]


class NewPerson(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=80)
    role: str = Field(MEMBER, max_length=40, description="owner, promoter or member.")


class NewRole(BaseModel):
    model_config = ConfigDict(extra="forbid")

    role: str = Field(max_length=40, description="owner, promoter or member.")


class NewToken(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=80, description="Name of the token, for example 'laptop'.")
    days: int | None = Field(None, ge=1, le=36_500, description="Validity in days; default and maximum: gateway.token_days.")


class Invitation(BaseModel):
    """A person and the one-time link to hand over to them."""

    user: Person
    link: str


class People(BaseModel):
    users: list[Person]


class Tokens(BaseModel):
    tokens: list[TokenView]


class MadeToken(BaseModel):
    """A token's description and the token itself, which is shown this once."""

    token: TokenView
    secret: str


def people_routes(accounts: Accounts) -> APIRouter:
    """Routes below ``/auth/users`` and ``/auth/tokens``."""
    routes = APIRouter(prefix="/auth", tags=["accounts"])

    @routes.get("/users", summary="All users (owners only)", response_model=People)
    async def list_people(user: Someone) -> JSONResponse:
        found = await asyncio.to_thread(people.list_people, accounts, user)
        return _json({"users": [asdict(one) for one in found]})

    @routes.post("/users", status_code=201, summary="Add a user; returns a one-time sign-in link", response_model=Invitation)
    async def add(asked: NewPerson, user: Someone) -> JSONResponse:
        person, link = await asyncio.to_thread(people.add_person, accounts, user, asked.name, asked.role)
        return _json({"user": asdict(person), "link": link}, 201)

    @routes.patch("/users/{user_id}", summary="Change the role of a user", response_model=Person)
    async def change_role(user_id: Id, asked: NewRole, user: Someone) -> JSONResponse:
        return _json(asdict(await asyncio.to_thread(people.change_role, accounts, user, user_id, asked.role)))

    @routes.post("/users/{user_id}/disable", summary="Disable a user; results are kept", response_model=Person)
    async def disable(user_id: Id, user: Someone) -> JSONResponse:
        return _json(asdict(await asyncio.to_thread(people.disable, accounts, user, user_id)))

    @routes.post(
        "/users/{user_id}/reset",
        summary="Remove the password, end sessions and tokens, enable the account; returns a new sign-in link",
        response_model=Invitation,
    )
    async def reset(user_id: Id, user: Someone) -> JSONResponse:
        person, link = await asyncio.to_thread(people.reset, accounts, user, user_id)
        return _json({"user": asdict(person), "link": link})

    @routes.post("/users/{user_id}/end-sessions", summary="End all sessions of a user", response_model=Person)
    async def end_sessions(user_id: Id, user: Someone) -> JSONResponse:
        return _json(asdict(await asyncio.to_thread(people.end_persons_sessions, accounts, user, user_id)))

    @routes.get("/tokens", summary="My valid tokens", response_model=Tokens)
    async def list_tokens(user: Someone) -> JSONResponse:
        return _json({"tokens": [asdict(one) for one in await asyncio.to_thread(people.list_tokens, accounts, user)]})

    @routes.post("/tokens", status_code=201, summary="Create a token; it is shown only once", response_model=MadeToken)
    async def add_token(asked: NewToken, user: Someone) -> JSONResponse:
        token, secret = await asyncio.to_thread(people.add_token, accounts, user, asked.name, asked.days)
        return _json({"token": asdict(token), "secret": secret}, 201)

    @routes.delete("/tokens/{token_id}", status_code=204, summary="Revoke one of your tokens, by ID or name")
    async def revoke(token_id: Annotated[str, Path(max_length=80)], user: Someone) -> Response:
        await asyncio.to_thread(people.revoke_token, accounts, user, token_id)
        return Response(status_code=204)

    return routes


def _json(content: Any, status: int = 200) -> JSONResponse:
    # A link or a token may be in it: nobody on the way keeps it.
    return JSONResponse(jsonable_encoder(content), status_code=status, headers={"cache-control": "no-store"})
