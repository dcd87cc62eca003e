"""A compliance analysis in a notebook: score and gaps, then every requirement; saved also as PDF, Word and CSV."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import PurePath
from typing import Any

from infra.notebook import Block, Heading, Table
from pipelines.compliance.contract import ComplianceReport
from pipelines.compliance.files import FILES, write_file
from pipelines.compliance.wording import (
    LIMITS,
    RISK_WORDS,
    STANDINGS,
    deciding,
    evidence_place,
    explained,
    gaps,
    headline,
    on_one_line,
    policies_line,
    standing,
)


def blocks(report: ComplianceReport) -> list[Block]:
    """The finding, why, the gaps by severity, and then the other requirements."""
    found = gaps(report)
    others = [one for one in report.requirements if one not in found]
    rows = []
    for one in (*found, *others):
        evidence = deciding(one)
        cited = f"{on_one_line(evidence.text)} ({evidence_place(evidence)})" if evidence else ""
        likely = f"{getattr(one.believed, one.effective):.2f}"
        rows.append([STANDINGS[standing(one)], one.requirement.severity, on_one_line(one.requirement.text), cited, likely])
    return [
        Heading(f"Compliance analysis: {report.document}"),
        f"Score {report.grade.score:.0f} of 100: {RISK_WORDS[report.grade.risk].lower()}. {headline(report)}",
        f"Policies: {policies_line(report)}.",
        *report.warnings,
        *explained(report),
        Table(("Verdict", "Severity", "Requirement", "Evidence", "Probability"), rows, numbers=(4,)),
        LIMITS,
    ]


def data(report: ComplianceReport) -> dict[str, Any]:
    return report.as_dict()


def writers(report: ComplianceReport) -> Mapping[str, Callable[[], bytes]]:
    return {PurePath(name).suffix: partial(write_file, report, name) for name in FILES if not name.endswith(".json")}
