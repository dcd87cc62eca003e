"""What runs the network: OpenVINO on a CPU, torch on CUDA (or where OpenVINO is missing).

Both take a normalised image on the network's grid and give the same folded answer. Torch is imported only by the
backend that needs it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from serving.segmentation.weights_file import DEFAULT_WEIGHTS, WeightsInfo, read_info


@dataclass(frozen=True)
class Answer:
    """The network's answer, folded: [i, j, k, s] is voxel (2i + s//4, 2j + s//2%2, 2k + s%2).

    logits float16 (d, h, w, 8, classes); side float16 (d, h, w, 8), positive = right;
    classes uint8 (d, h, w, 8). The arrays may be written to. owner keeps their memory alive.
    """

    logits: np.ndarray
    side: np.ndarray
    classes: np.ndarray
    owner: Any = None


class Backend(Protocol):
    """Runs the network. name and device go into every result's `ModelRef`."""

    name: str
    device: str
    info: WeightsInfo

    def infer(self, image: np.ndarray) -> Answer:
        """The answer for a float32 image (D, H, W), sides multiples of `info.multiple`."""
        ...


class OpenVinoBackend:
    """The compiled network on a CPU. precision: "bf16" (only where the CPU computes it) or "f32"."""

    name = "openvino"
    device = "cpu"

    def __init__(self, weights: Path = DEFAULT_WEIGHTS, threads: int = 0, precision: str = "bf16") -> None:
        import openvino as ov

        from serving.segmentation.graph import build_model

        self.info = read_info(weights)
        core = ov.Core()
        can = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.precision = precision if precision != "bf16" or "BF16" in can else "f32"
        self.threads = threads or len(os.sched_getaffinity(0))
        self._compiled = core.compile_model(
            build_model(weights, self.info),
            "CPU",
            {
                "INFERENCE_NUM_THREADS": self.threads,
                "INFERENCE_PRECISION_HINT": self.precision,
                "PERFORMANCE_HINT": "LATENCY",
                "NUM_STREAMS": 1,
            },
        )

    def infer(self, image: np.ndarray) -> Answer:
        """See `Backend.infer`. Each call has its own request: calls from several threads are safe, and the
        answer lies in the request's memory, not copied."""
        request = self._compiled.create_infer_request()
        request.infer({"image": np.ascontiguousarray(image, dtype=np.float32)[None, None]}, share_inputs=True)
        return Answer(*(request.get_tensor(name).data for name in ("logits", "side", "classes")), owner=request)


class TorchBackend:
    """The network in torch: bf16 and channels-last on CUDA, float32 on a CPU.

    Raises RuntimeError when CUDA was asked for and is not there: never silently on a CPU.
    """

    name = "torch"

    def __init__(self, weights: Path = DEFAULT_WEIGHTS, device: str = "cuda", threads: int = 0) -> None:
        import torch

        from serving.segmentation.weights_file import load_network

        if device.startswith("cuda") and not torch.cuda.is_available():
            raise RuntimeError("CUDA was asked for, and torch finds no CUDA device on this machine")
        if threads and not device.startswith("cuda"):
            torch.set_num_threads(threads)
        self.device = device
        self.info = read_info(weights)
        self._torch = torch
        self._network: Any = load_network(weights).to(device).to(memory_format=torch.channels_last_3d)  # pyright: ignore[reportCallIssue]

    def infer(self, image: np.ndarray) -> Answer:
        """See `Backend.infer`."""
        torch, on_gpu = self._torch, self.device.startswith("cuda")
        with torch.inference_mode(), torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=on_gpu):
            folded = self._network.folded(torch.from_numpy(np.ascontiguousarray(image))[None, None].to(self.device))[0]
            eight = folded.float().reshape(8, -1, *folded.shape[1:]).permute(2, 3, 4, 0, 1)
            logits, side = eight[..., :-1], eight[..., -1]
            classes = logits.argmax(-1).to(torch.uint8)
            return Answer(logits.half().cpu().numpy(), side.half().cpu().numpy(), classes.cpu().numpy())


def open_backend(name: str, device: str = "cpu", weights: Path = DEFAULT_WEIGHTS, threads: int = 0) -> Backend:
    """The backend of this name ("openvino" or "torch") on this device.

    Raises ValueError for a combination that does not exist, RuntimeError when CUDA is missing.
    """
    if name == "openvino":
        if device != "cpu":
            raise ValueError(f"the OpenVINO backend runs on the CPU, and {device} was asked for; choose the torch backend")
        return OpenVinoBackend(weights, threads)
    if name == "torch":
        return TorchBackend(weights, device, threads)
    raise ValueError(f"there is no segmentation backend called {name!r}; there are openvino and torch")
