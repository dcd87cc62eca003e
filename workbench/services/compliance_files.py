"""An analysis as files to take away, with the reviews as they stand now."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from infra.database.tables import User
from infra.errors import NotFound
from pipelines.compliance.files import FILES, write_file
from workbench.services import compliance
from workbench.services.context import Services


async def analysis_file(services: Services, user: User, analysis_id: str, name: str) -> tuple[bytes, str]:
    """One of FILES as it would be written now, and the name to save it under.

    Raises:
        NotFound: no such analysis of this person, or no such file.
    """
    if name not in FILES:
        raise NotFound(f"An analysis has no file {name}. It has: {', '.join(FILES)}.")
    report = (await compliance.load_analysis(services, user, analysis_id)).report
    content = await asyncio.to_thread(write_file, report, name)
    return content, f"{_stem(report.document)}-compliance{Path(name).suffix}"


def _stem(document: str) -> str:
    return re.sub(r"[^\w.-]+", "-", Path(document).stem).strip("-.")[:80] or "document"
