"""The role ``segmentation``: a scan in, a label for each of its voxels out."""

from __future__ import annotations

import io
import json
import tempfile
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np

from infra.errors import IntegrityError, InvalidInput
from infra.notebook import Displayed
from serving.backends.backend import Backend
from serving.registry.versions import ModelRef
from serving.roles.role import Role

if TYPE_CHECKING:
    from serving.http import Gateway


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
class Segmentation(Displayed):
    """Labels of a scan.

    Attributes:
        labels: int16 ``(i, j, k)``, FreeSurfer ids (DESIGN.md lists them), in the input's own grid. 77 is every lesion voxel.
        affine: the input's affine, unchanged.
        structures: posterior summary by label.
        quality: per-scan quality estimate.
        model: which model gave it.
        seconds: stage to seconds, for example ``{"resample": .3, "infer": .5}``.
        lesions: ``measured``, or ``candidates`` where the scan's sequence does not allow measuring lesions: marks are not
            to be reported as lesions.
        limits: what is known about the model's accuracy on every scan, one sentence each.
    """

    labels: np.ndarray
    affine: np.ndarray
    structures: Mapping[int, Structure]
    quality: Quality
    model: ModelRef
    seconds: Mapping[str, float] = field(default_factory=dict)
    lesions: Literal["measured", "candidates"] = "measured"
    limits: tuple[str, ...] = ()

    shown_by = "serving.segmentation.notebook"


@runtime_checkable
class SegmentationRole(Protocol):
    async def segment(self, volume: Volume, *, version: str | None = None) -> Segmentation: ...


class SegmentationBackend(Backend):
    role = "segmentation"

    @abstractmethod
    def segment(self, volume: Volume) -> Segmentation:
        """Labels in the volume's own grid. Blocks.

        Raises:
            NotABrain: never here: the quality's verdict says so, the pipeline decides.
        """

    def smoke_test(self) -> None:
        noise = np.random.default_rng(0).random((1, 32, 32, 32), np.float32)
        found = self.segment(Volume(noise, np.eye(4)))
        if found.labels.shape != (32, 32, 32):
            raise IntegrityError(f"The segmentation model {self.ref.version} fails its smoke test: its labels have another grid.")


class SegmentationOfScans(Role):
    name, method, backend, answer_type = "segmentation", "segment", SegmentationBackend, Segmentation
    missing = "Segmentation not available: no segmentation model is installed."

    def log_call(self, volume: Volume) -> dict[str, Any]:
        return {"voxels": int(volume.data.size)}

    def log_answer(self, answer: Segmentation) -> dict[str, Any]:
        return {"verdict": answer.quality.verdict}

    def answer_to_json(self, answer: Segmentation) -> dict[str, Any]:
        """Everything but the arrays."""
        return json_ready(answer)

    async def over_http(self, gateway: Gateway, version: str | None, scan: Volume | Path) -> Segmentation:
        """A file goes as it is, and the gateway reads its format; a volume goes as NIfTI, so it must have one channel."""
        if isinstance(scan, Volume):
            if len(scan.channels) != 1:
                raise InvalidInput(f"Over HTTP a scan with one channel can be segmented; this one has {len(scan.channels)}.")
            import nibabel as nib

            from serving.volume.write import write_scan

            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "scan.nii.gz"
                write_scan(path, scan.data[0], nib.Nifti1Image(scan.data[0], scan.affine).header)
                return await self.over_http(gateway, version, path)
        with open(scan, "rb") as file:  # noqa: ASYNC230 - opening blocks for microseconds; httpx reads as it sends
            form = {"version": version} if version else {}
            response = await gateway.post(self.path, data=form, files={"file": (scan.name, file)})
        facts = json.loads(response.headers["x-segmentation"])
        structures = {int(label): Structure(**fields) for label, fields in facts["structures"].items()}
        quality = Quality(facts["quality"]["verdict"], facts["quality"]["score"], tuple(facts["quality"]["reasons"]))
        with np.load(io.BytesIO(response.content)) as arrays:
            return Segmentation(
                arrays["labels"], arrays["affine"], structures, quality, ModelRef(**facts["model"]), facts["seconds"],
                facts.get("lesions", "measured"), tuple(facts.get("limits", ())),
            )  # fmt: skip


def json_ready(value: Any) -> Any:
    """Plain JSON values of a contract object without its arrays (for logs and results)."""
    if hasattr(value, "__dataclass_fields__"):
        return {k: json_ready(getattr(value, k)) for k in value.__dataclass_fields__ if not isinstance(getattr(value, k), np.ndarray)}
    if isinstance(value, Mapping):
        return {str(k): json_ready(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(v) for v in value]
    return value


ROLE = SegmentationOfScans()
