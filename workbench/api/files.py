"""A stored object as a response: streamed from a thread, with byte ranges."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import BinaryIO
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from infra.objectstore import ObjectInfo

PIECE = 256 * 1024


def file_response(request: Request, stream: BinaryIO, info: ObjectInfo, *, filename: str, inline: bool = False) -> Response:
    """Give ``stream`` (closed at the end) under ``filename``; a ``Range`` header is honoured where the stream can seek."""
    disposition = f"{'inline' if inline else 'attachment'}; filename*=UTF-8''{quote(filename)}"
    tag = f'"{info.sha256}"'
    headers = {"content-disposition": disposition, "etag": tag, "accept-ranges": "bytes", "cache-control": "private, max-age=3600"}
    if request.headers.get("if-none-match") == tag:
        stream.close()
        return Response(status_code=304, headers=headers)
    start, end, status = 0, info.size - 1, 200
    wanted = request.headers.get("range")
    if wanted and request.headers.get("if-range", tag) == tag and stream.seekable():
        found = byte_range(wanted, info.size)
        if found is None:
            stream.close()
            return Response(status_code=416, headers={**headers, "content-range": f"bytes */{info.size}"})
        start, end = found
        status = 206
        headers["content-range"] = f"bytes {start}-{end}/{info.size}"
    headers["content-length"] = str(end - start + 1)
    return StreamingResponse(_pieces(stream, start, end - start + 1), status_code=status, media_type=info.media_type, headers=headers)


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """First and last byte of a single range; the whole file for what we do not serve in parts; None if it lies outside."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip())
    if not match or match.groups() == ("", ""):
        return 0, size - 1
    first, last = match.groups()
    if not first:
        count = min(int(last), size)
        return (size - count, size - 1) if count else None
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    return (start, end) if start <= end and start < size else None


async def _pieces(stream: BinaryIO, start: int, count: int) -> AsyncIterator[bytes]:
    try:
        if start:
            await asyncio.to_thread(stream.seek, start)
        while count > 0:
            piece = await asyncio.to_thread(stream.read, min(PIECE, count))
            if not piece:
                break
            count -= len(piece)
            yield piece
    finally:
        stream.close()
