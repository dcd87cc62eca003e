"""HTTP to our own gateway with the standard library alone: the supervisor lives as long as the workbench and stays small."""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import Any


async def ask(
    host: str, port: int, path: str, *, token: str | None = None, post: Any = None, key: str | None = None, seconds: float = 10
) -> tuple[int, Any]:
    """Status and JSON body of the answer; status 0 where nobody answers within ``seconds``."""
    return await asyncio.to_thread(_ask, host, port, path, token, post, key, seconds)


def _ask(host: str, port: int, path: str, token: str | None, post: Any, key: str | None, timeout: float) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    headers = {"Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if key:
        headers["Idempotency-Key"] = key
    body = None
    if post is not None:
        body = json.dumps(post)
        headers["Content-Type"] = "application/json"
    try:
        connection.request("GET" if post is None else "POST", path, body=body, headers=headers)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None
    except (OSError, http.client.HTTPException, ValueError):
        return 0, None
    finally:
        connection.close()
