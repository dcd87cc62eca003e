"""Roles of a workbench behind its gateway, over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx

from infra.errors import Unavailable, WorkbenchError, from_dict
from infra.telemetry import correlation_id
from serving.roles import Roles, known_roles
from serving.roles.role import Role

TIMEOUT = httpx.Timeout(600.0, connect=5.0)


class Gateway:
    """A connection to a gateway; every request carries the token and the correlation id."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.client = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=TIMEOUT)

    async def post(self, path: str, **arguments: Any) -> httpx.Response:
        """Raises the :class:`WorkbenchError` that the gateway answered, or Unavailable where it does not answer."""
        try:
            response = await self.client.post(path, headers=_traced(), **arguments)
        except httpx.HTTPError as error:
            raise self.silent() from error
        if response.status_code >= 400:
            raise error_in(response)
        return response

    def silent(self) -> Unavailable:
        return Unavailable(f"The workbench at {self.url} does not answer. Is it running (`workbench status`)?")


class HttpRole:
    """A role behind the gateway, called by the role's own method."""

    def __init__(self, role: Role, gateway: Gateway) -> None:
        self.role, self._gateway = role, gateway
        setattr(self, role.method, self.stream if role.kind == "stream" else self.call)

    async def call(self, *arguments: Any, version: str | None = None, **named: Any) -> Any:
        return await self.role.over_http(self._gateway, version, *self.role.check(*arguments, **named))

    async def stream(self, *arguments: Any, version: str | None = None, **named: Any) -> AsyncIterator[Any]:
        """Server-sent events. Closing the iterator closes the request, and the model stops."""
        body = {**self.role.to_json(*self.role.check(*arguments, **named)), "version": version}
        try:
            async with self._gateway.client.stream("POST", self.role.path, json=body, headers=_traced()) as response:
                if response.status_code >= 400:
                    await response.aread()
                    raise error_in(response)
                kind = ""
                async for line in response.aiter_lines():
                    name, _, value = line.partition(": ")
                    if name == "event":
                        kind = value
                    elif name == "data":
                        data = json.loads(value)
                        if kind == "error":
                            raise error_of(data)
                        yield self.role.answer_from_json(data)
                    elif not line:
                        kind = ""
        except httpx.HTTPError as error:
            raise self._gateway.silent() from error


def http_roles(url: str, token: str | None) -> Roles:
    """Roles behind the gateway at ``url``. What no model fulfils there answers with ModelMissing."""
    gateway = Gateway(url, token)
    return Roles(**{name: HttpRole(role, gateway) for name, role in known_roles().items() if role.answer_type})


def error_in(response: httpx.Response) -> WorkbenchError:
    """The error that a refused request's body tells."""
    try:
        return error_of(response.json())
    except (ValueError, AttributeError):
        return WorkbenchError(f"The workbench answered with status {response.status_code}.")


def error_of(problem: dict[str, Any]) -> WorkbenchError:
    """The error of a problem document."""
    details = {**(problem.get("details") or {}), "correlation_id": problem.get("correlation_id")}
    return from_dict({"code": problem.get("code"), "message": problem.get("detail") or problem.get("title"), "details": details})


def _traced() -> dict[str, str]:
    current = correlation_id()
    return {"X-Correlation-ID": current} if current else {}
