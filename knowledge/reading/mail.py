"""Messages and web archives (.eml, .mht, .msg): head, body and attachments as one document, each attachment under a heading."""

from __future__ import annotations

import email
import email.policy
import re
from collections import Counter
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from infra.errors import CorruptFile, WorkbenchError
from knowledge.reading.builder import Builder
from knowledge.reading.document import Limits
from knowledge.reading.kinds import EML, MHT, MSG, File, bytes_of

MOST_PARTS = 500
MOST_NESTED = 3  # messages inside messages
_SHOWN = ("From", "To", "Cc", "Date", "Subject")

ReadPart = Callable[[bytes, str], dict[str, Any]]
"""Reads an attachment by its bytes and name; gives what a reader of its kind gives."""


def read_mail(file: File, limits: Limits, read_part: ReadPart) -> dict[str, Any]:
    """Read a message as its bytes stand in a mailbox, or a web page with its parts.

    Raises:
        CorruptFile: it has no readable part.
    """
    message = email.message_from_bytes(bytes_of(file), policy=email.policy.default)
    builder = Builder(limits)
    archive = not message.get("To") and (message.get("Snapshot-Content-Location") or message.get_content_type() == "multipart/related")
    builder.title = _header(message, "Subject") or None
    _head(builder, {} if archive else {name: _header(message, name) for name in _SHOWN})
    parts = list(message.walk())[:MOST_PARTS]
    if len(parts) == MOST_PARTS:
        builder.warn(f"The message has more than {MOST_PARTS} parts; the others were not read.")
    _body(message, builder)
    for part in _attached(message):
        _attachment(builder, _name(part), _content(part), read_part)
    if builder.blank:
        raise CorruptFile("The message has no part that can be read.")
    return builder.result(MHT if archive else EML, paged=False)


def read_msg(file: File, limits: Limits, read_part: ReadPart) -> dict[str, Any]:
    """Read an Outlook message.

    Raises:
        CorruptFile: it cannot be opened.
    """
    from oxmsg import Message  # type: ignore[import-untyped]

    builder = Builder(limits)
    try:
        message = Message.load(str(file) if isinstance(file, Path) else file)
        recipients = ", ".join(f"{one.name} <{one.email_address}>" for one in message.recipients)
        sent = message.sent_date.isoformat(" ") if message.sent_date else ""
        builder.title = message.subject or None
        _head(builder, {"From": message.sender or "", "To": recipients, "Date": sent, "Subject": message.subject or ""})
        _one_of(builder, (message.body or "").replace("\x00", ""), (message.html_body or "").replace("\x00", ""))
        attachments = list(message.attachments)[:MOST_PARTS]
    except WorkbenchError:
        raise
    except Exception as error:
        raise CorruptFile("The Outlook message is damaged: it cannot be opened.") from error
    for attachment in attachments:
        _attachment(builder, attachment.file_name or "unnamed", attachment.file_bytes or b"", read_part)
    if builder.blank:
        raise CorruptFile("The message has no part that can be read.")
    return builder.result(MSG, paged=False)


def _head(builder: Builder, shown: dict[str, str]) -> None:
    builder.metadata.update({name.lower(): text[:500] for name, text in shown.items() if text})
    builder.add("paragraph", "\n".join(f"{name}: {text}" for name, text in shown.items() if text))


def _header(message: EmailMessage, name: str) -> str:
    try:
        return " ".join(str(message.get(name) or "").split())
    except (ValueError, IndexError, AttributeError):  # broken headers break the standard parser too
        return ""


def _body(message: EmailMessage, builder: Builder) -> None:
    plain = _part(message, "plain")
    html = _part(message, "html")
    _one_of(builder, _text(plain), _text(html))


def _part(message: EmailMessage, kind: str) -> EmailMessage | None:
    try:
        return message.get_body(preferencelist=(kind,))  # type: ignore[return-value]
    except (KeyError, AttributeError, ValueError):
        return None


def _one_of(builder: Builder, plain: str, html: str) -> None:
    """The body in the form that says more; what only the other says is told."""
    from knowledge.reading.html import add_html

    if not html.strip():
        _paragraphs(builder, plain)
        return
    said = Builder(builder.limits)
    try:
        add_html(html.encode("utf-8", "replace"), said, encoding="utf-8")
    except CorruptFile:
        _paragraphs(builder, plain)
        return
    shown = " ".join(page["text"] for page in said.result("", paged=False)["pages"])
    if plain.strip() and not _words(shown) - _words(plain):
        _paragraphs(builder, plain)
        return
    add_html(html.encode("utf-8", "replace"), builder, encoding="utf-8")
    known = _words(shown)
    for line in re.split(r"\n\s*\n|(?<=[.!?])\s+", plain):
        words = _words(line)
        if words and sum((words - known).values()) > 0.3 * sum(words.values()):
            builder.leave_out("said only by the plain-text form of the message", line)


def _words(text: str) -> Counter[str]:
    return Counter(re.findall(r"[^\W_]+", text.lower()))


def _paragraphs(builder: Builder, text: str) -> None:
    for paragraph in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n")):
        builder.add("paragraph", paragraph)


def _attached(message: EmailMessage) -> list[EmailMessage]:
    """Parts that are neither a form of the body nor what only holds other parts."""
    bodies = {id(part) for kind in ("plain", "html") if (part := _part(message, kind)) is not None}
    found: list[EmailMessage] = []
    waiting = [message]
    while waiting and len(found) < MOST_PARTS:
        part = waiting.pop(0)
        if part.get_content_type() == "message/rfc822":
            found.append(part)
        elif part.is_multipart():
            waiting[:0] = [item for item in part.get_payload() if isinstance(item, EmailMessage)]  # type: ignore[union-attr]
        elif (id(part) not in bodies and part is not message) or (part is message and not bodies):
            found.append(part)
    return found


def _name(part: EmailMessage) -> str:
    if part.get_content_type() == "message/rfc822":
        return f"{part.get_filename() or 'message'}".removesuffix(".eml") + ".eml"
    location = (part.get("Content-Location") or "").partition("?")[0].rpartition("/")[2]
    name = part.get_filename() or location
    endings = {"text/html": ".html", "text/plain": ".txt", "text/csv": ".csv", "application/pdf": ".pdf"}
    return name or f"part{endings.get(part.get_content_type(), '.' + part.get_content_subtype())}"


def _content(part: EmailMessage) -> bytes:
    if part.get_content_type() == "message/rfc822":
        inner = part.get_payload()
        return inner[0].as_bytes() if isinstance(inner, list) and inner else b""  # type: ignore[union-attr]
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text(part: EmailMessage | None) -> str:
    if part is None:
        return ""
    from knowledge.reading.plain import decode

    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return ""
    try:
        return content.decode(part.get_content_charset() or "utf-8").replace("\r\n", "\n")
    except (LookupError, UnicodeDecodeError):
        return decode(content)[0]


def _attachment(builder: Builder, name: str, content: bytes, read_part: ReadPart) -> None:
    """One attachment under a heading with its name; one that cannot be read is named."""
    if not content.strip():
        return
    if re.search(r"\.(css|js)$", name, re.I):
        return  # how a web page looks and moves, not what it says
    if re.search(r"\.(png|jpe?g|gif|bmp|tiff?|webp|svg|ico|woff2?|ttf)$", name, re.I):
        builder.unread("picture" if not re.search(r"(woff2?|ttf)$", name) else "font", name)
        return
    try:
        read = read_part(content, name)
    except WorkbenchError as error:
        builder.warn(f"The attachment '{name}' was not read: {error.message}")
        return
    builder.add("heading", f"Attachment: {name}", level=1)
    builder.add_result(read, name)
