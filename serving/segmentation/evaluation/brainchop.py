"""The peer: brainchop's MeshNet models (MIT), read from their tfjs files and run in torch.

For evaluation only, beside our own model in the same run. MeshNet is Fedorov et al., "End-to-end
learning of brain tissue segmentation from imperfect labeling" (IJCNN 2017): a chain of dilated
3x3x3 convolutions. As brainchop runs it: 1 mm, 256^3, LIA, intensities scaled min to max.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from serving.segmentation.frame import frame_of, to_network

CLASS_IDS_18 = (0, 2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 26, 28)
"""FreeSurfer ids (left ones stand for both sides) of the 18 classes, in order."""
SIDE_MM = 256


class MeshNet:
    """One tfjs MeshNet, for 18 classes."""

    def __init__(self, folder: Path) -> None:
        """Raises FileNotFoundError when `folder` has no model.json and model.bin."""
        description = json.loads((folder / "model.json").read_text())
        values = np.fromfile(folder / "model.bin", dtype=np.float32)
        shapes: dict[str, np.ndarray] = {}
        place = 0
        for entry in (w for group in description["weightsManifest"] for w in group["weights"]):
            count = int(np.prod(entry["shape"]))
            shapes[entry["name"]] = values[place : place + count].reshape(entry["shape"])
            place += count
        self.steps = _steps(description, shapes)

    def classes(self, image: np.ndarray) -> np.ndarray:
        """Classes (uint8) of a 256^3 LIA image scaled 0..1."""
        import torch
        from torch.nn import functional as F

        x = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None, None]
        with torch.inference_mode():
            for kind, payload in self.steps:
                if kind == "conv":
                    kernel, bias, dilation = payload
                    pad = dilation * (kernel.shape[0] // 2)
                    weight = torch.from_numpy(np.ascontiguousarray(kernel.transpose(4, 3, 0, 1, 2)))
                    x = F.conv3d(x, weight, torch.from_numpy(bias.copy()), padding=pad, dilation=dilation)
                else:
                    x = {"relu": F.relu_, "elu": F.elu_}[payload](x)
            return x[0].argmax(0).to(torch.uint8).numpy()

    def segment(self, data: np.ndarray, affine: np.ndarray) -> np.ndarray:
        """FreeSurfer ids (uint8, left ones for both sides) of a scan (i, j, k), in its own grid."""
        frame = frame_of(data.shape, affine)  # type: ignore[arg-type]
        start = frame.snap(np.full(3, -SIDE_MM / 2.0), 1.0)
        low = float(data.min())
        image = to_network(data - low, frame, start, (SIDE_MM,) * 3, 1.0)  # pyright: ignore[reportArgumentType]
        image = image / max(float(image.max()), 1e-6)
        lia = image[::-1, :, ::-1].transpose(0, 2, 1)
        classes = self.classes(lia).transpose(0, 2, 1)[::-1, :, ::-1]
        labels = np.zeros(data.shape, dtype=np.uint8)
        view = frame.canonical(labels)
        # Nearest neighbour back; the frame is separable for every scan this is used on.
        index = [
            np.clip(np.round(frame.offset[a] + frame.matrix[a, a] * np.arange(frame.shape[a]) - start[a]), 0, SIDE_MM - 1).astype(int)
            for a in range(3)
        ]
        view[...] = np.array(CLASS_IDS_18, dtype=np.uint8)[classes[np.ix_(*index)]]
        return labels


def _steps(description: dict[str, Any], weights: dict[str, np.ndarray]) -> list[tuple[str, Any]]:
    """The layers to run: ("conv", (kernel, bias, dilation)) and ("activation", name)."""
    steps: list[tuple[str, Any]] = []
    for layer in description["modelTopology"]["model_config"]["config"]["layers"]:
        config = layer["config"]
        if layer["class_name"] == "Conv3D":
            name = config["name"]
            steps.append(("conv", (weights[f"{name}/kernel"], weights[f"{name}/bias"], int(config["dilation_rate"][0]))))
            if config.get("activation", "linear") in ("relu", "elu"):
                steps.append(("activation", config["activation"]))
        elif layer["class_name"] == "Activation":
            steps.append(("activation", config["activation"]))
    return steps
