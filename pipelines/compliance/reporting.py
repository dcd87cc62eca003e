"""The report from what was kept of the verdicts; and back from JSON to the typed report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from knowledge.requirements.contract import Policy, Requirement
from pipelines.compliance.contract import ComplianceReport, Evidence, OwnObligation, Probabilities, RequirementVerdict
from pipelines.compliance.scoring import grade
from serving.registry.versions import ModelRef


def make_report(
    kept: Mapping[str, Any],
    policies: Sequence[Policy],
    *,
    document: str,
    sha256: str,
    models: Sequence[Mapping[str, str]],
    seconds: Mapping[str, float],
    warnings: Sequence[str],
) -> ComplianceReport:
    """``kept``: ``{"requirements": [RequirementVerdict.as_dict()], "own": [OwnObligation.as_dict()]}``, the first in the order of
    the policies' requirements."""
    requirements = [one for policy in policies for one in policy.requirements]
    verdicts = tuple(verdict_of(said, one) for said, one in zip(kept["requirements"], requirements, strict=True))
    return ComplianceReport(
        document=document,
        sha256=sha256,
        policies=tuple(policy.card() for policy in policies),
        grade=grade(verdicts),
        models=tuple(ModelRef(**model) for model in models),
        requirements=verdicts,
        own=tuple(OwnObligation(**said) for said in kept["own"]),
        seconds=dict(seconds),
        warnings=tuple(warnings),
    )


def verdict_of(said: Mapping[str, Any], requirement: Requirement) -> RequirementVerdict:
    """What :meth:`RequirementVerdict.as_dict` wrote of this requirement."""
    return RequirementVerdict(
        requirement,
        said["verdict"],
        Probabilities(**said["probabilities"]),
        said["conflict"],
        tuple(Evidence.from_dict(one) for one in said["evidence"]),
        said["reviewed"],
    )
