"""A network gives its memory back when no scan comes."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from serving.backends.backend import Place
from serving.roles.segmentation import Volume
from serving.segmentation import backend as module
from serving.segmentation.backend import OpenVinoSegmentation
from serving.segmentation.backends import OpenVinoBackend
from serving.segmentation.inference import Segmenter


class Watched(OpenVinoBackend):
    """Tells when it was sent to rest."""

    rested = threading.Event()

    def rest(self) -> None:
        super().rest()
        self.rested.set()


def test_memory_goes_back_some_time_after_the_last_scan(small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REST_AFTER_SECONDS", 0.2)
    version = SimpleNamespace(ref=None, source="")
    backend = OpenVinoSegmentation(version, Place("cpu", 1, tmp_path))  # type: ignore[arg-type]
    network = Watched(small_weights, threads=1)
    backend._segmenter = Segmenter(network)
    scan = Volume(np.random.default_rng(0).random((1, 48, 48, 48)).astype(np.float32), np.eye(4))
    backend.segment(scan)
    assert Watched.rested.wait(20)
    assert network._compiled == {}
    Watched.rested.clear()
    backend.segment(scan)
    backend.close()
    assert not Watched.rested.wait(0.5)  # who is closed needs no rest
