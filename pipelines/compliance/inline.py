"""Checking a document from a notebook, a script or the command line, without a gateway.

``from pipelines.compliance import comply; comply("contract.pdf", policies="procurement").grade.score``
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from infra.database.tables import new_id
from infra.errors import InvalidInput, NotFound
from infra.objectstore.contract import file_sha256
from infra.settings import Settings
from knowledge.library import StoredChunks, find_collection
from knowledge.requirements import Policy, read_requirements_file
from pipelines import requirement_rows as rows
from pipelines.compliance.contract import ComplianceReport
from pipelines.compliance.files import FILES, write_file
from pipelines.compliance.pipeline import PIPELINE
from pipelines.compliance.reporting import make_report
from pipelines.compliance.stages import DOCUMENT
from pipelines.ingestion.client import KnowledgeClient, open_knowledge
from pipelines.jobs.definition import Progress
from pipelines.jobs.inline import run_inline
from serving.loop import LoopThread


def comply(
    document: Path | str,
    *,
    policies: str | Sequence[str] = (),
    requirements: Path | str | Policy | None = None,
    out: Path | None = None,
    settings: Settings | None = None,
    knowledge: KnowledgeClient | None = None,
    progress: Progress | None = None,
) -> ComplianceReport:
    """Check a document, requirement by requirement. What was read of it before, with the same models, is not read again.

    Args:
        document: a file: PDF, DOCX, HTML, Markdown, text or CSV.
        policies: collections, by name or id.
        requirements: a file of requirements in place of collections, or a policy made from one.
        out: a folder that gets ``report.json``.
        knowledge: an open one, for several documents; by default one is opened and closed.

    Raises:
        NotFound: there is no such file or collection.
        InvalidInput: neither policies nor requirements, or both; a file that cannot be read; a document without text.
    """
    if knowledge is None:
        with open_knowledge(settings) as opened:
            return comply(document, policies=policies, requirements=requirements, out=out, knowledge=opened, progress=progress)
    path = Path(document)
    if not path.is_file():
        raise NotFound(f"File not found: {path}.")
    chosen = _chosen(knowledge, [policies] if isinstance(policies, str) else list(policies), requirements)
    buckets, sha256 = knowledge.settings.storage.buckets, file_sha256(path)
    content = json.dumps([policy.as_dict() for policy in chosen], sort_keys=True).encode()
    key = f"compliance/requirements/{hashlib.sha256(content).hexdigest()}.json"
    knowledge.store.put(buckets.analysis_reports, key, content, media_type="application/json")
    job_id = new_id()
    given = {
        "bucket": buckets.analysis_reports,
        "key": f"compliance/{job_id}/document",
        "name": path.name,
        "sha256": sha256,
        "upload": None,
    }
    knowledge.store.put(given["bucket"], given["key"], path)
    loop = LoopThread("compliance")  # a notebook's own loop is running already
    try:
        state = loop.run(
            run_inline(
                PIPELINE,
                input={DOCUMENT: given, "requirements": key},
                settings=knowledge.settings,
                store=knowledge.store,
                roles=knowledge.roles,
                owner_id=knowledge.user_id,
                title=path.name,
                job_id=job_id,
                progress=progress,
            )
        )
        kept = json.loads(knowledge.store.get(buckets.analysis_reports, state["verdicts"]))
        said = json.loads(knowledge.store.get(buckets.analysis_reports, state["artifacts"]["report.json"]["key"]))
    finally:
        loop.close()
        for info in list(knowledge.store.list(buckets.analysis_reports, f"compliance/{job_id}/")):
            knowledge.store.delete(buckets.analysis_reports, info.key)
    report = make_report(
        kept, chosen, document=path.name, sha256=sha256, models=state["models"], seconds=state["seconds"], warnings=said["warnings"]
    )
    if out is not None:
        write_files(report, out)
    return report


def write_files(report: ComplianceReport, out: Path) -> None:
    """All of FILES in the folder, which is made where it is not there."""
    out.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (out / name).write_bytes(write_file(report, name))


def _chosen(knowledge: KnowledgeClient, policies: list[str], requirements: Path | str | Policy | None) -> list[Policy]:
    if bool(policies) == (requirements is not None):
        raise InvalidInput("Choose policies to check against, or a file of requirements.")
    if requirements is not None:
        return [requirements if isinstance(requirements, Policy) else read_requirements_file(Path(requirements))]
    with knowledge.database.session() as session:
        places = {(place := find_collection(session, knowledge.user_id, name)).id: place for name in policies}
    for identifier in places:
        chunks = StoredChunks(knowledge.database, knowledge.store, identifier, raw=knowledge.settings.storage.buckets.kb_raw)
        rows.extract_new(knowledge.database, identifier, chunks.document)
    with knowledge.database.session() as session:
        return [rows.policy_of(session, place) for place in places.values()]
