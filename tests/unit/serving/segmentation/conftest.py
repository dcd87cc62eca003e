"""Tiny real objects: a small network with random weights, written as the shipped weights are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

FILTERS = (8, 16, 16)


@pytest.fixture(scope="session")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a three-level network that was never trained."""
    from serving.segmentation.network import BrainNetwork, NetworkShape
    from serving.segmentation.weights_file import write_weights

    torch.manual_seed(3)
    network = BrainNetwork(NetworkShape(filters=FILTERS, hidden=16))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    write_weights(dict(network.named_parameters()), network.shape, 7, path, validation_dice_maps_15_16=0.9)
    return path


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)
