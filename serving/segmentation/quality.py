"""How far a segmentation can be trusted, and whether the scan shows a brain at all.

Pure numpy on a summary of the posterior (`Evidence`), so that every rule can be tested on small
made data. Three kinds of rules: what intensities say before anything is segmented (CT, empty,
flat), what the posterior says (entropy, confidence), and what anatomy says (volumes, proportions,
what lies above, behind and beside what). The limits are wide: they are meant for any adult brain,
atrophic or with a tumour, and for the failures seen on phantoms, noise and blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from serving.roles.segmentation import Quality
from serving.segmentation.backends import Answer
from serving.segmentation.folding import fold_blocks
from serving.segmentation.labels import (
    BACKGROUND,
    CLASS_COUNT,
    CSF,
    INDEX,
    LATERAL,
    LEFT_IDS,
    LESION,
    OTHER,
    RIGHT_IDS,
)

NOT_A_BRAIN = "This does not look like a brain MRI"
BRAIN_CLASSES = [c for c in range(CLASS_COUNT) if c not in (BACKGROUND, OTHER, CSF)]

# (one structure, other, axis, sign): the first lies on that side of the other. Axis 0 is not used:
# left and right are told by the network; 1 = anterior, 2 = superior.
RELATIONS: tuple[tuple[str, str, int, int], ...] = (
    ("cerebral cortex", "cerebellum cortex", 2, 1),
    ("cerebral white matter", "brain stem", 2, 1),
    ("thalamus", "brain stem", 2, 1),
    ("thalamus", "cerebellum cortex", 1, 1),
    ("thalamus", "cerebellum cortex", 2, 1),
    ("caudate", "thalamus", 1, 1),
    ("putamen", "thalamus", 1, 1),
    ("lateral ventricle", "brain stem", 2, 1),
    ("third ventricle", "fourth ventricle", 2, 1),
    ("brain stem", "cerebellum cortex", 1, 1),
    ("brain stem", "fourth ventricle", 1, 1),
    ("thalamus", "hippocampus", 2, 1),
    ("amygdala", "hippocampus", 1, 1),
    ("caudate", "hippocampus", 2, 1),
    ("putamen", "brain stem", 1, 1),
)
DEEP = ("thalamus", "caudate", "putamen", "pallidum", "hippocampus", "amygdala", "ventral DC")


@dataclass(frozen=True)
class Intensities:
    """What the raw values say. refusal: a sentence, or None; distinct: how many different values were seen."""

    refusal: str | None
    distinct: int


@dataclass(frozen=True)
class Evidence:
    """Summary of an answer, one entry a softmax class unless said otherwise.

    volume_ml: voxels; left_ml, right_ml: the same by side (unsided classes in left_ml); soft_ml,
    soft_left_ml, soft_right_ml: posterior sums; confidence: mean posterior within the class's voxels;
    entropy: mean of the brain's voxels, 0 to 1 (1 = every class alike); centre_mm: (classes, 3), RAS
    mm on the network's grid, NaN where absent; border: share of brain voxels' confidence below 0.5.
    """

    volume_ml: np.ndarray
    left_ml: np.ndarray
    right_ml: np.ndarray
    soft_left_ml: np.ndarray
    soft_right_ml: np.ndarray
    confidence_left: np.ndarray
    confidence_right: np.ndarray
    brain_confidence: float
    entropy: float
    centre_mm: np.ndarray

    @staticmethod
    def gather(answer: Answer, classes: np.ndarray, side: np.ndarray, step: float) -> Evidence:
        """Summarise an answer (side positive = right; voxels of `step` mm).

        The posterior is read at one of the eight sub-voxels where they are 1 mm apart, else at four.
        """
        right = side > 0
        few = [0] if step < 1.5 else [0, 3, 5, 6]
        logits = answer.logits[:, :, :, few].astype(np.float32).reshape(-1, CLASS_COUNT)
        thin_classes = answer.classes[:, :, :, few].ravel()
        thin_right = fold_blocks(right)[:, :, :, few].ravel()
        # Deep in the air nothing is uncertain and nothing is summed: leave it out.
        others = logits[:, BACKGROUND + 1 :].max(1)
        used = np.flatnonzero((thin_classes != BACKGROUND) | (others > logits[:, BACKGROUND] - 8))
        logits, thin_classes, thin_right = logits[used], thin_classes[used], thin_right[used]
        voxel_ml = step**3 / 1000.0
        soft_ml = voxel_ml * 8 / len(few)
        posterior = np.exp(logits - logits.max(1, keepdims=True))
        posterior /= posterior.sum(1, keepdims=True)
        top = posterior[np.arange(len(posterior)), thin_classes]

        def mean_top(mask: np.ndarray) -> np.ndarray:
            total = np.bincount(thin_classes[mask], top[mask], CLASS_COUNT)
            return total / np.maximum(np.bincount(thin_classes[mask], minlength=CLASS_COUNT), 1)

        brain = np.isin(thin_classes, BRAIN_CLASSES)
        inside = posterior[brain]
        entropy = -(inside * np.log(np.maximum(inside, 1e-9))).sum(1).mean() / np.log(CLASS_COUNT) if brain.any() else 1.0
        everywhere = np.bincount(classes.ravel(), minlength=CLASS_COUNT) * voxel_ml
        on_right = np.bincount(classes.ravel(), right.ravel(), CLASS_COUNT) * voxel_ml
        return Evidence(
            volume_ml=everywhere,
            left_ml=everywhere - on_right,
            right_ml=on_right,
            soft_left_ml=posterior[~thin_right].sum(0) * soft_ml,
            soft_right_ml=posterior[thin_right].sum(0) * soft_ml,
            confidence_left=mean_top(~thin_right),
            confidence_right=mean_top(thin_right),
            brain_confidence=float(top[brain].mean()) if brain.any() else 0.0,
            entropy=float(entropy),
            centre_mm=_centres(classes) * step,
        )

    def of_label(self, label: int) -> tuple[float, float]:
        """Soft volume (ml) and confidence (0..1) of a FreeSurfer id."""
        soft, weight, sure = 0.0, 0.0, 0.0
        for c in range(CLASS_COUNT):
            for ids, volume, part, confidence in (
                (LEFT_IDS, self.left_ml, self.soft_left_ml, self.confidence_left),
                (RIGHT_IDS, self.right_ml, self.soft_right_ml, self.confidence_right),
            ):
                if ids[c] == label:
                    soft += float(part[c])
                    weight += float(volume[c])
                    sure += float(volume[c] * confidence[c])
        return soft, sure / weight if weight else 0.0


def _centres(classes: np.ndarray) -> np.ndarray:
    """Centre of every class in voxels, (classes, 3), NaN where absent."""
    centres = np.full((CLASS_COUNT, 3), np.nan)
    for axis in range(3):
        # How many voxels of each class lie in each plane across this axis.
        planes = np.moveaxis(classes, axis, 0).reshape(classes.shape[axis], -1)
        counts = np.stack([np.bincount(p, minlength=CLASS_COUNT) for p in planes])
        total = counts.sum(0)
        place = (counts * np.arange(len(counts))[:, None]).sum(0)
        centres[:, axis] = np.where(total > 0, place / np.maximum(total, 1), np.nan)
    return centres


def look_at_intensities(data: np.ndarray) -> Intensities:
    """Refuse what its values alone give away: nothing, a block, a few flat values, or CT numbers.

    data (i, j, k) as stored. CT is in Hounsfield units: air near -1000 and soft tissue near 0; no MRI has a
    background hundreds below zero while its tissue lies around zero.
    """
    thin = np.asarray(data[tuple(slice(None, None, max(1, n // 64)) for n in data.shape)], dtype=np.float32).ravel()
    thin = thin[np.isfinite(thin)]
    if thin.size == 0 or float(thin.max()) == float(thin.min()):
        return Intensities(f"{NOT_A_BRAIN}: all its voxels have the same value.", 1)
    distinct = int(np.unique(thin).size)
    if min(data.shape) < 8:
        return Intensities(f"{NOT_A_BRAIN}: it has fewer than eight slices in one direction.", distinct)
    low, high = float(np.percentile(thin, 0.5)), float(np.percentile(thin, 99.8))
    air = float((np.abs(thin + 1000) < 130).mean())
    soft = float(((thin > -150) & (thin < 200)).mean())
    if low < -700 and air > 0.05 and soft > 0.02 and high > 100:
        return Intensities(f"{NOT_A_BRAIN}: its values are those of CT (air near -1000, tissue near 0).", distinct)
    if distinct < 12:
        return Intensities(f"{NOT_A_BRAIN}: it holds only {distinct} different values, as drawings and label maps do.", distinct)
    return Intensities(None, distinct)


def anatomical_order(evidence: Evidence) -> tuple[float, int]:
    """Share of `RELATIONS` that hold by 2 mm or more, and how many could be checked (both present)."""
    present = evidence.volume_ml > 0.15
    held = checked = 0
    for one, other, axis, sign in RELATIONS:
        a, b = INDEX[one], INDEX[other]
        if present[a] and present[b]:
            checked += 1
            held += bool(sign * (evidence.centre_mm[a, axis] - evidence.centre_mm[b, axis]) > 2)
    return (held / checked if checked else 0.0), checked


def symmetry(evidence: Evidence) -> float:
    """How alike the halves are: 1 - mean |left - right| / (left + right) over the sided structures, lesions apart."""
    used = [c for c in BRAIN_CLASSES if c != LESION and LATERAL[c] and evidence.volume_ml[c] > 0.3]
    if not used:
        return 0.0
    left, right = evidence.left_ml[used], evidence.right_ml[used]
    return float(1 - (np.abs(left - right) / (left + right)).mean())


def plausibility(evidence: Evidence) -> float:
    """0 to 1: parts in their places, all of them there, and two alike halves.

    Measured with weights d20f459a on the development data: real brains .69 to .98, phantoms, noise and blocks
    at most .25. Measure again when the weights change.
    """
    order, checked = anatomical_order(evidence)
    return order * min(checked / (len(RELATIONS) - 1), 1.0) * symmetry(evidence)


def assess(evidence: Evidence, seen: Intensities, cut_mm2: float, spacing: Sequence[float]) -> Quality:
    """The verdict on a scan.

    cut_mm2: area of labelled voxels on the worst face of the field of view; spacing: mm of the
    scan's voxels. "refused" where it shows no brain; "limited" where something should be known
    before numbers are used; else "good".
    """
    brain_ml = float(evidence.volume_ml[BRAIN_CLASSES].sum())
    order, checked = anatomical_order(evidence)
    alike = symmetry(evidence)
    white, grey = evidence.volume_ml[INDEX["cerebral white matter"]], evidence.volume_ml[INDEX["cerebral cortex"]]
    deep_present = sum(evidence.volume_ml[INDEX[name]] > 0.25 for name in DEEP)
    partial = cut_mm2 > 300
    score = _score(evidence, order, checked, alike, deep_present)
    if (why := _refusal(brain_ml, float(white), float(grey), order, checked, alike, evidence, deep_present, partial)) is not None:
        return Quality("refused", round(score, 3), (f"{NOT_A_BRAIN}: {why}.",))
    if score < LEAST_SCORE:
        return Quality("refused", round(score, 3), (f"{NOT_A_BRAIN}: the model recognises too little of a brain's anatomy.",))
    reasons = []
    if partial:
        reasons.append("Part of the brain is outside the field of view: volumes at its edge are too small.")
    if max(spacing) > 3.5:
        reasons.append(f"Slices are {max(spacing):.1f} mm apart: small structures are uncertain.")
    if score < 0.6:
        reasons.append("The model is less certain about this scan than about most.")
    missing = [name for name in DEEP if evidence.volume_ml[INDEX[name]] <= 0.25]
    if missing:
        reasons.append(f"Not found: {', '.join(missing)}.")
    if brain_ml < 700 and not partial:
        reasons.append(f"The brain measures only {brain_ml:.0f} ml, far below what is usual in adults.")
    if alike < 0.8:
        reasons.append("Left and right differ more than is usual; a lesion, a turned head or a mistake.")
    return Quality("limited" if reasons else "good", round(score, 3), tuple(reasons))


LEAST_SCORE = 0.3
"""Below this nothing is taken for a brain. With weights d20f459a real scans score .53 and more, made phantoms at most .09."""
LEAST_PLAUSIBLE = 0.5
"""The same for `plausibility` of a whole brain."""


def _score(evidence: Evidence, order: float, checked: int, alike: float, deep_present: int) -> float:
    """0 to 1: confidence of the posterior, weighed with how well the anatomy agrees."""
    anatomy = order * min(checked / 12, 1) * (0.5 + 0.5 * deep_present / len(DEEP))
    sure = np.clip((evidence.brain_confidence - 0.45) / 0.45, 0, 1)
    return float(np.clip(sure * (0.3 + 0.5 * anatomy + 0.2 * np.clip((alike - 0.5) / 0.4, 0, 1)), 0, 1))


def _refusal(
    brain_ml: float,
    white: float,
    grey: float,
    order: float,
    checked: int,
    alike: float,
    evidence: Evidence,
    deep_present: int,
    partial: bool,
) -> str | None:
    """Why this is not taken for a brain, or None."""
    if brain_ml < (120 if partial else 350):
        return f"what was found measures {brain_ml:.0f} ml"
    if brain_ml > 2150:
        return f"what was found measures {brain_ml:.0f} ml, more than any brain"
    if white < 0.08 * brain_ml or grey < 0.08 * brain_ml:
        return "it has no white matter beside grey matter"
    if deep_present < (1 if partial else 3):
        return "the structures inside a brain are missing"
    if checked >= 4 and order < 0.7:
        return "its parts do not lie where a brain's parts lie"
    if checked < 4 and not partial:
        return "too few structures were found"
    if not partial and plausibility(evidence) < LEAST_PLAUSIBLE:
        return "it has no two alike halves with a brain's parts in them"
    if partial and order * alike < 0.6:
        return "what is in the field of view is not part of a brain"
    if evidence.brain_confidence < 0.45:
        return "the model recognises nothing with confidence"
    return None
