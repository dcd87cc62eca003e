"""Measures of a segmentation against a truth; numpy and cc3d only."""

from __future__ import annotations

from collections.abc import Sequence

import cc3d
import numpy as np

from serving.segmentation.labels import INDEX, LATERAL, LEFT_IDS, MERGED_15, RIGHT_IDS, merge_sides


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Dice overlap of two boolean volumes of one shape; 1.0 where both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 2.0 * int((one & other).sum()) / total if total else 1.0


def merged_dice(labels: np.ndarray, truth: np.ndarray, names: Sequence[str] = MERGED_15) -> dict[str, float]:
    """Dice by structure, left and right merged, of two volumes of FreeSurfer ids.

    Structures that are absent from the truth are left out.
    """
    ours, theirs = merge_sides(labels), merge_sides(truth)
    return {n: dice(ours == INDEX[n], theirs == INDEX[n]) for n in names if (theirs == INDEX[n]).any()}


def side_confusion(labels: np.ndarray, truth: np.ndarray) -> float:
    """Share of the truth's sided voxels that are labelled with an id of the other side (any structure)."""
    left, right = _sided_ids()
    true_left, true_right = np.isin(truth, left), np.isin(truth, right)
    wrong = int((true_left & np.isin(labels, right)).sum()) + int((true_right & np.isin(labels, left)).sum())
    return wrong / max(int(true_left.sum()) + int(true_right.sum()), 1)


def _sided_ids() -> tuple[list[int], list[int]]:
    return LEFT_IDS[LATERAL].tolist(), RIGHT_IDS[LATERAL].tolist()


def lesion_f1(found: np.ndarray, truth: np.ndarray, smallest: int = 3) -> float:
    """Lesion-wise F1: a lesion (26-connected, `smallest` voxels or more) counts as found, and a finding
    as true, when it touches the other mask by at least one voxel. 1.0 where both are empty."""
    found_pieces, found_count = cc3d.connected_components(cc3d.dust(found, threshold=smallest), return_N=True)
    true_pieces, true_count = cc3d.connected_components(cc3d.dust(truth, threshold=smallest), return_N=True)
    if found_count + true_count == 0:
        return 1.0
    detected = len(set(np.unique(true_pieces[found].ravel()).tolist()) - {0})
    correct = len(set(np.unique(found_pieces[truth].ravel()).tolist()) - {0})
    sensitivity = detected / true_count if true_count else 0.0
    precision = correct / found_count if found_count else 0.0
    return 2 * sensitivity * precision / (sensitivity + precision) if sensitivity + precision else 0.0


def volumes_ml(labels: np.ndarray, affine: np.ndarray) -> dict[int, float]:
    """Millilitres of every id but 0; the voxel's volume is the affine's determinant."""
    voxel = abs(float(np.linalg.det(affine[:3, :3]))) / 1000.0
    counts = np.bincount(labels.astype(np.int64).ravel())
    return {int(i): float(counts[i] * voxel) for i in np.flatnonzero(counts) if i}
