"""Earlier versions of a document, and the button that takes a folder."""

from dataclasses import replace
from datetime import UTC, datetime

from workbench.services.knowledge import CollectionCard, DocumentCard, VersionCard
from workbench.ui.knowledge.document_html import versions_html
from workbench.ui.knowledge.folder import folder_html

NOW = datetime(2026, 11, 21, tzinfo=UTC)
CARD = DocumentCard(
    id="d1", collection_id="c1", collection="notes", document="a.pdf", state="ready", progress="", fraction=1.0, error=None, pages=3,
    chunks=4, size=9, sha256="", media_type="application/pdf", version=3, has_file=True, facts={"title": None}, edited=[], warnings=[],
    created_at=NOW, updated_at=NOW,
)  # fmt: skip


def test_each_version_can_be_downloaded():
    versions = [VersionCard(number, None, "application/pdf", 2_000_000, "", pages, NOW) for number, pages in ((2, 3), (1, None))]
    shown = versions_html(CARD, versions)
    assert shown.index("Version 2") < shown.index("Version 1")
    assert 'href="/mlops/kb/c1/documents/d1/versions/1/file"' in shown and shown.count("pages") == 1
    assert versions_html(CARD, []) == ""


def test_a_folder_is_asked_only_of_those_who_may_write():
    card = CollectionCard(
        id='c"1', name="notes", description="", owner="ada", mine=False, shared=False, may_write=True, documents=0, working=0, failed=0,
        chunks=0, created_at=NOW,
    )  # fmt: skip
    assert 'data-folder="c&quot;1"' in folder_html(card) and "webkitdirectory" in folder_html(card)
    assert folder_html(replace(card, may_write=False)) == ""
