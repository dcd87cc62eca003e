"""What runs the network: OpenVINO on a CPU, torch on CUDA (or where OpenVINO is missing).

Both take a normalised image on the network's grid and give the same folded answer. Torch is imported only by the
backend that needs it.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from serving.segmentation.weights_file import DEFAULT_WEIGHTS, WeightsInfo, read_info


@dataclass(frozen=True)
class Answer:
    """The network's answer, folded: [i, j, k, s] is voxel (2i + s//4, 2j + s//2%2, 2k + s%2).

    logits float16 (d, h, w, 8, classes); side float16 (d, h, w, 8), positive = right;
    classes uint8 (d, h, w, 8). The arrays may be written to.
    """

    logits: np.ndarray
    side: np.ndarray
    classes: np.ndarray


class Backend(Protocol):
    """Runs the network. name and device go into every result's `ModelRef`."""

    name: str
    device: str
    info: WeightsInfo

    def infer(self, image: np.ndarray, mirrored: bool = False) -> Answer:
        """The answer for a float32 image (D, H, W), sides multiples of `info.multiple`; with `mirrored` the mean of
        the image's and of the mirrored image's, in which left and right change places."""
        ...

    def find(self, image: np.ndarray) -> np.ndarray:
        """Only the classes, uint8 (D/2, H/2, W/2), of every block's first sub-voxel: enough to find the brain."""
        ...

    def rest(self) -> None:
        """No scan has come for a while: give back what only the next one needs."""
        ...


class OpenVinoBackend:
    """The compiled network on a CPU. precision: "bf16" (only where the CPU computes it) or "f32"."""

    name = "openvino"
    device = "cpu"

    def __init__(self, weights: Path = DEFAULT_WEIGHTS, threads: int = 0, precision: str = "bf16") -> None:
        import openvino as ov

        self.info = read_info(weights)
        self._weights = weights
        self._core = ov.Core()
        can = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.precision = precision if precision != "bf16" or "BF16" in can else "f32"
        self.threads = threads or len(os.sched_getaffinity(0))
        self._lock = threading.Lock()
        self._graphs: dict[str, Any] = {}
        self._compiled: dict[str, Any] = {}

    def _network(self, kind: str, size: tuple[int, ...]) -> Any:
        """The "plain" or "mirrored" network or the "finder", compiled for images of this size.

        Of each kind the size last asked for is kept. A network compiled for any size takes twice as long a pass (OpenVINO
        then copies features and logits between layouts that a known size lets it share), which is more than compiling
        anew for a size, a sixth of a second, and its slower first pass (measured).
        """
        with self._lock:
            if kind not in self._compiled or tuple(self._compiled[kind].inputs[0].shape)[2:] != size:
                self._compiled.pop(kind, None)  # first: its memory is wanted
                self._compiled[kind] = self._compile(kind, size)
            return self._compiled[kind]

    def _compile(self, kind: str, size: tuple[int, ...]) -> Any:
        from serving.segmentation.graph import build_finder, build_model

        if kind not in self._graphs:
            if kind == "finder":
                self._graphs[kind] = build_finder(self._weights, self.info)
            else:
                self._graphs[kind] = build_model(self._weights, self.info, mirrored=kind == "mirrored")
        self._graphs[kind].reshape([1, 1, *size])
        config = {
            "INFERENCE_NUM_THREADS": self.threads,
            "INFERENCE_PRECISION_HINT": self.precision,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        return self._core.compile_model(self._graphs[kind], "CPU", config)

    def rest(self) -> None:
        """Give the memory back that the networks keep from their last scan (1.0 GB for a head at 1 mm).

        The next call compiles them again. OpenVINO's own `release_memory` keeps 0.3 GB, and costs as much
        afterwards (measured). Safe while a call runs: it holds what it uses.
        """
        with self._lock:
            self._compiled.clear()
            self._graphs.clear()

    def find(self, image: np.ndarray) -> np.ndarray:
        """See `Backend.find`."""
        return self._pass("finder", image)["classes"]

    def infer(self, image: np.ndarray, mirrored: bool = False) -> Answer:
        """See `Backend.infer`. Each call has its own request: calls from several threads are safe."""
        found = self._pass("mirrored" if mirrored else "plain", image)
        return Answer(found["logits"].swapaxes(-1, -2), found["side"], found["classes"])

    def _pass(self, kind: str, image: np.ndarray) -> dict[str, np.ndarray]:
        """The network's outputs by name.

        They are written into numpy's memory, not OpenVINO's: numpy asks the system for huge pages, and writing 240 MB to
        new memory takes a fifth of the time that it does page by page (measured).
        """
        import openvino as ov

        network = self._network(kind, image.shape)
        request = network.create_infer_request()
        outputs = {}
        for port in network.outputs:
            array = np.empty(tuple(port.shape), port.element_type.to_dtype())
            request.set_tensor(port, ov.Tensor(array, shared_memory=True))
            outputs[port.any_name] = array
        request.infer({"image": np.ascontiguousarray(image, dtype=np.float32)[None, None]}, share_inputs=True)
        return outputs


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

    def infer(self, image: np.ndarray, mirrored: bool = False) -> Answer:
        """See `Backend.infer`."""
        if mirrored:
            return _average_with_mirror(self.infer(image), self.infer(np.ascontiguousarray(image[::-1])))
        torch, on_gpu = self._torch, self.device.startswith("cuda")
        with torch.inference_mode(), torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=on_gpu):
            folded = self._network.folded(torch.from_numpy(np.ascontiguousarray(image))[None, None].to(self.device))[0]
            eight = folded.float().reshape(8, -1, *folded.shape[1:]).permute(2, 3, 4, 0, 1)
            logits, side = eight[..., :-1], eight[..., -1]
            classes = logits.argmax(-1).to(torch.uint8)
            return Answer(logits.half().cpu().numpy(), side.half().cpu().numpy(), classes.cpu().numpy())

    def find(self, image: np.ndarray) -> np.ndarray:
        """See `Backend.find`."""
        torch, on_gpu = self._torch, self.device.startswith("cuda")
        with torch.inference_mode(), torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=on_gpu):
            logits = self._network.at_subvoxels(torch.from_numpy(np.ascontiguousarray(image))[None, None].to(self.device), [0])
            return logits[0, :-1].argmax(0).to(torch.uint8).cpu().numpy()

    def rest(self) -> None:
        """See `Backend.rest`: what torch keeps of a GPU's memory for the next scan."""
        if self.device.startswith("cuda"):
            self._torch.cuda.empty_cache()


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


def _average_with_mirror(answer: Answer, mirrored: Answer) -> Answer:
    """Mean of an answer and the mirrored image's; left and right change places in the latter."""
    eight = [4, 5, 6, 7, 0, 1, 2, 3]  # sub-voxels with the i bit turned over
    logits = (answer.logits + mirrored.logits[::-1][:, :, :, eight]) * np.float16(0.5)
    side = (answer.side - mirrored.side[::-1][:, :, :, eight]) * np.float16(0.5)
    return Answer(logits, side, logits.argmax(-1).astype(np.uint8))
