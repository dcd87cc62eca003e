"""The page that a citation stands on, as a picture with the citation marked; or its text, where it is no PDF."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from infra.database.tables import User
from infra.errors import NotFound
from knowledge.reading.kinds import PDF
from knowledge.reading.picture import page_picture
from knowledge.reading.picture_cache import picture_path
from workbench.services.context import Services
from workbench.services.kept_pictures import kept_picture
from workbench.services.knowledge import (
    DocumentCard,
    find_document,
    list_versions,
    open_file,
    open_version,
    read_document_text,
    read_version,
)

AROUND = 1200
"""Characters of text shown before and after a citation."""
_drawing = asyncio.Semaphore(2)


@dataclass(frozen=True)
class Cited:
    """A citation in its document.

    Attributes:
        pdf: whether its page can be shown as a picture.
        before, quote, after: the text around it, and what is cited.
        changed: the document was replaced since; what stands at the place now is not what was cited.
        version: the replaced version that is shown, where the document was replaced since and that one is kept.
    """

    document: str
    title: str
    page: int | None
    pdf: bool
    before: str
    quote: str
    after: str
    changed: bool
    version: int | None = None


async def cited(
    services: Services, user: User, collection: str, document: str, *, page: int | None, start: int, end: int, text: str
) -> Cited:
    """A citation where it stands: in the document, or in the version of it that was cited, where that was replaced since.

    Raises:
        NotFound: the document is gone, or may not be read.
    """
    card = await find_document(services, user, collection, document)
    whole = (await read_document_text(services, user, card.collection_id, card.id)).text
    version, media_type, has_file = None, card.media_type, card.has_file
    if whole[start:end] != text:
        for earlier in await list_versions(services, user, card.collection_id, card.id):
            before = (await read_version(services, user, card.collection_id, card.id, earlier.version)).text
            if before[start:end] == text:
                whole, version, media_type, has_file = before, earlier.version, earlier.media_type, True
                break
    return Cited(
        document=card.document,
        title=str(card.facts.get("title") or card.document),
        page=page,
        pdf=media_type == PDF and has_file and page is not None,
        before=whole[max(0, start - AROUND) : start],
        quote=whole[start:end],
        after=whole[end : end + AROUND],
        changed=whole[start:end] != text,
        version=version,
    )


async def cited_picture(
    services: Services, user: User, collection: str, document: str, page: int, start: int, end: int, version: int | None = None
) -> bytes:
    """PNG of the page with these characters of the document's text marked. Kept in the cache.

    Args:
        version: a replaced one; None for the document as it is.

    Raises:
        NotFound: no such document, version or page, or it is no PDF.
        CorruptFile: the page cannot be shown.
    """
    card = await find_document(services, user, collection, document)
    if version is not None:
        return await _earlier_picture(services, user, card, page, start, end, version)
    if card.media_type != PDF or not card.has_file:
        raise NotFound("Page images are available for PDFs only.")
    name = f"{card.sha256} {page} {start} {end}"

    async def found() -> tuple[str, BinaryIO]:
        quote = (await read_document_text(services, user, card.collection_id, card.id)).text[start:end]
        return quote, (await open_file(services, user, card.collection_id, card.id))[0]

    return await page_with_quotation(services, name, page, found)


async def _earlier_picture(services: Services, user: User, card: DocumentCard, page: int, start: int, end: int, version: int) -> bytes:
    earlier = next((one for one in await list_versions(services, user, card.collection_id, card.id) if one.version == version), None)
    if earlier is None or earlier.media_type != PDF:
        raise NotFound("Page images are available for PDFs only.")

    async def found() -> tuple[str, BinaryIO]:
        quote = (await read_version(services, user, card.collection_id, card.id, version)).text[start:end]
        return quote, (await open_version(services, user, card.collection_id, card.id, version))[0]

    return await page_with_quotation(services, f"{earlier.sha256} {page} {start} {end}", page, found)


async def page_with_quotation(services: Services, name: str, page: int, found: Callable[[], Awaitable[tuple[str, BinaryIO]]]) -> bytes:
    """PNG of a page with a quotation marked, from the cache; where it is not there, drawn and kept.

    Args:
        name: of the picture: the file's sha256, a space, and what else it changes with (page, quotation).
        page: from 1.
        found: gives the quotation and the open PDF; asked only where the picture has to be drawn.

    Raises:
        NotFound: no such page.
        CorruptFile: the page cannot be shown.
    """
    path = picture_path(services.folder.cache, name)

    async def draw() -> bytes:
        quote, stream = await found()
        async with _drawing:
            return await asyncio.to_thread(_draw, stream, path.parent, page, quote)

    return await kept_picture(path, draw)


def _draw(stream: BinaryIO, folder: Path, page: int, quote: str) -> bytes:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with stream as opened, tempfile.NamedTemporaryFile(dir=folder, suffix=".pdf") as file:
        while piece := opened.read(1 << 20):
            file.write(piece)
        file.flush()
        return page_picture(Path(file.name), page, quote)
