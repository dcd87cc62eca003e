"""Take back from exported weights how much more often "lesion" was asked for in training than it is met.

    python -m serving.segmentation.training.lesion_prior --data ../shared/data/mri --weights serving/segmentation/weights/brain.safetensors

A class that weighs several times as much in the loss comes out with several times its odds (Menon et al., "Long-tail
learning via logit adjustment", ICLR 2021). The constant that is subtracted from its logit is the one with the best
pooled Dice on synthetic images of the label maps that were never trained on, half of them without a lesion; of equally
good ones the largest, since of the scans that people bring fewer than half have one.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from serving.segmentation.labels import LESION
from serving.segmentation.network import NetworkShape
from serving.segmentation.synthetic.synthesis import Synthesiser
from serving.segmentation.training.loop import VALIDATION_MAPS, VALIDATION_SIZE_MM, Options, load_maps
from serving.segmentation.weights_file import DEFAULT_WEIGHTS, load_network, read_info, write_weights

STEPS = tuple(np.arange(0, 6.5, 0.5).tolist())
AS_GOOD = 0.005


def count_called(logits: torch.Tensor, lesion: torch.Tensor) -> np.ndarray:
    """Voxels (steps, 3): called lesion rightly, called so, and truly so, after each step is subtracted.

    logits (classes, voxels); lesion (voxels,) boolean.
    """
    others = torch.cat([logits[:LESION], logits[LESION + 1 :]]).amax(0)
    lead = logits[LESION] - others
    called = [lead > step for step in STEPS]
    return np.array([[int((one & lesion).sum()), int(one.sum()), int(lesion.sum())] for one in called])


def best_step(network: torch.nn.Module, synthesiser: Synthesiser, count: int) -> tuple[float, list[float]]:
    """The step with the best Dice over all voxels of `count` images, and every step's Dice."""
    total = np.zeros((len(STEPS), 3), dtype=np.int64)
    for _ in range(count):
        sample = synthesiser.sample(VALIDATION_SIZE_MM)
        with torch.inference_mode():
            logits = network(sample.image[None, None])[0, :-1].flatten(1)
        total += count_called(logits, sample.classes.flatten() == LESION)
    dice = 2 * total[:, 0] / np.maximum(total[:, 1] + total[:, 2], 1)
    return STEPS[int(np.flatnonzero(dice > dice.max() - AS_GOOD).max())], dice.tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS)
    parser.add_argument("--folder", type=Path, default=Path(".workbench/training/lesion_prior"), help="prepared label maps")
    parser.add_argument("--images", type=int, default=16)
    args = parser.parse_args()
    info = read_info(args.weights)
    if info.extra.get("lesion_prior"):
        parser.error(f"{args.weights} was adjusted already, by {info.extra['lesion_prior']}")
    maps = load_maps(Options(args.data, args.folder), VALIDATION_MAPS)
    step, dice = best_step(load_network(args.weights), Synthesiser(maps, seed=2468, pathology=0.5, grid_mm=info.spacing_mm), args.images)
    for tried, value in zip(STEPS, dice, strict=True):
        print(f"lesion logit - {tried:.1f}   Dice {value:.3f}{'   <-' if tried == step else ''}")
    tensors = load_file(args.weights)
    tensors["base.bias"][LESION] -= step
    sidecar = json.loads(args.weights.with_suffix(".json").read_text())
    kept = {k: sidecar[k] for k in ("training_hours", "validation_dice_maps_15_16", "trained_on", "limits") if k in sidecar}
    shape = NetworkShape(filters=info.filters, hidden=info.hidden, classes=len(info.names))
    print(write_weights(tensors, shape, info.step, args.weights, info.spacing_mm, lesion_prior=step, **kept))


if __name__ == "__main__":
    main()
