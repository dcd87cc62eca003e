"""Where an analysis's evidence stands in the document that was checked: its page as a picture, or the text around it."""

from __future__ import annotations

import asyncio
from typing import BinaryIO

from infra.database.tables import Upload, User
from infra.errors import InvalidInput, NotFound
from knowledge.reading.kinds import PDF
from pipelines.compliance.contract import Evidence
from workbench.services import compliance
from workbench.services.cited_pages import AROUND, Cited, page_with_quotation
from workbench.services.compliance import AnalysisView
from workbench.services.context import Services
from workbench.services.uploads import find_upload


async def evidence_place(services: Services, user: User, view: AnalysisView, evidence: Evidence) -> Cited:
    """Evidence where it stands in the document."""
    document = await compliance.document_text(services, user, view.id)
    whole, start, end = document.text, evidence.start, evidence.end
    return Cited(
        document=view.report.document,
        title=view.report.document,
        page=evidence.page,
        pdf=evidence.page is not None and await _pdf(services, user, view) is not None,
        before=whole[max(0, start - AROUND) : start],
        quote=whole[start:end],
        after=whole[end : end + AROUND],
        changed=whole[start:end] != evidence.text,
    )


async def evidence_picture(services: Services, user: User, analysis_id: str, page: int, start: int, end: int) -> bytes:
    """PNG of a page of the document that was checked, with the characters ``start`` to ``end`` of its text marked.

    Raises:
        NotFound: no such analysis of this person, no such page, or the document is no PDF (or was not kept).
        InvalidInput: there are no such characters.
        CorruptFile: the page cannot be shown.
    """
    view = await compliance.load_analysis(services, user, analysis_id)
    upload = await _pdf(services, user, view)
    if upload is None:
        raise NotFound("Page images are available for PDFs only.")
    document = await compliance.document_text(services, user, analysis_id)
    if not 0 <= start < end <= len(document.text):
        raise InvalidInput("Characters out of range.")

    async def found() -> tuple[str, BinaryIO]:
        bucket = services.settings.storage.buckets.uploads_raw
        return document.text[start:end], await asyncio.to_thread(services.store.open, bucket, upload.key)

    return await page_with_quotation(services, f"{upload.sha256} {page} {start} {end}", page, found)


async def _pdf(services: Services, user: User, view: AnalysisView) -> Upload | None:
    """The file that was checked, where it is here and a PDF."""
    if view.upload_id is None:
        return None
    try:
        upload = await find_upload(services, user, view.upload_id)
    except NotFound:
        return None
    return upload if upload.media_type == PDF else None
