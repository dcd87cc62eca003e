"""Finding the running workbench, and speaking to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from infra.datafolder import DataFolder
from infra.errors import NotSignedIn, Unavailable, WorkbenchError, from_dict
from infra.settings import Settings
from infra.telemetry import correlation_id


class Client:
    """A running workbench, spoken to over HTTP; every problem document comes back as the error that it was."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if identifier := correlation_id():
            headers["X-Correlation-ID"] = identifier
        # A proxy of the environment is right for a workbench elsewhere, and wrong for one on this machine.
        local = httpx.URL(self.url).host in ("127.0.0.1", "localhost", "::1")
        self._client = httpx.Client(base_url=self.url, headers=headers, timeout=httpx.Timeout(600, connect=5), trust_env=not local)

    def get(self, path: str, **query: Any) -> Any:
        """JSON of the answer; None for 202 (not finished)."""
        return self._json(self._send("GET", path, params={name: value for name, value in query.items() if value is not None}))

    def post(self, path: str, body: Any = None) -> Any:
        return self._json(self._send("POST", path, json=body))

    def delete(self, path: str) -> None:
        self._send("DELETE", path)

    def send_file(self, path: str, file: Path, *, fields: dict[str, str]) -> Any:
        """POST a form with ``file``, which is read as it is sent."""
        with open(file, "rb") as opened:
            return self._json(self._send("POST", path, files={"file": (file.name, opened)}, data=fields))

    def download(self, path: str, target: Path) -> None:
        """Write the answer's bytes to ``target``, whole or not at all."""
        partial = target.with_name(f".{target.name}.part")
        with self._client.stream("GET", path) as answer:
            if answer.status_code != 200:
                answer.read()
                raise problem_of(answer)
            with open(partial, "wb") as file:
                for piece in answer.iter_bytes(1 << 20):
                    file.write(piece)
        partial.replace(target)

    def answers(self) -> bool:
        try:
            return self._client.get("/health/live", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def lines(self, path: str) -> Iterator[str]:
        with self._client.stream("GET", path) as answer:
            yield from answer.iter_lines()

    def _send(self, method: str, path: str, **given: Any) -> httpx.Response:
        try:
            answer = self._client.request(method, path, **given)
        except httpx.HTTPError as error:
            said = f"The workbench at {self.url} does not answer ({type(error).__name__}). `workbench status` says more."
            raise Unavailable(said) from error
        if answer.status_code >= 400:
            raise problem_of(answer)
        return answer

    @staticmethod
    def _json(answer: httpx.Response) -> Any:
        return None if answer.status_code == 202 and answer.request.method == "GET" else answer.json()


def problem_of(answer: httpx.Response) -> WorkbenchError:
    """The error that a problem document tells."""
    try:
        said = answer.json()
        details = {**(said.get("details") or {}), "correlation_id": said.get("correlation_id")}
        return from_dict({"code": said["code"], "message": said["detail"], "details": details})
    except (ValueError, KeyError, AttributeError, TypeError):
        return WorkbenchError(f"The workbench answered with status {answer.status_code}.")


def find_running(settings: Settings) -> Client | None:
    """The workbench to use: ``WORKBENCH_URL``, else the one on the data folder, else one on the settings' port; or None.

    Raises:
        Unavailable: ``WORKBENCH_URL`` is set, and nobody answers there.
    """
    token = token_for(settings)
    if url := os.environ.get("WORKBENCH_URL"):
        client = Client(url, token)
        if not client.answers():
            raise Unavailable(f"WORKBENCH_URL is {url}, but no workbench answers there.")
        return client
    if note := DataFolder(settings.home).running():
        return Client(note.url, token)
    if token:
        client = Client(settings.url, token)
        if client.answers() and _knows(client):
            return client
    return None


def token_for(settings: Settings) -> str | None:
    """What signs this person in: ``WORKBENCH_TOKEN``, else the owner's token of the data folder; or None."""
    return os.environ.get("WORKBENCH_TOKEN") or owner_token(settings)


def owner_token(settings: Settings) -> str | None:
    """The owner's token from the data folder, where this user may read it."""
    try:
        return DataFolder(settings.home).owner_token.read_text().strip() or None
    except OSError:
        return None


def _knows(client: Client) -> bool:
    try:
        client.get("/auth/me")
        return True
    except (NotSignedIn, WorkbenchError):
        return False  # somebody else's workbench
