"""What training minimises: cross-entropy, soft Dice over the classes present, and the side."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from serving.segmentation.labels import BACKGROUND, LESION, NAMES

LESION_WEIGHT = 1.0
SIDE_WEIGHT = 0.25


FREQUENCY: dict[str, float] = {
    "background": 0.45, "other head tissue": 0.2, "CSF": 0.07, "cerebral white matter": 0.1, "cerebral cortex": 0.12,
    "lateral ventricle": 0.006, "inferior lateral ventricle": 0.0006, "cerebellum white matter": 0.008,
    "cerebellum cortex": 0.03, "thalamus": 0.0035, "caudate": 0.0018, "putamen": 0.0028, "pallidum": 0.0008,
    "third ventricle": 0.0006, "fourth ventricle": 0.0005, "brain stem": 0.006, "hippocampus": 0.002, "amygdala": 0.0009,
    "accumbens": 0.0003, "ventral DC": 0.0025, "choroid plexus": 0.001, "lesion": 0.006,
}  # fmt: skip
"""About how much of a training image each class fills."""


def class_weights(strength: float) -> Tensor:
    """Cross-entropy weights, (classes,): inverse square root of the frequency, to the power `strength`.

    At first (strength 1) they carry the small structures through the time in which Dice gives them no
    gradient; towards the end (strength 0) they would only make small structures too large.
    """
    frequency = torch.tensor([FREQUENCY[name] for name in NAMES])
    return ((0.1 / frequency).sqrt().clamp(max=8)) ** strength


def segmentation_loss(logits: Tensor, classes: Tensor, right: Tensor, weights: Tensor | None = None) -> tuple[Tensor, dict[str, float]]:
    """Loss of one batch, and its parts for the log. weights: for the cross-entropy, by class.

    logits (n, classes + 1, d, h, w), the last channel being the side; classes (n, d, h, w) integer;
    right (n, d, h, w): 1 = right, 0 = left, 2 = no side. Dice is Milletari et al.'s (V-Net, 2016)
    per sample and class, averaged over the classes that are present.
    """
    logits = logits.float()
    count = logits.shape[1] - 1
    log_probability = F.log_softmax(logits[:, :count], dim=1)
    target = classes.long()
    entropy = F.nll_loss(log_probability, target, None if weights is None else weights.to(logits.device))

    probability = log_probability.exp().flatten(2)
    flat = target.flatten(1)
    truth_size = torch.zeros(probability.shape[:2], device=logits.device)
    truth_size.scatter_add_(1, flat, torch.ones_like(flat, dtype=truth_size.dtype))
    hit = probability.gather(1, flat[:, None])[:, 0]
    overlap = torch.zeros_like(truth_size).scatter_add(1, flat, hit)
    dice = (2 * overlap + 1) / (probability.sum(2) + truth_size + 1)
    present = truth_size > 0
    present[:, BACKGROUND] = False
    weight = present.float()
    weight[:, LESION] *= LESION_WEIGHT
    dice_loss = 1 - (dice * weight).sum() / weight.sum().clamp(min=1)

    sided = right < 2
    side = logits[:, count]
    # An image without a sided structure must still touch every parameter, hence the zero.
    side_loss = F.binary_cross_entropy_with_logits(side[sided], right[sided].float()) if bool(sided.any()) else side.sum() * 0
    total = entropy + dice_loss + SIDE_WEIGHT * side_loss
    parts = {"cross_entropy": float(entropy.detach()), "dice_loss": float(dice_loss.detach()), "side": float(side_loss.detach())}
    return total, parts


def dice_by_class(prediction: Tensor, truth: Tensor, count: int) -> Tensor:
    """Hard Dice per class (float32, `count`), NaN where a class is in neither. Same shapes, integers."""
    joint = torch.bincount((truth.long() * count + prediction.long()).flatten(), minlength=count * count)
    joint = joint.view(count, count).float()
    size = joint.sum(0) + joint.sum(1)
    return torch.where(size > 0, 2 * joint.diagonal() / size, torch.full_like(size, float("nan")))
