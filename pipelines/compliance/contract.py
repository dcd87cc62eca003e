"""What an analysis says: a verdict for every requirement with its evidence, the score, the risk, and what nobody asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from infra.notebook import Displayed
from knowledge.requirements.contract import Requirement
from serving.registry.versions import ModelRef

Verdict = Literal["satisfied", "violated", "not_addressed"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
Risk = Literal["low", "medium", "high", "critical"]
RISKS: tuple[Risk, ...] = get_args(Risk)
MOST_EVIDENCE = 20


@dataclass(frozen=True)
class Evidence:
    """A span of the document that says something of a requirement.

    Attributes:
        page: from 1; None where the document has no pages.
        start, end: characters of the document's text; ``text`` is exactly what stands there.
        score: how strongly it is evidence on the requirement, for or against, 0 to 1 (no calibrated probability); the evidence's order.
        entailed, contradicted: the entailment model's probabilities; of the best spans those of the deciding reader, which reads
            them with their neighbours.
        decided: it is one of the spans that the verdict rests on; the first one decided.
        heading: the path of headings that it was read with.
        difference: which quantity does not keep the requirement's limit ("30 days, not 60 days"), empty where that was not found.
    """

    page: int | None
    start: int
    end: int
    text: str
    score: float
    entailed: float
    contradicted: float
    decided: bool = False
    heading: str = ""
    difference: str = ""

    def as_dict(self) -> dict[str, Any]:
        rounded = {name: round(getattr(self, name), 6) for name in ("score", "entailed", "contradicted")}
        return {**{name: getattr(self, name) for name in self.__dataclass_fields__}, **rounded}

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> Evidence:
        return cls(**{name: said[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Probabilities:
    """Of the three verdicts; they sum to 1."""

    satisfied: float
    violated: float
    not_addressed: float

    @property
    def verdict(self) -> Verdict:
        return max(VERDICTS, key=lambda name: getattr(self, name))

    def as_dict(self) -> dict[str, float]:
        return {name: round(getattr(self, name), 6) for name in VERDICTS}

    @classmethod
    def of(cls, verdict: Verdict) -> Probabilities:
        """Certain: what a reviewer said."""
        return cls(**{name: float(name == verdict) for name in VERDICTS})


@dataclass(frozen=True)
class RequirementVerdict:
    """What the document says of one requirement.

    Attributes:
        requirement: as it was when the analysis was made.
        verdict: the likeliest of ``probabilities``.
        conflict: one span satisfies it and another one violates it.
        evidence: best first, at most MOST_EVIDENCE.
        reviewed: what a person decided; None while nobody has.
    """

    requirement: Requirement
    verdict: Verdict
    probabilities: Probabilities
    conflict: bool
    evidence: tuple[Evidence, ...]
    reviewed: Verdict | None = None

    @property
    def effective(self) -> Verdict:
        """The reviewer's word, else the models'."""
        return self.reviewed or self.verdict

    @property
    def believed(self) -> Probabilities:
        """What score and risk are computed from."""
        return Probabilities.of(self.reviewed) if self.reviewed else self.probabilities

    @property
    def uncertainty(self) -> float:
        """0 to 1: how far the likeliest verdict is from certain; a conflict counts as at least a half. 0 once reviewed."""
        if self.reviewed:
            return 0.0
        doubt = (1 - max(self.probabilities.satisfied, self.probabilities.violated, self.probabilities.not_addressed)) * 1.5
        return round(max(doubt, 0.5 if self.conflict else 0.0), 4)

    def as_dict(self) -> dict[str, Any]:
        """One of ``requirements`` of ``comply --json``."""
        return {
            **{name: getattr(self.requirement, name) for name in ("id", "text", "modality", "severity", "topic")},
            "source": self.requirement.source.as_dict() if self.requirement.source else None,
            "verdict": self.verdict,
            "probabilities": self.probabilities.as_dict(),
            "conflict": self.conflict,
            "evidence": [one.as_dict() for one in self.evidence],
            "version": self.requirement.version,
            "uncertainty": self.uncertainty,
            "reviewed": self.reviewed,
        }


@dataclass(frozen=True)
class OwnObligation:
    """An obligation of the document itself that no requirement covers; ``nearest`` is the requirement most like it."""

    page: int | None
    start: int
    end: int
    text: str
    modality: str
    nearest: str
    likeness: float

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {"likeness": round(self.likeness, 4)}


@dataclass(frozen=True)
class Grade:
    """Score and risk, and why.

    Attributes:
        score: 0 to 100.
        risk: low, medium, high, critical.
        explanation: sentences for a person, the formula with this document's numbers.
        cap: the most that the score could be, and the requirement that caps it; None where nothing does.
        matrix: likelihood band (rows) by severity (columns): how many requirements stand in each cell.
    """

    score: float
    risk: Risk
    explanation: tuple[str, ...]
    cap: tuple[float, str] | None
    matrix: Mapping[str, Mapping[str, int]]

    def as_dict(self) -> dict[str, Any]:
        return {
            "score": self.score,
            "risk": self.risk,
            "explanation": list(self.explanation),
            "cap": {"score": self.cap[0], "requirement": self.cap[1]} if self.cap else None,
            "matrix": {likelihood: dict(row) for likelihood, row in self.matrix.items()},
        }


@dataclass(frozen=True)
class ComplianceReport(Displayed):
    """A document against its policies: ``workbench comply --json``, stored as ``report.json``.

    Attributes:
        document: its file name; ``sha256`` of the file.
        policies: cards of :class:`knowledge.requirements.Policy`.
        seconds: stage to seconds.
        own: obligations of the document that no policy covers.
    """

    document: str
    sha256: str
    policies: Sequence[Mapping[str, Any]]
    grade: Grade
    models: tuple[ModelRef, ...]
    requirements: tuple[RequirementVerdict, ...]
    own: tuple[OwnObligation, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    shown_by = "pipelines.compliance.notebook"

    def counts(self) -> dict[str, int]:
        """Verdict to how many requirements, reviews counted; and how many conflicts."""
        told = [one.effective for one in self.requirements]
        return {**{name: told.count(name) for name in VERDICTS}, "conflicts": sum(one.conflict for one in self.requirements)}

    def as_dict(self) -> dict[str, Any]:
        return {
            "document": self.document,
            "policies": [dict(one) for one in self.policies],
            "score": self.grade.score,
            "risk": self.grade.risk,
            "models": [model.as_dict() for model in self.models],
            "requirements": [one.as_dict() for one in self.requirements],
            "grade": self.grade.as_dict(),
            "uncovered": [one.as_dict() for one in self.own],
            "seconds": {stage: round(value, 3) for stage, value in self.seconds.items()},
            "sha256": self.sha256,
            "warnings": list(self.warnings),
        }
