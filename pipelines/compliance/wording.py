"""How an analysis is said to people: where each requirement stands, which are gaps, and what places are called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from knowledge.requirements.contract import SEVERITIES, Source
from pipelines.compliance.contract import ComplianceReport, Evidence, RequirementVerdict

_DIGEST = re.compile(r"\b[0-9a-f]{12,}\b")  # ids that the program made; imported ones are people's own

Standing = Literal["violated", "missing", "satisfied", "silent", "permission"]
STANDINGS: dict[Standing, str] = {
    "violated": "Violated",
    "missing": "Not addressed",
    "satisfied": "Satisfied",
    "silent": "Not mentioned",
    "permission": "Permission",
}
"""In the order in which people read them, with their names."""
MEANINGS: dict[Standing, str] = {
    "violated": "the document contradicts the policy",
    "missing": "the policy requires it; the document does not mention it",
    "satisfied": "the document complies",
    "silent": "a prohibition that the document does not mention; not a gap",
    "permission": "cannot be violated; not scored",
}
RISK_WORDS = {"low": "Low risk", "medium": "Medium risk", "high": "High risk", "critical": "Critical risk"}
LIMITS = "Verdicts and probabilities are computed by models and can be wrong. Review them before use. Not legal advice."


def standing(one: RequirementVerdict) -> Standing:
    """Where a requirement stands, after what reviewers said."""
    if one.requirement.modality == "permission":
        return "permission"
    if one.effective != "not_addressed":
        return one.effective
    return "silent" if one.requirement.modality == "prohibition" else "missing"


def gaps(report: ComplianceReport) -> list[RequirementVerdict]:
    """What is violated or missing, the severest first, and of one severity the surest first."""
    found = [one for one in report.requirements if standing(one) in ("violated", "missing")]
    return sorted(found, key=lambda one: (-SEVERITIES.index(one.requirement.severity), -getattr(one.believed, one.effective)))


def counted(verdicts: Sequence[RequirementVerdict]) -> dict[Standing, int]:
    """How many stand where; every standing is there."""
    found = [standing(one) for one in verdicts]
    return {name: found.count(name) for name in STANDINGS}


def headline(report: ComplianceReport) -> str:
    """The finding in one sentence."""
    count = counted(report.requirements)
    scored = sum(count.values()) - count["permission"]
    if not scored:
        return "No requirements were checked."
    if not count["violated"] and not count["missing"]:
        return f"No gaps found in {_many(scored, 'requirement')}."
    parts = [f"{count['violated']} violated"] if count["violated"] else []
    parts += [f"{count['missing']} not addressed"] if count["missing"] else []
    return f"{' and '.join(parts)}, of {_many(scored, 'requirement')}."


def explained(report: ComplianceReport) -> list[str]:
    """Why score and risk are what they are; a requirement that has no number of its own is named by its words."""
    words = {one.requirement.id: f"“{on_one_line(one.requirement.text, 120)}”" for one in report.requirements}
    return [_DIGEST.sub(lambda found: words.get(found[0], found[0]), sentence) for sentence in report.grade.explanation]


def policies_line(report: ComplianceReport) -> str:
    """The policies with their versions and how many requirements each has."""
    named = []
    for one in report.policies:
        version = f", version {one['version']}" if one["version"] else ""
        named.append(f"{one['name']}{version} ({_many(int(one['requirements']), 'requirement')})")
    return "; ".join(named)


def policy_place(source: Source | None) -> str:
    """Where a requirement stands: ``Outsourcing Policy, page 2``."""
    if source is None:
        return "added manually"
    page = f", page {source.page}" if source.page else ""
    return f"{source.title or source.document}{page}"


def evidence_place(evidence: Evidence) -> str:
    """Where evidence stands: its page, or its heading where the document has no pages."""
    if evidence.page:
        return f"page {evidence.page}"
    return f"under “{evidence.heading.rpartition(' > ')[2]}”" if evidence.heading else f"character {evidence.start}"


def deciding(one: RequirementVerdict) -> Evidence | None:
    """The span that the verdict rests on most; None where nothing was found (or a gap rests on silence)."""
    if one.effective == "not_addressed":
        return None
    chosen = [evidence for evidence in one.evidence if evidence.decided] or list(one.evidence)
    side = "entailed" if one.effective == "satisfied" else "contradicted"
    return max(chosen, key=lambda evidence: getattr(evidence, side), default=None)


def on_one_line(text: str, most: int = 400) -> str:
    """Without line breaks, cut after ``most`` characters."""
    plain = " ".join(text.split())
    return plain if len(plain) <= most else f"{plain[: most - 2].rsplit(' ', 1)[0]} …"


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
