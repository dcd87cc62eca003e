"""The network as an OpenVINO model, built straight from the safetensors file; no torch, no monai.

A serving process may not import torch (DESIGN.md: it costs 0.5 GB and seconds a replica), and a
converted file beside the weights would be a second thing to keep in step. The network is a plain
U-Net, so its graph is written out here; a test holds that both give the same logits.

The argmax is part of the graph.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as op

from serving.segmentation.weights_file import WeightsInfo, read_info

NORM_EPS = 1e-5
SLOPE = 0.01


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Tensors of a safetensors file as float32; bf16 is widened by hand, numpy has no such type.

    Raises ValueError for a tensor type other than BF16, F16 and F32.
    """
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        start, stop = (8 + length + n for n in entry["data_offsets"])
        part = raw[start:stop]
        if entry["dtype"] == "BF16":
            values = (np.frombuffer(part, np.uint16).astype(np.uint32) << 16).view(np.float32)
        elif entry["dtype"] in ("F16", "F32"):
            values = np.frombuffer(part, np.float16 if entry["dtype"] == "F16" else np.float32).astype(np.float32)
        else:
            raise ValueError(f"{path.name} holds {name} as {entry['dtype']}; BF16, F16 or F32 is wanted")
        tensors[name] = values.reshape(entry["shape"])
    return tensors


# Space to depth, blocks first, as a convolution that copies: OpenVINO's own operation takes several times as long (measured).
_FOLD = np.eye(8, dtype=np.float32).reshape(8, 1, 2, 2, 2)


class _Builder:
    """Adds the U-Net's blocks to a graph, taking each tensor by its name."""

    def __init__(self, tensors: Mapping[str, np.ndarray]) -> None:
        self.tensors = tensors

    def conv(self, x: ov.Output, name: str, stride: int) -> ov.Output:
        weight = self.tensors[name]
        pad = [weight.shape[2] // 2] * 3
        return op.convolution(x, weight, [stride] * 3, pad, pad, [1] * 3).output(0)

    def normalise(self, x: ov.Output, name: str) -> ov.Output:
        """Instance norm with its affine, then the leaky rectifier."""
        axes = np.array([2, 3, 4], dtype=np.int64)
        x = op.mvn(x, axes, True, NORM_EPS, "inside_sqrt").output(0)
        shape = (1, -1, 1, 1, 1)
        x = op.multiply(x, self.tensors[f"{name}.weight"].reshape(shape)).output(0)
        x = op.add(x, self.tensors[f"{name}.bias"].reshape(shape)).output(0)
        return op.prelu(x, np.array([SLOPE], dtype=np.float32)).output(0)

    def block(self, x: ov.Output, name: str, stride: int = 1) -> ov.Output:
        x = self.normalise(self.conv(x, f"{name}.conv1.conv.weight", stride), f"{name}.norm1")
        return self.normalise(self.conv(x, f"{name}.conv2.conv.weight", 1), f"{name}.norm2")

    def up(self, x: ov.Output, skip: ov.Output, name: str) -> ov.Output:
        weight = self.tensors[f"{name}.transp_conv.conv.weight"]
        x = op.convolution_backprop_data(x, weight, [2] * 3, pads_begin=[0] * 3, pads_end=[0] * 3, dilations=[1] * 3).output(0)
        return self.block(op.concat([x, skip], axis=1).output(0), f"{name}.conv_block")


def build_features(tensors: Mapping[str, np.ndarray], image: ov.Output, levels: int) -> ov.Output:
    """Image (1, 1, D, H, W) -> features (1, hidden, D/2, H/2, W/2)."""
    builder = _Builder(tensors)
    folded = op.convolution(image, _FOLD, [2] * 3, [0] * 3, [0] * 3, [1] * 3).output(0)
    x = builder.block(folded, "backbone.input_block")
    skips = [x]
    for i in range(levels - 2):
        x = builder.block(x, f"backbone.downsamples.{i}", stride=2)
        skips.append(x)
    x = builder.block(x, "backbone.bottleneck", stride=2)
    for i in range(levels - 1):
        x = builder.up(x, skips[-1 - i], f"backbone.upsamples.{i}")
    x = op.convolution(op.concat([x, folded], axis=1).output(0), tensors["mix.weight"], [1] * 3, [0] * 3, [0] * 3, [1] * 3).output(0)
    x = op.add(x, tensors["mix.bias"].reshape(1, -1, 1, 1, 1)).output(0)
    return op.prelu(x, np.array([SLOPE], dtype=np.float32)).output(0)


def _head(tensors: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Weight (8, outputs, hidden) and bias (8, outputs): the shared base plus each sub-voxel's part."""
    outputs, width = tensors["base.weight"].shape[:2]
    weight = tensors["base.weight"].reshape(1, outputs, width) + tensors["head.weight"].reshape(8, outputs, width)
    return weight, tensors["base.bias"][None] + tensors["head.bias"].reshape(8, outputs)


def build_finder(path: Path, info: WeightsInfo | None = None) -> ov.Model:
    """A model that only says where the brain is: for a whole head, at an eighth of the answers' memory.

    Input as `build_model`; output "classes" uint8 (D/2, H/2, W/2): the class at the first sub-voxel of each block.
    """
    info = info or read_info(path)
    tensors = read_safetensors(path)
    image = op.parameter([1, 1, -1, -1, -1], np.float32, name="image")
    image.output(0).set_names({"image"})
    features = build_features(tensors, image.output(0), len(info.filters))
    weight, bias = _head(tensors)
    count = len(info.names)
    logits = op.convolution(features, weight[0, :count, :, None, None, None], [1] * 3, [0] * 3, [0] * 3, [1] * 3).output(0)
    logits = op.add(logits, bias[0, :count].reshape(1, -1, 1, 1, 1)).output(0)
    top = op.topk(logits, np.array(1, dtype=np.int64), 1, "max", "none", "i32")
    classes = op.squeeze(op.convert(top.output(1), np.uint8).output(0), [0, 1]).output(0)
    classes.set_names({"classes"})
    return ov.Model([classes], [image], "finder")  # pyright: ignore[reportGeneralTypeIssues]


MIRRORED_SUBVOXELS = [4, 5, 6, 7, 0, 1, 2, 3]
"""Where each sub-voxel lands when the first axis is turned over."""


def _turned(x: ov.Output) -> ov.Output:
    """(1, c, D, H, W) with its D axis turned over."""
    first, last, step = (np.array(v, dtype=np.int64) for v in ([-1], [-(2**31)], [-1]))
    return op.slice(x, first, last, step, np.array([2], dtype=np.int64)).output(0)


def build_model(path: Path, info: WeightsInfo | None = None, mirrored: bool = False) -> ov.Model:
    """The OpenVINO model of the weights at `path`.

    mirrored: also look at the mirrored image, and average the two answers. Both are linear in the
    features, so that is one product with both features side by side.

    Input "image": float32 (1, 1, D, H, W), RAS+, on the weights' grid, normalised, sides multiples of `WeightsInfo.multiple`.
    Outputs, folded: [i, j, k, s] is the voxel (2i + s//4, 2j + s//2%2, 2k + s%2).
      "logits"  float16 (D/2, H/2, W/2, classes, 8): the sub-voxels last
      "side"    float16 (D/2, H/2, W/2, 8), positive is the person's right
      "classes" uint8 (D/2, H/2, W/2, 8), the most probable softmax class; of equally probable ones (bfloat16 makes a few) any
    Folded and channels last is how the convolutions leave it: unfolding the logits took longer
    than the network (measured), while unfolding the uint8 classes outside costs nothing. The sub-voxels are innermost
    because the largest of neighbouring numbers is found one by one, of numbers eight apart eight at a time: a quarter of the time.
    """
    info = info or read_info(path)
    tensors = read_safetensors(path)
    image = op.parameter([1, 1, -1, -1, -1], np.float32, name="image")
    image.output(0).set_names({"image"})
    features = build_features(tensors, image.output(0), len(info.filters))
    weight, bias = _head(tensors)
    count = len(info.names)
    if mirrored:
        other = _turned(build_features(tensors, _turned(image.output(0)), len(info.filters)))
        features = op.concat([features, other], axis=1).output(0)
        sign = np.where(np.arange(weight.shape[1]) < count, 1.0, -1.0).astype(np.float32)  # the side logit changes places
        back, back_bias = weight[MIRRORED_SUBVOXELS] * sign[:, None], bias[MIRRORED_SUBVOXELS] * sign
        weight, bias = np.concatenate([weight, back], axis=2) / 2, (bias + back_bias) / 2
    moved = op.squeeze(op.transpose(features, [0, 2, 3, 4, 1]), [0]).output(0)  # (d, h, w, hidden)
    width = weight.shape[2]
    grid = op.gather(op.shape_of(moved, "i64"), np.array([0, 1, 2]), np.array(0)).output(0)
    rows = op.reshape(moved, np.array([-1, width], dtype=np.int64), False).output(0)

    def answer(part: slice) -> ov.Output:
        """(rows, outputs of the part times 8)"""
        matrix = np.ascontiguousarray(weight[:, part].transpose(1, 0, 2).reshape(-1, width).T)
        return op.add(op.matmul(rows, matrix, False, False), bias[:, part].T.reshape(1, -1)).output(0)

    def shaped(x: ov.Output, *tail: int) -> ov.Output:
        return op.reshape(x, op.concat([grid, np.array(tail, dtype=np.int64)], 0), False).output(0)

    by_class = op.reshape(answer(slice(0, count)), np.array([-1, count, 8], dtype=np.int64), False).output(0)
    top = op.topk(by_class, np.array(1, dtype=np.int64), 1, "max", "none", "i32")
    outputs = {
        "logits": shaped(op.convert(by_class, np.float16).output(0), count, 8),
        "side": shaped(op.convert(answer(slice(count, count + 1)), np.float16).output(0), 8),
        "classes": shaped(op.convert(top.output(1), np.uint8).output(0), 8),
    }
    for name, output in outputs.items():
        output.set_names({name})
    return ov.Model(list(outputs.values()), [image], "brain")  # pyright: ignore[reportGeneralTypeIssues]
