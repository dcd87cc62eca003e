"""The segmentation network as a backend of the role: OpenVINO on a CPU, torch on CUDA."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from infra.errors import ConfigurationError, IntegrityError, InvalidInput, Unavailable
from serving.backends.backend import give_back_memory
from serving.registry.sources import main_file
from serving.roles.segmentation import Segmentation, SegmentationBackend, Volume

REST_AFTER_SECONDS = 10.0
"""How long after a scan a network still keeps its memory for the next one."""


class _NetworkBackend(SegmentationBackend):
    """Opens its network when loaded; the rest is :class:`serving.segmentation.inference.Segmenter`."""

    _segmenter: Any = None
    _rest: threading.Timer | None = None

    def open(self, weights: Path) -> Any:
        """The network, compiled or on its device."""
        raise NotImplementedError

    def load(self) -> None:
        from serving.segmentation.inference import Segmenter

        weights = main_file(self.weights())
        self._segmenter = Segmenter(self.open(weights), self.ref)

    def segment(self, volume: Volume) -> Segmentation:
        if self._segmenter is None:
            raise Unavailable("The segmentation model is not loaded. Try again in a moment.")
        self._stay_awake()
        try:
            return self._segmenter.segment(volume)
        except ValueError as error:  # an affine that cannot be used
            raise InvalidInput(f"This scan cannot be segmented: {error}.") from error
        finally:
            give_back_memory()  # a scan's arrays are hundreds of MB; the next scan may be hours away
            self._rest_later()

    def _stay_awake(self) -> None:
        if self._rest is not None:
            self._rest.cancel()

    def _rest_later(self) -> None:
        # One that another thread's scan sets off in the middle of this one's costs this one a second, no more.
        self._stay_awake()
        self._rest = threading.Timer(REST_AFTER_SECONDS, self._go_to_rest)
        self._rest.daemon = True
        self._rest.start()

    def _go_to_rest(self) -> None:
        if self._segmenter is not None:
            self._segmenter.backend.rest()
            give_back_memory()

    def smoke_test(self) -> None:
        image = np.zeros((64, 64, 64), np.float32)
        image[16:48, 16:48, 16:48] = 0.5
        answer = self._segmenter.backend.infer(image)
        if answer.classes.shape != (32, 32, 32, 8) or not np.isfinite(answer.side).all():
            raise IntegrityError(f"The segmentation model {self.ref.version} fails its smoke test: its answer is no label map.")
        self._rest_later()

    def close(self) -> None:
        self._stay_awake()
        self._segmenter = None
        give_back_memory()


class OpenVinoSegmentation(_NetworkBackend):
    """bfloat16 where the processor computes it, else float32."""

    name = "openvino"

    def open(self, weights: Path) -> Any:
        from serving.segmentation.backends import OpenVinoBackend

        return OpenVinoBackend(weights, self.place.thread_count)


class TorchSegmentation(_NetworkBackend):
    """CUDA in bfloat16; on a CPU in float32, where OpenVINO is missing."""

    name = "torch"
    devices = ("cpu", "cuda")

    def open(self, weights: Path) -> Any:
        from serving.segmentation.backends import TorchBackend

        try:
            return TorchBackend(weights, self.place.device, self.place.thread_count)
        except RuntimeError as error:
            raise ConfigurationError(f"models.segmentation: {error}. Set its device to cpu, or see `workbench doctor`.") from error

    def close(self) -> None:
        super().close()
        if self.place.device == "cuda":
            import torch

            torch.cuda.empty_cache()
