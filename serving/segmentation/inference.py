"""From a scan to labels in its own grid.

    segmenter = Segmenter(open_backend("openvino"))
    result = segmenter.segment(volume)

1. The head is found and brought to the network's frame and grid (RAS+, orthonormal).
2. A first pass over it finds the brain; a second looks at a box around the brain alone, as in
   training, so the answer does not depend on how much neck or air the scan holds.
3. Connected components, sides, and labels back in the native grid through the affine. On a FLAIR scan lesions are
   measured and not recognised (see `hyperintensity`); everywhere the scan's own grey values have a say (`grey_values`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np

from serving.registry.versions import ModelRef
from serving.roles.segmentation import Quality, Segmentation, Structure, Volume
from serving.segmentation.backends import Answer, Backend
from serving.segmentation.cleanup import brain_box, right_side, set_lesions, tidy
from serving.segmentation.frame import Frame, frame_of, to_network
from serving.segmentation.grey_values import follow_grey_values
from serving.segmentation.hyperintensity import bright_lesions, looks_like_flair
from serving.segmentation.labels import CLASS_COUNT, LATERAL, LEFT_IDS, RIGHT_IDS, freesurfer_ids
from serving.segmentation.mapback import to_native
from serving.segmentation.normalise import lift_background, scale_signal
from serving.segmentation.quality import Evidence, Intensities, assess, look_at_intensities

MARGIN_MM = 8
COARSE_MM = 8
"""Boxes begin at whole multiples of this: where the brain ends differs by a voxel between two storage orders of one
scan (bfloat16), and a box that moved with it gave volumes that differed by up to 7 % (measured)."""
EARLY_DICE = 0.5
"""Weights whose validation Dice is below this are from the first part of a training."""
FIRST_PASS_MOST = np.array([224, 256, 224])
"""Field of the first pass (mm): a head without its neck. Larger heads are seen from the top down, and
again further down if the brain goes on there."""


@dataclass
class Clock:
    """Seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)
    last: float = field(default_factory=time.perf_counter)

    def mark(self, stage: str) -> None:
        """Everything since the last mark belongs to `stage`."""
        now = time.perf_counter()
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + now - self.last, 4)
        self.last = now


def head_box(data: np.ndarray, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest frame mm of what is not air (scan with background 0), by its projections."""
    view = frame.canonical(data)
    step = [max(1, round(2.5 / float(s))) for s in frame.spacing]
    thin = view[tuple(slice(None, None, s) for s in step)]
    top = float(np.percentile(thin, 99))
    mask = thin > 0.12 * top
    low, high = np.zeros(3), np.array(frame.shape, dtype=float) - 1
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        used = np.flatnonzero(mask.mean(axis=others) > 0.012)
        if used.size:
            low[axis] = max(used[0] * step[axis] - step[axis], 0)
            high[axis] = min(used[-1] * step[axis] + step[axis], frame.shape[axis] - 1)
    corners = np.array([[(high if (c >> a) & 1 else low)[a] for a in range(3)] for c in range(8)])
    places = corners @ frame.matrix.T + frame.offset
    return places.min(0), places.max(0)


class Segmenter:
    """Segments volumes with one backend. Safe to call from several threads (no state between calls)."""

    def __init__(self, backend: Backend, model: ModelRef | None = None, flip: bool = True) -> None:
        """flip: also look at the mirrored brain and average: twice the (short) inference, more Dice, and a third of
        the left/right mistakes (measured)."""
        self.backend = backend
        self.flip = flip
        self.step = backend.info.spacing_mm
        self.threads = getattr(backend, "threads", 1)
        self.model = model or ModelRef(
            role="segmentation",
            name="segmentation",
            version="embedded",
            digest=backend.info.digest,
            backend=backend.name,
            device=backend.device,
        )

    def segment(self, volume: Volume) -> Segmentation:
        """Labels, posterior summary and quality of the volume's first channel.

        A scan that does not look like a brain MRI gets the verdict "refused" and empty labels.
        Raises ValueError for an affine that cannot be used.
        """
        clock = Clock()
        frame = frame_of(volume.shape, volume.affine)
        seen = look_at_intensities(volume.data[0])
        if seen.refusal:
            return self._refused(volume, Quality("refused", 0.0, (seen.refusal,)), clock)
        data = lift_background(volume.data[0])
        clock.mark("normalise")
        found = self._find_brain(data, frame, clock)
        if found is None:
            reason = "Nothing in this scan looks like a brain; it does not look like a brain MRI."
            return self._refused(volume, Quality("refused", 0.0, (reason,)), clock)
        answer, image, start = found
        classes = tidy(answer)
        flair = looks_like_flair(image, classes)
        if flair:
            set_lesions(answer, classes, bright_lesions(image, classes, self.step))
            clock.mark("bright lesions")
        follow_grey_values(answer, classes, image, self.threads)
        clock.mark("grey values")
        side = right_side(answer, classes, self.step)
        clock.mark("tidy")
        evidence = Evidence.gather(answer, classes, side, self.step)
        clock.mark("quality")
        native, sides = to_native(answer, classes, side, frame, start, self.step, self.threads)
        labels = freesurfer_ids(native, sides).astype(np.int16)
        clock.mark("map back")
        return self._result(volume, labels, evidence, seen, clock, flair)

    def _find_brain(self, data: np.ndarray, frame: Frame, clock: Clock) -> tuple[Answer, np.ndarray, np.ndarray] | None:
        """The answer on a box around the brain, the image it was given for, and the frame mm of the box's first voxel."""
        low, high = head_box(data, frame)
        extent = np.minimum(high - low + 1, FIRST_PASS_MOST)
        middle = (low + high) / 2
        middle[2] = high[2] - extent[2] / 2 + 0.5  # from the top down: necks are below
        found = None
        for _ in range(3):
            size = self._box_size(extent)
            start = frame.snap(middle - self.step * (np.array(size) - 1) / 2, COARSE_MM)
            image = scale_signal(to_network(data, frame, start, size, self.step))
            clock.mark("resample")
            found = brain_box(self.backend.find(image), 2 * self.step)  # voxels of the folded grid
            clock.mark("find")
            if found is None:
                return None
            found = 2 * found[0], 2 * found[1]
            cut_below = found[0][2] * self.step <= 4 and start[2] > low[2] + 8
            if not cut_below:
                break
            middle[2] -= 64
        assert found is not None
        wanted = self._box_size(self.step * (found[1] - found[0]) + 2 * MARGIN_MM)
        middle = start + self.step * (found[0] + found[1] - 1) / 2
        start = frame.snap(middle - self.step * (np.array(wanted) - 1) / 2, COARSE_MM)
        return *self._look(data, frame, start, wanted, clock, mirrored=self.flip), start

    def _box_size(self, extent_mm: np.ndarray) -> tuple[int, int, int]:
        """The smallest size of the network's input (voxels) that covers an extent in mm."""
        multiple = self.backend.info.multiple
        return tuple(int(max(1, np.ceil(e / self.step / multiple))) * multiple for e in extent_mm)  # type: ignore[return-value]

    def _look(
        self,
        data: np.ndarray,
        frame: Frame,
        start: np.ndarray,
        size: tuple[int, int, int],
        clock: Clock,
        mirrored: bool = False,
    ) -> tuple[Answer, np.ndarray]:
        image = scale_signal(to_network(data, frame, start, size, self.step))
        clock.mark("resample")
        answer = self.backend.infer(image, mirrored)
        clock.mark("infer")
        return answer, image

    def _result(self, volume: Volume, labels: np.ndarray, evidence: Evidence, seen: Intensities, clock: Clock, flair: bool) -> Segmentation:
        counts = np.bincount(labels.ravel(), minlength=256)
        edges = _edge_counts(labels)
        structures = {}
        for label in np.flatnonzero(counts[1:]) + 1:
            soft_ml, confidence = evidence.of_label(int(label))
            structures[int(label)] = Structure(
                label=int(label),
                volume_ml=float(counts[label] * volume.voxel_ml),
                expected_ml=soft_ml,
                confidence=confidence,
                touches_edge=bool(edges.sum(0)[label] > 0),
            )
        areas = _face_areas(volume)
        cut_mm2 = float((edges[:, 1:].sum(1) * areas).max())
        quality = self._own_doubt(assess(evidence, seen, cut_mm2, volume.spacing))
        if quality.verdict == "refused":
            return self._refused(volume, quality, clock)
        clock.mark("measure")
        limits = tuple(self.backend.info.extra.get("limits", ()))
        lesions = "measured" if flair else "candidates"
        return Segmentation(labels, volume.affine, structures, quality, self.model, dict(clock.seconds), lesions, limits)

    def _own_doubt(self, quality: Quality) -> Quality:
        """Weights from early in their training cannot judge a scan: say so instead of refusing it."""
        reached = self.backend.info.extra.get("validation_dice_maps_15_16", 1.0)
        if reached >= EARLY_DICE:
            return quality
        reason = f"The installed weights are from an early stage of training (validation Dice {reached:.2f}): do not use the labels."
        return Quality("limited", min(quality.score, 0.2), (reason,))

    def _refused(self, volume: Volume, quality: Quality, clock: Clock) -> Segmentation:
        clock.mark("refuse")
        empty = np.zeros(volume.shape, dtype=np.int16)
        return Segmentation(empty, volume.affine, {}, quality, self.model, dict(clock.seconds))

    def with_model(self, model: ModelRef) -> Segmenter:
        """The same backend, naming another `ModelRef` in its answers."""
        return Segmenter(self.backend, replace(model), self.flip)


def _edge_counts(labels: np.ndarray) -> np.ndarray:
    """Voxels of every label on each of the six faces of the grid, (6, 256)."""
    faces = [labels[0], labels[-1], labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]]
    return np.stack([np.bincount(face.ravel(), minlength=256) for face in faces])


def _face_areas(volume: Volume) -> np.ndarray:
    """mm2 of one voxel on each of the six faces."""
    si, sj, sk = volume.spacing
    return np.array([sj * sk, sj * sk, si * sk, si * sk, si * sj, si * sj])


def class_ids() -> dict[int, list[int]]:
    """FreeSurfer ids that each softmax class writes."""
    return {c: sorted({int(LEFT_IDS[c]), int(RIGHT_IDS[c])}) if LATERAL[c] else [int(LEFT_IDS[c])] for c in range(CLASS_COUNT)}
