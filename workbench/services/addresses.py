"""Where a job is shown. The standard library alone: the supervisor says addresses, and stays small."""

from __future__ import annotations

PAGES = {"imaging": "/imaging?job={}", "ingestion": "/knowledge?job={}", "compliance": "/compliance?job={}"}
"""A pipeline's page; jobs of others are found on the page Activity."""


def job_page(pipeline: str | None, job_id: str | None) -> str:
    """The page that shows a job, running or finished, as a path."""
    return PAGES.get(pipeline or "", "/activity").format(job_id)
