"""The content security policy of Gradio's pages: only the scripts that the page came with, each by its hash."""

from __future__ import annotations

import base64
import hashlib
import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench.api.headers import page_policy

INLINE = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)


class PagePolicy:
    """A layer inside Gradio's compression, around its routes; ``scripts`` are texts that pages run beside those they come with."""

    def __init__(self, app: ASGIApp, *, scripts: tuple[str, ...]) -> None:
        self.app = app
        self.hashes = [script_hash(script.encode()) for script in scripts]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start: Message | None = None
        page = bytearray()

        async def with_policy(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                if MutableHeaders(scope=message).get("content-type", "").startswith("text/html"):
                    start = message
                    return
            elif start is not None:
                # A page is short, and comes whole: its scripts must be known before its headers are sent.
                page.extend(message.get("body", b""))
                if message.get("more_body"):
                    return
                hashes = [script_hash(found.group(1)) for found in INLINE.finditer(page)]
                MutableHeaders(scope=start)["content-security-policy"] = page_policy(sorted({*self.hashes, *hashes}))
                await send(start)
                message = {"type": "http.response.body", "body": bytes(page)}
            await send(message)

        await self.app(scope, receive, with_policy)


def script_hash(script: bytes) -> str:
    """An inline script as a policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"
