"""A small analysis to show and to write: each standing, a conflict, a review, and a text that is not to be trusted."""

from __future__ import annotations

from knowledge.requirements.contract import Requirement, Source
from pipelines.compliance.contract import ComplianceReport, Evidence, Grade, OwnObligation, Probabilities, RequirementVerdict, Verdict
from serving.registry.versions import ModelRef

READER = ModelRef("entailment", "workbench-entailment", "3", "ab" * 32, "openvino", "cpu")


def verdict(
    number: int,
    text: str,
    said: Verdict,
    *,
    sure: float = 0.9,
    modality: str = "obligation",
    severity: str = "medium",
    evidence: str = "",
    difference: str = "",
    conflict: bool = False,
    reviewed: Verdict | None = None,
) -> RequirementVerdict:
    """One requirement of a policy with what a document says of it."""
    rest = (1 - sure) / 2
    named = {name: sure if name == said else rest for name in ("satisfied", "violated", "not_addressed")}
    source = Source("policy.md", "Outsourcing Policy", 2, 10 * number, 10 * number + len(text), text, "c1")
    spans = ()
    if evidence:
        against = said == "violated"
        spans = (
            Evidence(
                3, 100, 100 + len(evidence), evidence, sure, 0.05 if against else sure, sure if against else 0.05, True, "4 Vendors",
                difference,
            ),
        )  # fmt: skip
    requirement = Requirement(f"R{number}", text, modality, severity, "Vendors", source=source)  # type: ignore[arg-type]
    return RequirementVerdict(requirement, said, Probabilities(**named), conflict, spans, reviewed)


def analysed(*verdicts: RequirementVerdict) -> ComplianceReport:
    """A report over the given verdicts, or over one of each standing."""
    shown = verdicts or (
        verdict(1, "Contracts must be in writing.", "satisfied", evidence="All contracts are in writing."),
        verdict(
            2,
            "Incidents must be reported within 24 hours.",
            "violated",
            severity="critical",
            evidence="=Incidents are reported\nwithin <b>ten</b> days.",
            difference="24 hours, not ten days",
            conflict=True,
        ),
        verdict(3, "An exit plan must be kept.", "not_addressed", sure=0.6, severity="high"),
        verdict(4, "Providers must not subcontract.", "not_addressed", modality="prohibition"),
        verdict(5, "Managers may use a form.", "satisfied", modality="permission", evidence="Managers use a form."),
        verdict(6, "Registers must be kept.", "violated", evidence="A register is kept.", reviewed="satisfied"),
    )
    matrix = {band: {"low": 0, "medium": 1, "high": 1, "critical": 1} for band in ("rare", "possible", "likely", "almost certain")}
    grade = Grade(41.0, "critical", ("The score is 41 because a critical requirement is violated.",), (45.0, "R2"), matrix)
    own = (OwnObligation(2, 5, 40, "Staff must wear badges.", "obligation", "R1", 0.2),)
    policy = {"name": "Vendors", "collection": "c1", "version": 4, "requirements": len(shown)}
    return ComplianceReport("terms & conditions.pdf", "cd" * 32, (policy,), grade, (READER,), shown, own, {"read": 0.4, "decide": 2.0})
