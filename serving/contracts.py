"""The five role contracts: what each kind of model takes and gives.

Every call takes ``version`` (default: the champion) and every answer names the :class:`ModelRef` that gave it,
so comparing, shadowing and exact reproduction are the same call with another version. Light imports only
(numpy): the gateway, the runner and notebooks import this.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from infra.errors import InvalidInput

ROLES = ("segmentation", "vlm", "llm", "embedding", "entailment")
Role = Literal["segmentation", "vlm", "llm", "embedding", "entailment"]
ENTAILMENT_LABELS = ("entailed", "contradicted", "not_mentioned")


@dataclass(frozen=True)
class ModelRef:
    """Which model gave an answer.

    Attributes:
        role: its role.
        name: the registered MLflow model of the role.
        version: version of that registered model.
        digest: sha256 of the weights.
        backend: what ran it, for example ``openvino``.
        device: where, for example ``cpu``.
    """

    role: str
    name: str
    version: str
    digest: str
    backend: str
    device: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Volume:
    """A scan.

    Attributes:
        data: float32 ``(channels, i, j, k)``.
        affine: float64 ``(4, 4)``, voxel indices to scanner millimetres (RAS+).
        channels: a name for each channel, for example ``("T1w",)``; ``("unknown",)`` where the file does not tell.
    """

    data: np.ndarray
    affine: np.ndarray
    channels: tuple[str, ...] = ("unknown",)

    def __post_init__(self) -> None:
        if self.data.ndim != 4 or self.data.shape[0] != len(self.channels):
            raise ValueError(f"data must be (channels, i, j, k) with {len(self.channels)} channels, not {self.data.shape}")
        if self.affine.shape != (4, 4):
            raise ValueError(f"affine must be (4, 4), not {self.affine.shape}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along i, j, k."""
        return self.data.shape[1:]  # type: ignore[return-value]

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel spacing in mm along i, j, k: the lengths of the affine's columns."""
        lengths = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(lengths[0]), float(lengths[1]), float(lengths[2])

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in millilitres (the determinant, so a sheared grid counts right)."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0


@dataclass(frozen=True)
class Quality:
    """What the segmentation model thinks of a scan.

    Attributes:
        verdict: ``good``, ``limited`` (usable, with the reasons), or ``refused`` (not a brain MRI: no report).
        score: 0 to 1.
        reasons: a sentence each, for a person.
    """

    verdict: Literal["good", "limited", "refused"]
    score: float
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Structure:
    """Posterior summary of one label.

    Attributes:
        label: FreeSurfer id.
        volume_ml: millilitres of the voxels labelled so.
        expected_ml: sum of the label's posterior over the grid in millilitres (soft volume); None where not computed.
        confidence: mean posterior of the label within its voxels, 0 to 1.
        touches_edge: whether it meets the border of the field of view (it may be cut).
    """

    label: int
    volume_ml: float
    expected_ml: float | None
    confidence: float
    touches_edge: bool = False


@dataclass(frozen=True)
class Segmentation:
    """Labels of a scan.

    Attributes:
        labels: int16 ``(i, j, k)``, FreeSurfer ids (DESIGN.md lists them), in the input's own grid. 77 is every lesion voxel.
        affine: the input's affine, unchanged.
        structures: posterior summary by label.
        quality: per-scan quality estimate.
        model: which model gave it.
        seconds: stage to seconds, for example ``{"resample": .3, "infer": .5}``.
    """

    labels: np.ndarray
    affine: np.ndarray
    structures: Mapping[int, Structure]
    quality: Quality
    model: ModelRef
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Embeddings:
    """Unit vectors, float32 ``(texts, dimensions)``, and the model that gave them."""

    vectors: np.ndarray
    model: ModelRef


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class WriteOptions:
    """How a language model writes.

    Attributes:
        max_tokens: most tokens written; a model that has said what it has to say ends before.
        temperature: 0 always takes the likeliest token, so that a text is reproducible.
        stop: texts that end the answer and are not part of it.
        repetition_penalty: above 1, a token that stands already in the prompt or the answer is less likely to come again
            (without it, small models repeat one phrase until they are cut off).

    Raises:
        InvalidInput: a value that no model can write with.
    """

    max_tokens: int = 512
    temperature: float = 0.0
    stop: tuple[str, ...] = ()
    repetition_penalty: float = 1.05

    def __post_init__(self) -> None:
        if self.max_tokens < 1 or self.temperature < 0 or not 1 <= self.repetition_penalty <= 2:
            raise InvalidInput("Set max_tokens to at least 1, temperature to at least 0, and repetition_penalty between 1 and 2.")


@dataclass(frozen=True)
class Delta:
    """A piece of a text stream. The last one has ``finish`` and the totals.

    Attributes:
        text: new text (may be empty).
        model: which model writes.
        finish: None while it goes on; ``stop``, ``length`` or ``cancelled`` at the end.
        tokens: tokens generated so far.
    """

    text: str
    model: ModelRef
    finish: Literal["stop", "length", "cancelled"] | None = None
    tokens: int = 0


@dataclass(frozen=True)
class Fact:
    """Something a vision-language model says it sees."""

    name: str
    value: str
    confidence: float


@dataclass(frozen=True)
class Description:
    """What a vision-language model says of images."""

    text: str
    facts: tuple[Fact, ...]
    model: ModelRef


@dataclass(frozen=True)
class Entailment:
    """float32 ``(pairs, 3)``: probabilities of entailed, contradicted, not mentioned (``ENTAILMENT_LABELS``)."""

    probabilities: np.ndarray
    model: ModelRef


@runtime_checkable
class SegmentationRole(Protocol):
    async def segment(self, volume: Volume, *, version: str | None = None) -> Segmentation: ...


@runtime_checkable
class EmbeddingRole(Protocol):
    async def embed(self, texts: Sequence[str], *, version: str | None = None) -> Embeddings: ...


@runtime_checkable
class LanguageRole(Protocol):
    def write(
        self, messages: Sequence[Message], options: WriteOptions = WriteOptions(), *, version: str | None = None
    ) -> AsyncIterator[Delta]: ...


@runtime_checkable
class VisionLanguageRole(Protocol):
    async def describe(self, images: Sequence[np.ndarray], question: str | None = None, *, version: str | None = None) -> Description: ...


@runtime_checkable
class EntailmentRole(Protocol):
    async def entail(self, pairs: Sequence[tuple[str, str]], *, version: str | None = None) -> Entailment: ...


def checked_texts(texts: Sequence[str]) -> list[str]:
    """Texts to embed as a list.

    Raises:
        InvalidInput: something else is among them.
    """
    if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        raise InvalidInput("Send a list of texts to embed.")
    return list(texts)


def checked_pairs(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Pairs of (claim, passage) as a list.

    Raises:
        InvalidInput: something else is among them.
    """
    found = [] if isinstance(pairs, str) else [tuple(pair) for pair in pairs if not isinstance(pair, str)]
    if isinstance(pairs, str) or len(found) != len(pairs) or not all(len(p) == 2 and all(isinstance(t, str) for t in p) for p in found):
        raise InvalidInput("Send a list of pairs, each a claim and a passage.")
    return found  # type: ignore[return-value]


def missing_sentence(role: str) -> str:
    """How a report names a role that no model fulfils."""
    purpose: dict[str, str] = {
        "segmentation": "Segmentation not available: no segmentation model is installed.",
        "vlm": "Image description not available: no vision-language model is installed.",
        "llm": "Text generation not available: no language model is installed.",
        "embedding": "Semantic literature search not available: no embedding model is installed.",
        "entailment": "Verification against literature not available: no entailment model is installed.",
    }
    return purpose[role]


def json_ready(value: Any) -> Any:
    """Plain JSON values of a contract object without its arrays (for logs and results)."""
    if hasattr(value, "__dataclass_fields__"):
        return {k: json_ready(getattr(value, k)) for k in value.__dataclass_fields__ if not isinstance(getattr(value, k), np.ndarray)}
    if isinstance(value, Mapping):
        return {str(k): json_ready(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(v) for v in value]
    return value
