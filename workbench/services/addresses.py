"""Addresses of pages. The standard library alone: the supervisor prints addresses, and stays small."""

from __future__ import annotations

from urllib.parse import urlencode

PAGES = {"imaging": "/imaging?job={}", "ingestion": "/knowledge?job={}", "compliance": "/compliance?job={}"}
"""A pipeline's page; jobs of others are found on the page Activity."""


def job_page(pipeline: str | None, job_id: str | None) -> str:
    """The page that shows a job, running or finished, as a path."""
    return PAGES.get(pipeline or "", "/activity").format(job_id)


def knowledge_address(collection: str, document: str = "", character: int | None = None) -> str:
    """The page of a collection, of one of its documents, or of the place in it where a character of its text stands, as a path."""
    named = {"collection": collection, **({"document": document} if document else {})}
    return f"/knowledge?{urlencode(named | ({} if character is None else {'at': str(character)}))}"
