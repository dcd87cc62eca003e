"""The starter policies with finished analyses of the samples to look at, and a compliance pipeline over models that need no weights.

The seeded verdicts are what was planted in the samples, with made-up probabilities: good for looking at pages, and for nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

from infra.database.tables import AnalysisJob, Upload, User, now
from infra.database.tables_compliance import ComplianceAnalysis
from infra.database.tables_knowledge import Collection
from infra.errors import WorkbenchError, find_workbench_error
from infra.settings import Settings
from knowledge.chunking.sentences import sentence_spans
from knowledge.library.archives import MEDIA_TYPE, text_archive
from knowledge.reading import Document, read_document
from knowledge.requirements import Policy, Requirement
from pipelines.compliance.contract import ComplianceReport, Evidence, OwnObligation, Probabilities, RequirementVerdict, Verdict
from pipelines.compliance.pipeline import PIPELINE
from pipelines.compliance.records import keep_analysis
from pipelines.compliance.samples import COLLECTION, DESCRIPTION, POLICIES, SAMPLES, policy_clause, write_sample
from pipelines.compliance.scoring import grade
from pipelines.compliance.stages import DOCUMENT, text_key
from pipelines.ingestion import open_knowledge
from pipelines.jobs.definition import StageContext
from pipelines.jobs.inline import run_inline
from pipelines.jobs.job_store import JobStore
from pipelines.requirement_rows import policy_of
from serving.entailment.overlap import stems
from serving.registry.versions import ModelRef
from serving.roles import Roles
from tests.embedders import WordsEmbedding
from tests.unit.pipelines.questions.conftest import Script, SharedStems
from workbench.services import compliance
from workbench.services.context import Services
from workbench.services.uploads import save_upload

READER = ModelRef("entailment", "workbench-entailment", "1", "ab" * 32, "openvino", "cpu")
DRAFT = "The privacy desk answers a request for access to personal data within 30 days of its receipt. Further details follow in an annex."


def simulated_roles(seconds: float = 0.0) -> Roles:
    """Models of words: entailed is what is said in the same words."""
    return Roles(embedding=WordsEmbedding(seconds=seconds), entailment=SharedStems(), llm=Script(DRAFT))  # type: ignore[arg-type]


def checks_documents(services: Services, job_store: JobStore) -> Callable[[AnalysisJob], Coroutine[Any, Any, None]]:
    """Runs a job of the compliance pipeline in the harness's process."""
    roles = simulated_roles()

    async def run(job: AnalysisJob) -> None:
        await job_store.begin_stage(job.id, PIPELINE.plan[0])
        try:
            state = await run_inline(
                PIPELINE, input=job.input, options=job.options, settings=services.settings, store=services.store, roles=roles,
                title=job.title, owner_id=job.owner_id, job_id=job.id,
            )  # fmt: skip
        except Exception as caught:
            error = find_workbench_error(caught) or WorkbenchError(str(caught))
            await job_store.failed(job.id, str(error.details.get("stage", PIPELINE.plan[0])), error)
            return
        await job_store.begin_stage(job.id, PIPELINE.plan[-1])
        await job_store.done(job.id, {"models": [], **state})

    return run


def seed_policies(settings: Settings) -> None:
    """The starter policies as a collection."""
    with open_knowledge(settings, roles=Roles(embedding=WordsEmbedding())) as knowledge:
        knowledge.add(POLICIES, COLLECTION)


async def seed_analyses(services: Services, owner: User, job_store: JobStore) -> None:
    """Both samples checked, one of them twice."""
    await compliance.extract_requirements(services, owner, COLLECTION)

    def find(session: Any) -> Policy:
        from sqlmodel import select

        row = session.exec(select(Collection).where(Collection.name == COLLECTION)).one()
        row.description = DESCRIPTION
        return policy_of(session, row)

    policy = await services.database.run(find)
    for job_id, name, days in (("comply0", "pellworth", 0.1), ("comply1", "calder-wren", 3.0), ("comply2", "pellworth", 24.0)):
        await _seed(services, owner, job_store, policy, job_id, name, days)


async def _seed(services: Services, owner: User, job_store: JobStore, policy: Policy, job_id: str, name: str, days: float) -> None:
    folder = services.folder.home / "seed"
    path = write_sample(name, folder)
    upload: Upload = await save_upload(services, owner, path.name, path)
    document = read_document(path)
    began = now() - timedelta(days=days)
    given = {"bucket": "uploads-raw", "key": upload.key, "name": upload.name, "sha256": upload.sha256, "upload": upload.id}
    job = AnalysisJob(
        id=job_id, owner_id=owner.id, pipeline="compliance", title=upload.name, plan=PIPELINE.plan, created_at=began,
        input={"document": given, "requirements": "seed"},
    )  # fmt: skip

    def add(session: Any) -> None:
        session.add(job)

    await services.database.run(add)
    bucket = services.settings.storage.buckets.analysis_reports
    services.store.put(bucket, text_key(job_id), text_archive({DOCUMENT: document}), media_type=MEDIA_TYPE)
    context = StageContext(job_id, owner.id, upload.name, job.input, {}, services.store, Roles(), services.settings, Path(folder))
    report = _report(policy, document, name, upload.sha256, worse=job_id == "comply2")
    keep_analysis(context, report, text_key(job_id))
    await job_store.begin_stage(job_id, PIPELINE.plan[-1])
    await job_store.done(job_id, {"summary": {"score": report.grade.score}, "artifacts": {}, "models": []})

    def date(session: Any) -> None:
        row = session.get(AnalysisJob, job_id)
        row.started_at, row.finished_at = began, began + timedelta(seconds=8.2)
        session.get(ComplianceAnalysis, job_id).created_at = began

    await services.database.run(date)


def _report(policy: Policy, document: Document, name: str, sha256: str, *, worse: bool) -> ComplianceReport:
    verdicts = tuple(_verdict(one, document, name, worse) for one in policy.requirements)
    sentences = _sentences(document)
    own = tuple(
        OwnObligation(page, start, end, text, "obligation", policy.requirements[0].id, 0.2)
        for page, start, end, text in sentences
        if "bridge call" in text or "twice a year" in text
    )
    seconds = {"read": 0.9, "check": 6.8, "total": 7.7}
    return ComplianceReport(f"{SAMPLES[name].file}", sha256, (policy.card(),), grade(verdicts), (READER,), verdicts, own, seconds)


def _verdict(one: Requirement, document: Document, name: str, worse: bool) -> RequirementVerdict:
    planted = SAMPLES[name].planted

    def is_clause(clause: Any) -> bool:
        return policy_clause(clause.policy, clause.clause).startswith(one.text)

    breach = next((found for found in planted.breaches if is_clause(found)), None)
    silent = any(is_clause(found) for found in planted.unmentioned_prohibitions) or (breach is not None and breach.quote is None)
    number = int(hashlib.sha256(f"{one.text}{worse}".encode()).hexdigest()[:6], 16) / 0xFFFFFF
    verdict: Verdict = "not_addressed" if silent else "violated" if breach else "satisfied"
    sure = 0.97 - 0.5 * number**4
    rest = (1 - sure) / 3
    low = {"satisfied": "not_addressed", "violated": "satisfied", "not_addressed": "satisfied"}[verdict]
    probabilities = Probabilities(
        **{key: sure if key == verdict else 2 * rest if key == low else rest for key in ("satisfied", "violated", "not_addressed")}
    )
    ranked = sorted(_sentences(document), key=lambda found: -_shared(one.text, found[3]))[:5]
    if breach is not None and breach.quote is not None:
        start = document.text.index(breach.quote)
        page = next(page for page in reversed(document.pages) if page.start <= start)
        ranked = [(page.number, start, start + len(breach.quote), breach.quote), *ranked[:4]]
    evidence = []
    for place, (page, start, end, text) in enumerate(ranked):
        first = place == 0 and verdict != "not_addressed"
        score = sure if first else 0.35 / (place + 1)
        sides = (score, 0.02) if verdict == "satisfied" or not first else (0.02, score)
        evidence.append(Evidence(page, start, end, text, score, *sides, first, "", ""))
    return RequirementVerdict(one, verdict, probabilities, 0.3 < number < 0.33, tuple(evidence))


def _sentences(document: Document) -> list[tuple[int, int, int, str]]:
    found = []
    for page in document.pages:
        text = page.text
        found += [(page.number, page.start + start, page.start + end, text[start:end]) for start, end in sentence_spans(text)]
    return found


def _shared(first: str, second: str) -> float:
    ours, theirs = stems(first), stems(second)
    return len(ours & theirs) / max(4, len(theirs)) ** 0.5
