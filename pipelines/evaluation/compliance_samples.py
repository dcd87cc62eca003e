"""The starter set's two documents: planted breaches found, and what is called violated that is not. A demonstration, no examination.

Nothing is tuned on them: the documents and policies were frozen before (``pipelines/compliance/starter/frozen.json``).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from infra.objectstore.local import LocalObjectStore
from knowledge.reading import Document
from knowledge.reading.document import Page, with_paths
from knowledge.reading.kinds import MARKDOWN
from knowledge.reading.plain import markdown_blocks
from knowledge.requirements import Requirement, extract_requirements
from knowledge.requirements.wording import without_marks
from pipelines.compliance.analysing import analyse
from pipelines.compliance.contract import RequirementVerdict
from pipelines.compliance.reading import Readings
from pipelines.compliance.samples import POLICIES, SAMPLES, PolicyClause, policy_clause
from pipelines.compliance.scoring import scored
from pipelines.evaluation.table import Row
from serving.roles import Roles

Say = Callable[[str], None]
BREACHED, GOOD = "pellworth", "calder-wren"


async def evaluate_samples(roles: Roles, *, say: Say = lambda line: None) -> list[Row]:
    """The rows of the table about the samples, and each miss by ``say``."""
    requirements = starter_requirements()
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        store = LocalObjectStore(Path(folder))

        async def check(name: str, text: str, asked: Sequence[Requirement]) -> list[RequirementVerdict]:
            document = markdown_document(name, text)
            found = await analyse(document, asked, roles, readings=Readings(store, "readings", f"{name}/"))
            return list(found.verdicts)

        breached = await check(BREACHED, SAMPLES[BREACHED].markdown, requirements)
        good = await check(GOOD, SAMPLES[GOOD].markdown, requirements)
        rows = [*_planted(breached, say), *_false_alarms(good, say)]
    return rows


def starter_requirements() -> list[Requirement]:
    """What is extracted from the starter policies; permissions, which nothing can break, left out."""
    found = []
    for path in sorted(POLICIES.glob("*.md")):
        found += extract_requirements(markdown_document(path.name, path.read_text()))
    return [one for one in found if scored(one)]


def markdown_document(name: str, text: str) -> Document:
    """A Markdown text as the reader gives it, without a process of its own: these files are our own."""
    blocks = [(kind, start, end, 1, level) for kind, start, end, level in markdown_blocks(text)]
    return Document(name, MARKDOWN, (Page(1, 0, text),), with_paths(blocks, text), False)


def of_clause(verdicts: Sequence[RequirementVerdict], clause: PolicyClause) -> list[RequirementVerdict]:
    """The verdicts on the requirements that were extracted from a clause of a policy."""
    words = policy_clause(clause.policy, clause.clause)
    words = _plain(words)
    sources = [(one, one.requirement.source) for one in verdicts]
    here = [(one, _plain(without_marks(source.text))) for one, source in sources if source and source.document == clause.policy]
    return [one for one, text in here if text in words]


def _planted(verdicts: Sequence[RequirementVerdict], say: Say) -> list[Row]:
    planted = SAMPLES[BREACHED].planted
    found = []
    for breach in planted.breaches:
        here = of_clause(verdicts, breach)
        wanted = ("violated", "not_addressed") if breach.kind == "missing" else ("violated",)
        hit = any(one.verdict in wanted for one in here)
        found.append(hit)
        if not hit:
            told = ", ".join(f"{one.verdict} {getattr(one.probabilities, one.verdict):.2f}" for one in here) or "not extracted"
            say(f"not found ({breach.kind}): {breach.policy} {breach.clause}: {told}")
    named = {id(one) for breach in planted.breaches for one in of_clause(verdicts, breach)}
    alarms = [one for one in verdicts if one.verdict == "violated" and id(one) not in named]
    for one in alarms:
        say(f"false alarm in {BREACHED}: {one.requirement.text[:110]}")
    return [
        Row("planted breaches found", sum(found) / len(found), 1.0, of=len(found)),
        Row("  called violated in the breached sample, and not planted", float(len(alarms)), low=True),
    ]


def _false_alarms(verdicts: Sequence[RequirementVerdict], say: Say) -> list[Row]:
    alarms = [one for one in verdicts if one.verdict == "violated"]
    gaps = [one for one in verdicts if one.verdict == "not_addressed" and one.requirement.modality == "obligation"]
    for one in alarms:
        say(f"false alarm in {GOOD}: {one.requirement.text[:110]}")
    return [
        Row("false alarms on the good sample", float(len(alarms)), 0.0, of=len(verdicts), low=True),
        Row("  obligations of the good sample called not addressed", float(len(gaps)), of=len(verdicts), low=True),
    ]


def _plain(text: str) -> str:
    return " ".join(text.split()).strip(" .")
