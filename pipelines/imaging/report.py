"""The report, exactly as ``workbench analyze --json`` prints it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from infra.notebook import Displayed

LesionStatus = Literal["measured", "candidates", "not assessed"]
"""What the report's lesions are: measured on FLAIR; marks on another sequence, listed on request; or nothing at all."""

Support = Literal["measured", "seen", "cited", "unsupported"]

RESEARCH_ONLY = "For research use only. Not a medical device. Not for diagnosis or treatment decisions."


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ReportInput(Part):
    """The scan as it came: ``spacing_mm`` along i, j, k; ``orientation`` is where each axis leads (RAS+ letters)."""

    name: str
    format: str
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    orientation: str
    facts: dict[str, Any] = Field(default_factory=dict, description="What was kept of the scan's header; never an identifier.")


class ReportQuality(Part):
    """``score`` 0 to 1; ``reasons`` are sentences, from the model and from reading the file."""

    verdict: Literal["good", "limited"]
    score: float
    reasons: list[str]


class ReportModel(Part):
    """A model that took part; ``digest`` is the sha256 of its weights."""

    role: str
    name: str
    version: str
    digest: str
    backend: str
    device: str


class Measurement(Part):
    """One number. ``name`` is unique in a report; ``label`` is the id in the segmentation where it is of one label.

    ``definition`` says how it is computed; ``confidence`` (0 to 1) is defined in :mod:`pipelines.imaging.measure`.
    """

    name: str
    label: int | None = None
    side: Literal["left", "right"] | None = None
    value: float
    unit: str
    definition: str = ""
    confidence: float | None = None


class Lesion(Part):
    """One lesion; ``center_mm`` in scanner coordinates (RAS+). ``side`` is None where it lies on the midline or both."""

    kind: Literal["white-matter", "mass", "infarct", "unclear"]
    volume_ml: float
    center_mm: tuple[float, float, float]
    side: Literal["left", "right"] | None
    zone: Literal["periventricular", "juxtacortical", "deep", "infratentorial"] | None


class Passage(Part):
    """A place in a document, and the probability that it entails the sentence."""

    document: str
    title: str
    page: int | None = None
    start: int
    end: int
    text: str
    score: float
    entailed: float | None = None


class Sentence(Part):
    """What the report says, and what it rests on: names of measurements, or passages. ``reason`` says why it is unsupported."""

    section: str
    text: str
    support: Support
    confidence: float
    measurements: list[str] = Field(default_factory=list)
    passages: list[Passage] = Field(default_factory=list)
    reason: str | None = None


class Report(Displayed, Part):
    """The whole. ``not_looked_at`` lists what was not assessed, ``limits`` how the report may be used.

    ``created`` is when it was written (UTC); None in reports of older versions.
    """

    job: str
    input: ReportInput
    quality: ReportQuality
    models: list[ReportModel]
    measurements: list[Measurement]
    lesions: list[Lesion]
    sentences: list[Sentence]
    confidence: float
    seconds: dict[str, float]
    not_looked_at: list[str] = Field(default_factory=list)
    limits: str = RESEARCH_ONLY
    created: datetime | None = None
    lesion_status: LesionStatus = "measured"

    shown_by: ClassVar[str] = "pipelines.imaging.notebook"
    _files: dict[str, bytes] = PrivateAttr(default_factory=dict)

    @property
    def files(self) -> dict[str, bytes]:
        """Contents of the analysis's other files by name, where :func:`pipelines.imaging.analyze` made this report; else empty."""
        return self._files

    def __eq__(self, other: object) -> bool:
        """Whether both say the same; the files kept do not count."""
        return isinstance(other, Report) and self.model_dump() == other.model_dump()

    def measurement(self, name: str) -> Measurement:
        """Raises KeyError."""
        for item in self.measurements:
            if item.name == name:
                return item
        raise KeyError(name)
