"""The measures of the evaluation, one function each; `evaluate` turns them into a table."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from serving.roles.segmentation import Volume
from serving.segmentation.evaluation.metrics import dice, lesion_f1, merged_dice, side_confusion, volumes_ml
from serving.segmentation.evaluation.timing import read_scan
from serving.segmentation.inference import Segmenter
from serving.segmentation.labels import LESION_ID, MERGED_15, freesurfer_ids
from serving.segmentation.synthetic.phantoms import affine_of, as_ct, phantoms

LIA = np.array([[-1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
"""The axes of the npz: first to the left, second down, third forward."""


@dataclass(frozen=True)
class StructureScore:
    """Dice by structure, its mean over the 15, and the left/right confusion."""

    by_structure: dict[str, float]
    confusion: float
    seconds: float

    @property
    def mean(self) -> float:
        """Over the structures of `MERGED_15` that the truth has."""
        return float(np.mean([self.by_structure[n] for n in MERGED_15 if n in self.by_structure]))


def read_pair(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Image, FreeSurfer labels and affine of `pair_fs`, or None where it is not there."""
    path = data / "pair_fs" / "voxelmorph_test_scan.npz"
    if not path.exists():
        return None
    with np.load(path) as stored:
        return stored["vol"].astype(np.float32), stored["seg"].astype(np.int16), LIA


def pair_fs(data: Path, segmenter: Segmenter) -> StructureScore | None:
    """Ours on `pair_fs`."""
    pair = read_pair(data)
    if pair is None:
        return None
    image, truth, affine = pair
    begun = time.perf_counter()
    labels = segmenter.segment(Volume(image[None], affine)).labels
    seconds = time.perf_counter() - begun
    return StructureScore(merged_dice(labels, truth), side_confusion(labels, truth), seconds)


def pair_fs_peer(data: Path, model: str = "model18cls") -> StructureScore | None:
    """brainchop on `pair_fs`."""
    from serving.segmentation.evaluation.brainchop import MeshNet

    pair, folder = read_pair(data), data / "peers" / "brainchop" / model
    if pair is None or not folder.exists():
        return None
    image, truth, affine = pair
    begun = time.perf_counter()
    labels = MeshNet(folder).segment(image, affine)
    return StructureScore(merged_dice(labels, truth), 0.0, time.perf_counter() - begun)


def synthetic(data: Path, segmenter: Segmenter, count: int = 12) -> list[tuple[str, float, float]]:
    """Contrast, mean Dice and left/right confusion on images of the maps never trained on; the seed is fixed."""
    from serving.segmentation.synthetic.atlas import load_atlas
    from serving.segmentation.synthetic.synthesis import Synthesiser

    paths = [data / "labels" / "synthseg" / f"training_seg_{n}.nii.gz" for n in (15, 16)]
    if not all(p.exists() for p in paths):
        return []
    synthesiser = Synthesiser([load_atlas(p, Path(".workbench/training/segmentation/atlas")) for p in paths], 2026, pathology=0.3)
    results = []
    for _ in range(count):
        sample = synthesiser.sample((192, 224, 192))
        truth = freesurfer_ids(sample.classes.numpy(), sample.right.numpy() == 1)
        labels = segmenter.segment(Volume(sample.image.numpy()[None], np.eye(4))).labels
        score = StructureScore(merged_dice(labels, truth), side_confusion(labels, truth), 0)
        results.append((sample.contrast, score.mean, score.confusion))
    return results


def white_matter_lesions(data: Path, segmenter: Segmenter, sequence: str) -> tuple[float, float] | None:
    """Dice and lesion-wise F1 against the raters' consensus of patient07."""
    folder = data / "lesion_ms" / "patient07"
    if not (folder / f"{sequence}.nii.gz").exists():
        return None
    truth = np.asarray(nib.load(folder / "lesion_gt.nii.gz").dataobj) > 0  # type: ignore[attr-defined]
    found = segmenter.segment(read_scan(folder / f"{sequence}.nii.gz")).labels == LESION_ID
    return dice(found, truth), lesion_f1(found, truth)


def tumours(data: Path, segmenter: Segmenter, sequence: str) -> dict[str, float]:
    """Whole-tumour Dice (labels 1 to 4 as one) by BRATS case."""
    scores = {}
    for folder in sorted((data / "tumour").glob("brats_*")):
        truth = np.asarray(nib.load(folder / "OTMultiClass.nii.gz").dataobj) > 0  # type: ignore[attr-defined]
        labels = segmenter.segment(read_scan(folder / f"{sequence}_subtrMeanDivStd.nii.gz")).labels
        scores[folder.name] = dice(labels == LESION_ID, truth)
    return scores


def orientations(data: Path, segmenter: Segmenter) -> tuple[float, float] | None:
    """Mean Dice over all labels after mapping back, and the largest relative difference of a volume.

    Volumes of structures of at least 0.5 ml are compared with their mean over the orientations.
    """
    paths = sorted((data / "orient").glob("*.nii.gz"))
    if len(paths) < 2:
        return None
    reference, scores, volumes = None, [], []
    for path in paths:
        scan = read_scan(path)
        labels = segmenter.segment(scan).labels
        volumes.append(volumes_ml(labels, scan.affine))
        upright = np.asarray(nib.as_closest_canonical(nib.Nifti1Image(labels, scan.affine)).dataobj)
        if reference is None:
            reference = upright
        else:
            ids = sorted(set(np.unique(reference).tolist()) - {0})
            scores.append(np.mean([dice(upright == i, reference == i) for i in ids]))
    worst = 0.0
    for label in volumes[0]:
        values = np.array([v.get(label, 0.0) for v in volumes])
        if values.mean() >= 0.5:
            worst = max(worst, float(np.abs(values / values.mean() - 1).max()))
    return float(np.mean(scores)), worst


def brains(data: Path, segmenter: Segmenter) -> dict[str, tuple[str, float, str]]:
    """Verdict, score and reasons for every real brain of the data."""
    paths = [p for d in ("t1", "contrast", "orient") for p in sorted((data / d).glob("*.nii*"))]
    paths += [p for s in ("FLAIR", "T1") for p in sorted((data / "lesion_ms").glob(f"*/{s}.nii.gz"))]
    paths += [p for s in ("Flair", "T1c") for p in sorted((data / "tumour").glob(f"*/{s}_*.nii.gz"))]
    verdicts = {}
    for path in paths:
        quality = segmenter.segment(read_scan(path)).quality
        verdicts[f"{path.parent.name}/{path.name}"] = (quality.verdict, quality.score, " ".join(quality.reasons))
    pair = read_pair(data)
    if pair is not None:
        quality = segmenter.segment(Volume(pair[0][None], pair[2])).quality
        verdicts["pair_fs"] = (quality.verdict, quality.score, " ".join(quality.reasons))
    return verdicts


def not_brains(data: Path, segmenter: Segmenter) -> dict[str, tuple[str, float, str]]:
    """The same for what is no brain: made phantoms, the ramp, a real head with CT-like numbers."""
    verdicts = {}

    def look(name: str, volume: Volume) -> None:
        quality = segmenter.segment(volume).quality
        verdicts[name] = (quality.verdict, quality.score, " ".join(quality.reasons))

    for name, made in phantoms():
        look(name, Volume(made[None], affine_of()))
    ramp, head = data / "odd" / "minimal_64x64x10.nii.gz", data / "t1" / "chris_t1_wholehead.nii.gz"
    if ramp.exists():
        look("the ramp", read_scan(ramp))
    if head.exists():
        scan = read_scan(head)
        look("a head with CT-like intensities", Volume(as_ct(scan.data[0])[None], scan.affine))
    return verdicts


def inference_alone(segmenter: Segmenter, weights: Path, size: tuple[int, int, int] = (160, 192, 160)) -> tuple[float, float]:
    """Seconds of one pass as shipped, and in plain torch (float32, unfolded logits); medians of five, warm, in
    turns: what else the machine does is to meet both."""
    import torch

    from serving.segmentation.weights_file import load_network

    image = np.random.default_rng(0).uniform(0, 1, size=size).astype(np.float32)
    network = load_network(weights)

    def plain() -> None:
        with torch.no_grad():
            network(torch.from_numpy(image)[None, None])

    calls = (lambda: segmenter.backend.infer(image), plain)
    seconds: list[list[float]] = [[], []]
    for _ in range(6):
        for call, taken in zip(calls, seconds, strict=True):
            begun = time.perf_counter()
            call()
            taken.append(time.perf_counter() - begun)
    ours, theirs = (float(np.median(taken[1:])) for taken in seconds)
    return ours, theirs
