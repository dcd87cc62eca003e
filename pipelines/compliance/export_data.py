"""An analysis for other programs: JSON as ``workbench comply --json`` prints it, and CSV with a row a requirement."""

from __future__ import annotations

import json

from infra.csv_export import write_csv
from knowledge.requirements.files import LONGEST_TEXT, REPORT_COLUMNS
from pipelines.compliance.actions import recommended
from pipelines.compliance.contract import ComplianceReport, RequirementVerdict
from pipelines.compliance.wording import STANDINGS, deciding, on_one_line, standing


def report_json(report: ComplianceReport) -> str:
    """The whole analysis."""
    return json.dumps(report.as_dict(), indent=1, ensure_ascii=False)


def report_csv(report: ComplianceReport) -> str:
    """One row a requirement in the policies' order; the evidence is the span that the verdict rests on.

    The file can be read again as a file of requirements (:mod:`knowledge.requirements.files`).
    """
    return write_csv(REPORT_COLUMNS, map(_row, report.requirements))


def _row(one: RequirementVerdict) -> dict[str, object]:
    requirement, source, found, action = one.requirement, one.requirement.source, deciding(one), recommended(one)
    probabilities = {name: f"{value:.3f}" for name, value in one.probabilities.as_dict().items()}
    return {
        "id": requirement.id,
        "text": on_one_line(requirement.text, LONGEST_TEXT),
        "modality": requirement.modality,
        "severity": requirement.severity,
        "topic": requirement.topic,
        "policy": source.document if source else "",
        "policy_page": source.page if source else "",
        "standing": STANDINGS[standing(one)],
        "verdict": one.verdict,
        "reviewed": one.reviewed or "",
        **probabilities,
        "conflict": "yes" if one.conflict else "no",
        "page": found.page if found else "",
        "start": found.start if found else "",
        "end": found.end if found else "",
        "evidence": on_one_line(found.text, 2000) if found else "",
        "difference": found.difference if found else "",
        "action": action.text if action else "",
    }
