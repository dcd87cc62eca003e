"""The stages of the compliance pipeline. Document, requirements and verdicts go through the store, small numbers through the state.

The job's input: ``{"document": {"bucket", "key", "name", "sha256", "upload"}, "requirements": key of the policies' JSON}``.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

from infra.errors import InvalidInput
from pipelines.jobs.definition import StageContext, State

if TYPE_CHECKING:
    from knowledge.reading import Document
    from knowledge.requirements import Policy

DOCUMENT = "document"  # its name in the archive of its text


async def read(context: StageContext, state: State) -> State:
    """Read the document in a process of its own, and keep its text."""
    from knowledge.library.archives import MEDIA_TYPE, text_archive
    from knowledge.reading import read_document

    begun = time.perf_counter()
    given = context.input["document"]

    def watch(page: int, pages: int, doing: str) -> None:
        context.progress(page / max(1, pages), f"{doing} page {page} of {pages}")

    def work() -> Document:
        path = context.store.local_path(given["bucket"], given["key"], folder=context.workdir)
        return read_document(path, name=given["name"], on_progress=watch)

    document = await asyncio.to_thread(work)
    if document.empty:
        raise InvalidInput(f"{given['name']} has no text to check.")
    bucket = reports_of(context)
    key = text_key(context.job_id)
    await asyncio.to_thread(context.store.put, bucket, key, text_archive({DOCUMENT: document}), media_type=MEDIA_TYPE)
    return {"text": key, "media_type": document.media_type, "seconds": {"read": round(time.perf_counter() - begun, 3)}}


async def check(context: StageContext, state: State) -> State:
    """Candidates and entailment for each requirement; what was read before, with these words and models, is not read again."""
    from pipelines.compliance.analysing import analyse
    from pipelines.compliance.reading import Readings, folder_of

    begun = time.perf_counter()
    document = await asyncio.to_thread(load_text, context, state)
    policies = await asyncio.to_thread(load_policies, context)
    requirements = [one for policy in policies for one in policy.requirements]
    bucket = reports_of(context)

    def told(done: int, count: int, text: str) -> None:
        context.progress(
            done / max(1, count), f"requirement {min(done + 1, count)} of {count}: {text[:90]}" if text else f"{count} requirements checked"
        )

    readings = Readings(context.store, bucket, folder_of(context.owner_id, document.name))
    versions = {role: context.version(role) for role in ("embedding", "entailment")}
    found = await analyse(document, requirements, context.roles, versions=versions, readings=readings, told=told)
    kept = {"requirements": [one.as_dict() for one in found.verdicts], "own": [one.as_dict() for one in found.own]}
    key = f"compliance/{context.job_id}/verdicts.json"
    await asyncio.to_thread(context.store.put, bucket, key, json.dumps(kept).encode(), media_type="application/json")
    return {
        "verdicts": key,
        "models": [model.as_dict() for model in found.models],
        "pairs": found.pairs,
        "seconds": {**state["seconds"], "check": round(time.perf_counter() - begun, 3)},
    }


async def report(context: StageContext, state: State) -> State:
    """Score, risk, the report as JSON, and the rows that pages and reviews work on."""
    from pipelines.compliance.records import keep_analysis
    from pipelines.compliance.reporting import make_report

    bucket = reports_of(context)
    document = await asyncio.to_thread(load_text, context, state)
    policies = await asyncio.to_thread(load_policies, context)
    kept = json.loads(await asyncio.to_thread(context.store.get, bucket, state["verdicts"]))
    seconds = {**state["seconds"], "total": round(sum(state["seconds"].values()), 3)}
    made = make_report(
        kept,
        policies,
        document=context.input["document"]["name"],
        sha256=context.input["document"]["sha256"],
        models=state["models"],
        seconds=seconds,
        warnings=document.warnings,
    )
    content = json.dumps(made.as_dict(), ensure_ascii=False, indent=1).encode()
    info = await asyncio.to_thread(
        context.store.put, bucket, f"compliance/{context.job_id}/report.json", content, media_type="application/json"
    )
    await asyncio.to_thread(keep_analysis, context, made, str(state["text"]))
    counts = made.counts()
    headline = (
        f"score {made.grade.score:g}, risk {made.grade.risk}; {counts['violated']} violated, {counts['not_addressed']} not addressed, "
        f"{counts['satisfied']} satisfied"
    )
    return {
        "artifacts": {"report.json": info.as_dict()},
        "summary": {
            "name": context.title,
            "score": made.grade.score,
            "risk": made.grade.risk,
            "counts": counts,
            "pairs": int(state["pairs"]),
            "headline": headline,
        },
        "seconds": seconds,
        "notification": f"{context.title}: {headline}.",
    }


def reports_of(context: StageContext) -> str:
    """The bucket that analyses are kept in."""
    return context.settings.storage.buckets.analysis_reports


def text_key(job_id: str) -> str:
    """Where an analysis keeps its document's text."""
    return f"compliance/{job_id}/text.zip"


def load_text(context: StageContext, state: State) -> Document:
    """The document as it was read. Raises IntegrityError."""
    from knowledge.library.archives import read_document_archive

    archive = context.store.get(reports_of(context), str(state["text"]))
    return read_document_archive(archive, DOCUMENT, name=context.input["document"]["name"], media_type=str(state["media_type"]))


def load_policies(context: StageContext) -> list[Policy]:
    """The policies as they were when the analysis was asked for."""
    from knowledge.requirements import Policy

    said: list[dict[str, Any]] = json.loads(context.store.get(reports_of(context), str(context.input["requirements"])))
    return [Policy.from_dict(one) for one in said]
