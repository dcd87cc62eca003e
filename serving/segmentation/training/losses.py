"""What training minimises: cross-entropy, soft Dice over the classes present, and the side."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from serving.segmentation.labels import BACKGROUND, LESION, NAMES

LESION_WEIGHT = 2.0
"""How many structures a lesion counts as. At 1 a network of 8,000 steps had not once said "lesion": a lesion is
anywhere and of any grey value, so for long it is the safer guess to say what usually is there (measured). At 4, from
there on, it said it too often."""
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
    gradient; towards the end (strength 0) they would only make small structures too large. Lesions
    keep `LESION_WEIGHT` to the end.
    """
    frequency = torch.tensor([FREQUENCY[name] for name in NAMES])
    weights = ((0.1 / frequency).sqrt().clamp(max=8)) ** strength
    weights[LESION] = weights[LESION].clamp(min=LESION_WEIGHT)
    return weights


def segmentation_loss(logits: Tensor, classes: Tensor, right: Tensor, weights: Tensor | None = None) -> tuple[Tensor, dict[str, float]]:
    """Loss of one batch, and its parts for the log. weights: for the cross-entropy, by class.

    logits (n, classes + 1, d, h, w), the last channel being the side; classes (n, d, h, w) integer;
    right (n, d, h, w): 1 = right, 0 = left, 2 = no side. Dice is Milletari et al.'s (V-Net, 2016)
    per sample and class, averaged over the classes that are present.
    """
    if weights is None:
        weights = torch.ones(logits.shape[1] - 1)
    total, entropy, dice, side = _Loss.apply(logits, classes, right, weights.to(logits.device))  # type: ignore[misc]
    return total, {"cross_entropy": float(entropy.detach()), "dice_loss": float(dice.detach()), "side": float(side.detach())}


class _Loss(torch.autograd.Function):
    """The loss and its gradient in one pass over the voxels.

    Autograd's own chain through log-softmax, gather and scatter took nearly half of a training
    step on a CPU (measured); the gradient in closed form takes a fifth of that.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, classes: Tensor, right: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        n, channels = logits.shape[:2]
        count = channels - 1
        planes = logits.detach().flatten(2).float()
        target, sides = classes.reshape(n, -1).long(), right.reshape(n, -1)
        at = target[:, None]
        probability = planes[:, :count].softmax(1)
        hit = probability.gather(1, at)[:, 0]
        voxel_weight = weights[target] / weights[target].sum()
        entropy = -(hit.clamp(min=1e-12).log() * voxel_weight).sum()

        size = torch.zeros((n, count), device=planes.device)
        truth_size = size.scatter_add(1, target, torch.ones_like(hit))
        overlap = size.scatter_add(1, target, hit)
        denominator = probability.sum(2) + truth_size + 1
        share = (truth_size > 0).float()
        share[:, BACKGROUND] = 0
        share[:, LESION] *= LESION_WEIGHT
        share /= share.sum().clamp(min=1)
        dice_loss = 1 - (share * (2 * overlap + 1) / denominator).sum()
        # d dice_loss / d probability = at_truth (at the true class only) + everywhere
        at_truth = (-2 * share / denominator).gather(1, target)
        everywhere = share * (2 * overlap + 1) / denominator**2
        inner = at_truth * hit + torch.bmm(everywhere[:, None], probability)[:, 0]
        gradient = torch.empty_like(planes)
        torch.mul(probability, everywhere[:, :, None], out=gradient[:, :count])
        gradient[:, :count].addcmul_(probability, (voxel_weight - inner)[:, None])
        gradient[:, :count].scatter_add_(1, at, (at_truth * hit - voxel_weight)[:, None])

        sided = (sides < 2).float()
        side_share = SIDE_WEIGHT * sided / sided.sum().clamp(min=1)
        side, is_right = planes[:, count], sides.float().clamp(max=1)
        side_loss = (side_share * F.binary_cross_entropy_with_logits(side, is_right, reduction="none")).sum()
        gradient[:, count] = side_share * (side.sigmoid() - is_right)
        ctx.save_for_backward(gradient.to(logits.dtype).view(logits.shape))
        return entropy + dice_loss + side_loss, entropy, dice_loss, side_loss / SIDE_WEIGHT

    @staticmethod
    def backward(ctx: Any, total: Tensor, *_: Tensor) -> tuple[Tensor, None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (gradient,) = ctx.saved_tensors
        return gradient * total, None, None, None


def dice_by_class(prediction: Tensor, truth: Tensor, count: int) -> Tensor:
    """Hard Dice per class (float32, `count`), NaN where a class is in neither. Same shapes, integers."""
    joint = torch.bincount((truth.long() * count + prediction.long()).flatten(), minlength=count * count)
    joint = joint.view(count, count).float()
    size = joint.sum(0) + joint.sum(1)
    return torch.where(size > 0, 2 * joint.diagonal() / size, torch.full_like(size, float("nan")))
