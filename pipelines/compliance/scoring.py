"""Score and risk of a document, from its verdicts; the formula is also the text that the page shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from knowledge.requirements.contract import SEVERITIES, Requirement, Severity
from pipelines.compliance.contract import RISKS, Grade, Probabilities, RequirementVerdict, Risk

WEIGHTS: Mapping[Severity, float] = {"low": 1.0, "medium": 2.0, "high": 4.0, "critical": 8.0}
GAP = 0.5
"""What an obligation that is not addressed loses, where a violated one loses 1. A prohibition loses nothing by silence."""
CAPS: Mapping[Severity, float] = {"critical": 39.0, "high": 69.0}
"""The most that the score can be while a requirement of this severity is violated."""
LIKELIHOODS = ("rare", "possible", "likely", "almost certain")
BANDS = (0.15, 0.4, 0.7)
"""Where one likelihood ends and the next begins."""
MATRIX: Mapping[str, Mapping[Severity, Risk]] = {
    "rare": {"low": "low", "medium": "low", "high": "low", "critical": "low"},
    "possible": {"low": "low", "medium": "low", "high": "medium", "critical": "medium"},
    "likely": {"low": "low", "medium": "medium", "high": "high", "critical": "high"},
    "almost certain": {"low": "medium", "medium": "medium", "high": "high", "critical": "critical"},
}

FORMULA = """\
Every scored requirement can lose its weight: low 1, medium 2, high 4, critical 8. It loses the share of it that is \
expected to be lost: the probability that it is violated, plus half the probability that it is not addressed (an \
obligation only: silence does not break a prohibition). Score = 100 x (1 - lost weight / all weight). Permissions are \
not scored: they cannot be violated. A violated high requirement caps the score at 69, a violated critical one at 39, \
whatever else is in order. Risk: the expected loss of a requirement is its likelihood (below 15 % rare, below 40 % \
possible, below 70 % likely, else almost certain); likelihood and severity meet in the matrix, and the document's risk \
is that of its worst requirement. A violated critical requirement is always a critical risk. Where a reviewer has \
decided, the reviewer's verdict counts in place of the models' probabilities."""


def scored(requirement: Requirement) -> bool:
    """A permission is not."""
    return requirement.modality != "permission"


def expected_loss(requirement: Requirement, believed: Probabilities) -> float:
    """0 to 1: the share of its weight that a requirement is expected to lose; the likelihood of the risk matrix."""
    if not scored(requirement):
        return 0.0
    gap = GAP if requirement.modality == "obligation" else 0.0
    return believed.violated + gap * believed.not_addressed


def likelihood_of(verdict: RequirementVerdict) -> str:
    """One of LIKELIHOODS."""
    loss = expected_loss(verdict.requirement, verdict.believed)
    return LIKELIHOODS[sum(loss >= band for band in BANDS)]


def risk_of(verdict: RequirementVerdict) -> Risk:
    """Of one requirement; a permission's is low."""
    if not scored(verdict.requirement):
        return "low"
    if verdict.effective == "violated" and verdict.requirement.severity == "critical":
        return "critical"
    return MATRIX[likelihood_of(verdict)][verdict.requirement.severity]


def grade(verdicts: Sequence[RequirementVerdict]) -> Grade:
    """Score, risk, and both explained with this document's numbers. Without a scored requirement the score is 100."""
    counted = [one for one in verdicts if scored(one.requirement)]
    weight = sum(WEIGHTS[one.requirement.severity] for one in counted)
    lost = sum(WEIGHTS[one.requirement.severity] * expected_loss(one.requirement, one.believed) for one in counted)
    plain = 100.0 * (1 - lost / weight) if weight else 100.0
    caps = [
        (CAPS[one.requirement.severity], one.requirement.id)
        for one in counted
        if one.effective == "violated" and one.requirement.severity in CAPS
    ]
    cap = min(caps, key=lambda found: found[0], default=None)
    score = round(min(plain, cap[0]) if cap else plain, 1)
    levels: list[Risk] = [risk_of(one) for one in counted]
    risk = max(levels, key=RISKS.index) if levels else RISKS[0]
    matrix = {name: {severity: 0 for severity in SEVERITIES} for name in LIKELIHOODS}
    for one in counted:
        matrix[likelihood_of(one)][one.requirement.severity] += 1
    return Grade(score, risk, tuple(_explained(verdicts, counted, weight, lost, plain, cap, score, risk)), cap, matrix)


def _explained(
    verdicts: Sequence[RequirementVerdict],
    counted: Sequence[RequirementVerdict],
    weight: float,
    lost: float,
    plain: float,
    cap: tuple[float, str] | None,
    score: float,
    risk: Risk,
) -> list[str]:
    if not counted:
        return ["Nothing to score: there are only permissions."]
    said = [f"{len(counted)} scored requirements with a total weight of {weight:g}; expected loss {lost:.1f}."]
    said.append(f"100 x (1 - {lost:.1f} / {weight:g}) = {plain:.1f}.")
    if permissions := len(verdicts) - len(counted):
        said.append(f"{permissions} permissions are not scored.")
    if cap is not None and plain > cap[0]:
        said.append(f"Requirement {cap[1]} is violated, which caps the score at {cap[0]:g}.")
    worst = [one for one in counted if risk_of(one) == risk]
    first = max(worst, key=lambda one: expected_loss(one.requirement, one.believed))
    verdict = first.effective.replace("_", " ")
    said.append(
        f"The risk is {risk}: {len(worst)} requirement{'s' if len(worst) > 1 else ''} of that level; the worst is {first.requirement.id} "
        f"({first.requirement.severity}, {verdict}, {likelihood_of(first)})."
    )
    said.append(f"The score is {score:g} of 100.")
    return said
