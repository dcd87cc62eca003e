"""MONAI bundles as backends of the role: converted to OpenVINO when they were registered, or in torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from infra.errors import ConfigurationError, IntegrityError, InvalidInput, Unavailable
from serving.backends.backend import give_back_memory
from serving.registry.embedded import check_digest
from serving.roles.segmentation import Segmentation, SegmentationBackend, Volume
from serving.segmentation.bundle import Bundle

if TYPE_CHECKING:
    from serving.segmentation.bundle_inference import BundleSegmenter, Network


class _BundleBackend(SegmentationBackend):
    """``source`` is the ``bundle.json`` that registration wrote; its digest covers those of all its files."""

    _segmenter: BundleSegmenter | None = None

    def open(self, folder: Path, bundle: Bundle) -> Network:
        """The network as a function of arrays."""
        raise NotImplementedError

    def load(self) -> None:
        from serving.segmentation.bundle_inference import BundleSegmenter

        path = self.weights()
        bundle = Bundle.from_dict(json.loads(path.read_text()))
        for name, digest in bundle.files.items():
            check_digest(path.parent / name, digest)
        self._segmenter = BundleSegmenter(self.open(path.parent, bundle), bundle, self.ref)
        give_back_memory()

    @property
    def segmenter(self) -> BundleSegmenter:
        """The loaded network. Raises Unavailable where it is not loaded."""
        if self._segmenter is None:
            raise Unavailable("The segmentation model is not loaded. Try again in a moment.")
        return self._segmenter

    def segment(self, volume: Volume) -> Segmentation:
        segmenter = self.segmenter
        try:
            return segmenter.segment(volume)
        except ValueError as error:  # an affine that cannot be used
            raise InvalidInput(f"This scan cannot be segmented: {error}.") from error
        finally:
            give_back_memory()

    def smoke_test(self) -> None:
        """One window of noise: as many labels as it says, and all of them numbers."""
        bundle = self.segmenter.bundle
        noise = np.random.default_rng(0).random((1, len(bundle.channels), *bundle.window), np.float32)
        answer = self.segmenter.network(noise)
        if answer.shape != (1, len(bundle.labels), *bundle.window) or not np.isfinite(answer).all():
            raise IntegrityError(
                f"The bundle {bundle.name} fails its smoke test: for a window of {bundle.window} it answers {tuple(answer.shape)}, "
                f"and its metadata name {len(bundle.labels)} labels."
            )

    def close(self) -> None:
        self._segmenter = None
        give_back_memory()


class OpenVinoBundle(_BundleBackend):
    """On a CPU, without torch."""

    name = "bundle-openvino"

    def open(self, folder: Path, bundle: Bundle) -> Network:
        import openvino as ov

        options = {"INFERENCE_NUM_THREADS": self.place.thread_count, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
        compiled = ov.Core().compile_model(folder / "openvino" / "model.xml", "CPU", options)

        def network(window: np.ndarray) -> np.ndarray:
            return np.array(compiled.create_infer_request().infer([window])[0])

        return network


class TorchBundle(_BundleBackend):
    """On CUDA in bfloat16, or on a CPU where the network could not be converted."""

    name = "bundle-torch"
    devices = ("cpu", "cuda")

    def open(self, folder: Path, bundle: Bundle) -> Network:
        import torch

        from serving.segmentation.bundle_program import load_program

        device = self.place.device
        if device == "cuda" and not torch.cuda.is_available():
            raise ConfigurationError("models.segmentation.device is cuda, and torch finds no CUDA device. Set it to cpu.")
        if device == "cpu":
            torch.set_num_threads(self.place.thread_count)
        program = load_program(folder / bundle.program, bundle, device)

        def network(window: np.ndarray) -> np.ndarray:
            with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                answer = program(torch.from_numpy(window).to(device))
            return (answer[0] if isinstance(answer, list | tuple) else answer).float().cpu().numpy()

        return network
