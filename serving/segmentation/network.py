"""The segmentation network: a MONAI DynUNet that thinks at half the resolution it sees and answers in.

The image is folded so that each 2x2x2 block becomes eight channels of one voxel twice as large
(pixel unshuffle; Shi et al., CVPR 2016, reversed), the U-Net (Ronneberger et al. 2015, as nnU-Net
builds it: Isensee et al., Nature Methods 2021; MONAI's `DynUNet`) runs there, and a head of two 1x1x1
convolutions, which sees the eight grey values beside the U-Net's features, answers for all eight
sub-voxels. That costs an eighth and loses no input detail. While training,
the loss looks at a few sub-voxel positions per step, so the head's cost stays small. The size of
a voxel is the training's choice and stands in the weights' sidecar.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from monai.networks.nets import DynUNet
from torch import Tensor, nn
from torch.nn import functional as F

from serving.segmentation.labels import CLASS_COUNT

SUBVOXELS = 8
SLOPE = 0.01
"""Of the leaky rectifiers, below zero."""


@dataclass(frozen=True)
class NetworkShape:
    """What is needed to build the network again; stored in the weights' sidecar."""

    filters: tuple[int, ...] = (16, 32, 64, 128, 160)
    hidden: int = 32
    classes: int = CLASS_COUNT

    @property
    def multiple(self) -> int:
        """Every side of the input must be a multiple of this many voxels: 2 for the fold, 2 for each level."""
        return 2 ** len(self.filters)

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return asdict(self)


def fold(image: Tensor) -> Tensor:
    """(n, 1, 2d, 2h, 2w) -> (n, 8, d, h, w); channel = 4*odd_i + 2*odd_j + odd_k."""
    n, c, d, h, w = image.shape
    blocks = image.reshape(n, c, d // 2, 2, h // 2, 2, w // 2, 2)
    return blocks.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(n, c * SUBVOXELS, d // 2, h // 2, w // 2)


def unfold(logits: Tensor) -> Tensor:
    """(n, 8*c, d, h, w) -> (n, c, 2d, 2h, 2w); the sub-voxel index varies slowest."""
    n, channels, d, h, w = logits.shape
    c = channels // SUBVOXELS
    blocks = logits.reshape(n, 2, 2, 2, c, d, h, w)
    return blocks.permute(0, 4, 5, 1, 6, 2, 7, 3).reshape(n, c, 2 * d, 2 * h, 2 * w)


class BrainNetwork(nn.Module):
    """Image (n, 1, D, H, W), RAS+, normalised -> logits (n, classes + 1, D, H, W).

    The last channel is the side logit: positive means the person's right. D, H and W must be
    multiples of `NetworkShape.multiple`.
    """

    def __init__(self, shape: NetworkShape | None = None) -> None:
        super().__init__()
        self.shape = shape or NetworkShape()
        levels = len(self.shape.filters)
        self.backbone = DynUNet(
            spatial_dims=3,
            in_channels=SUBVOXELS,
            out_channels=1,  # its own head is replaced below
            kernel_size=[3] * levels,
            strides=[1] + [2] * (levels - 1),
            upsample_kernel_size=[2] * (levels - 1),
            filters=list(self.shape.filters),
            norm_name=("instance", {"affine": True}),
            act_name=("leakyrelu", {"inplace": True, "negative_slope": SLOPE}),
        )
        self.backbone.output_block = nn.Identity()
        self.outputs = self.shape.classes + 1
        self.mix = nn.Conv3d(self.shape.filters[0] + SUBVOXELS, self.shape.hidden, 1)
        # The eight sub-voxel answers share a base, and differ by what starts as zero: while training
        # only one of them is asked per step, and the base learns from every step.
        self.base = nn.Conv3d(self.shape.hidden, self.outputs, 1)
        self.head = nn.Conv3d(self.shape.hidden, SUBVOXELS * self.outputs, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def levels(self, image: Tensor) -> list[Tensor]:
        """The decoder's feature maps, coarse to fine; the last is (n, filters[0], D/2, H/2, W/2)."""
        folded = fold(image)
        if folded.device.type != "meta":
            folded = folded.contiguous(memory_format=torch.channels_last_3d)
        return self._decode(folded)

    def _decode(self, folded: Tensor) -> list[Tensor]:
        net = self.backbone
        skips = [net.input_block(folded)]
        for down in net.downsamples:
            skips.append(down(skips[-1]))
        maps = [net.bottleneck(skips[-1])]
        for up, skip in zip(net.upsamples, reversed(skips), strict=True):
            maps.append(up(maps[-1], skip))
        return maps[1:]

    def features(self, image: Tensor) -> Tensor:
        """What the eight answers are read from, (n, hidden, D/2, H/2, W/2)."""
        return self._mixed(self.levels(image)[-1], image)

    def _mixed(self, finest: Tensor, image: Tensor) -> Tensor:
        return F.leaky_relu(self.mix(torch.cat([finest, fold(image)], dim=1)), SLOPE)

    def at_subvoxels(self, image: Tensor, subvoxels: list[int]) -> Tensor:
        """Logits (len * n, classes + 1, D/2, H/2, W/2) of some of the eight sub-voxel positions."""
        return self.answers(image, subvoxels)[0]

    def answers(self, image: Tensor, subvoxels: list[int]) -> tuple[Tensor, list[Tensor]]:
        """`at_subvoxels`, and the decoder's coarser feature maps, fine to coarse, for a loss on them too."""
        weight, bias = self._head()
        maps = self.levels(image)
        features = self._mixed(maps[-1], image)
        # A product of matrices leaves each class's plane in one piece, which the loss reads three times as fast.
        columns = features.flatten(2).contiguous()
        rows = [slice(s * self.outputs, (s + 1) * self.outputs) for s in subvoxels]
        answers = [weight[r].flatten(1) @ columns + bias[r, None] for r in rows]
        return torch.cat(answers).unflatten(2, features.shape[2:]), maps[-2::-1]

    def _head(self) -> tuple[Tensor, Tensor]:
        """Weight (8 * outputs, hidden, 1, 1, 1) and bias (8 * outputs) of the whole head."""
        assert self.base.bias is not None and self.head.bias is not None
        weight = self.base.weight.repeat(SUBVOXELS, 1, 1, 1, 1) + self.head.weight
        return weight, self.base.bias.repeat(SUBVOXELS) + self.head.bias

    def folded(self, image: Tensor) -> Tensor:
        """Logits of all sub-voxels, (n, 8 * (classes + 1), D/2, H/2, W/2), sub-voxel slowest."""
        return F.conv3d(self.features(image), *self._head())

    def forward(self, image: Tensor) -> Tensor:
        return unfold(self.folded(image))


def load_parameters(network: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Copy named parameters into the network, whatever their precision.

    Parameters, not the state dict: DynUNet reaches each of its blocks by two paths, so its state
    dict names (and a file of it would hold) every tensor twice. Raises KeyError when one is missing.
    """
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(values[name])
