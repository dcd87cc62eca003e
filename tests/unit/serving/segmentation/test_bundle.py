"""MONAI bundles made here: read without running a line of theirs, refused where they would, served where they fit."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.networks.nets import UNet

from infra.errors import InvalidInput, NotFound, WorkbenchError
from infra.settings import Settings, load_settings
from serving.backends.table import make_backend
from serving.registry.registration import register
from serving.registry.versions import ModelVersion
from serving.roles.segmentation import Volume
from serving.segmentation.bundle import Bundle, read_metadata
from serving.segmentation.bundle_inference import scale, windows
from serving.segmentation.label_names import ids_of

NETWORK = {"spatial_dims": 3, "in_channels": 1, "out_channels": 4, "channels": [4, 8], "strides": [2], "num_res_units": 0}
LABELS = {"0": "background", "1": "Left-Hippocampus", "2": "Right-Hippocampus", "3": "White matter"}


class ByBrightness(torch.nn.Module):
    """Dark is background, middle is hippocampus (left of the middle of the window or right of it), bright is white matter."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        across = torch.linspace(-1.0, 1.0, x.shape[2]).reshape(1, 1, -1, 1, 1)
        middle = 4.0 - 40.0 * (x - 0.5).abs()
        return torch.cat([2.0 - 20.0 * x, middle - 3.0 * across, middle + 3.0 * across, 20.0 * (x - 0.8)], dim=1)


def write_bundle(folder: Path, *, labels: dict[str, str] | None = None, pixdim: object = (2.0, 2.0, 2.0), **image: object) -> Path:
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    given = {"num_channels": 1, "spatial_shape": [32, 48, 32], "channel_def": {"0": "T1"}, **image}
    meta = {
        "version": "0.2.0",
        "name": "Tiny",
        "network_data_format": {"inputs": {"image": given}, "outputs": {"pred": {"channel_def": labels or LABELS}}},
    }
    (folder / "configs" / "metadata.json").write_text(json.dumps(meta))
    transforms = [
        {"_target_": "Spacingd", "keys": "image", "pixdim": pixdim},
        {"_target_": "ScaleIntensityRanged", "a_min": 0, "a_max": 1000, "b_min": 0.0, "b_max": 1.0, "clip": True},
        {"_target_": "Lambda", "func": "$__import__('os').system('touch /tmp/never')"},
    ]
    config = {"network_def": {"_target_": "UNet", **NETWORK}, "preprocessing": {"_target_": "Compose", "transforms": transforms}}
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    return folder


def script(folder: Path) -> Path:
    torch.jit.script(ByBrightness()).save(folder / "models" / "model.ts")
    return folder


def a_head() -> Volume:
    """Two tissues in a 60 x 70 x 60 mm head, stored left-handed, 1.5 mm."""
    x, y, z = np.indices((60, 64, 56), dtype=np.float32)
    radius = np.sqrt(((x - 30) / 22) ** 2 + ((y - 32) / 25) ** 2 + ((z - 28) / 22) ** 2)
    noise = np.random.default_rng(5).uniform(0, 20, x.shape)
    data = ((490 + noise) * (radius < 1) + 480 * (radius < 0.5)).astype(np.float32)
    affine = np.diag([-1.5, 1.5, 1.5, 1.0])
    affine[:3, 3] = [45, -48, -42]
    return Volume(data[None], affine)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "home")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings whose MLflow is made once: versions of several tests stand side by side."""
    return load_settings(home=tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="module")
def tiny(shared: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ModelVersion]:
    """A bundle's folder, and the version that it was registered as."""
    folder = script(write_bundle(tmp_path_factory.mktemp("bundles") / "b"))
    return folder, register(shared, folder, "segmentation")


def test_metadata_tell_channels_spacing_labels_and_intensity(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b")
    bundle = read_metadata(folder / "configs" / "metadata.json", folder / "configs" / "inference.json")
    assert bundle.channels == ("T1",) and bundle.spacing_mm == (2.0, 2.0, 2.0) and bundle.window == (32, 48, 32)
    assert bundle.labels == {0: (0, 0), 1: (17, 17), 2: (53, 53), 3: (2, 41)} and not bundle.overlapping
    assert bundle.intensity == {"kind": "range", "a_min": 0, "a_max": 1000, "b_min": 0.0, "b_max": 1.0, "clip": True}
    assert bundle.network["class"] == "UNet" and not Path("/tmp/never").exists()
    assert Bundle.from_dict(json.loads(json.dumps(bundle.as_dict()))) == bundle


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("Left-Thalamus-Proper", (10, 10)), ("right hippocampus", (53, 53)), ("Hippocampus", (17, 53)), ("3rd-Ventricle", (14, 14)),
        ("Brain-Stem", (16, 16)), ("whole tumor", (77, 77)), ("background", (0, 0)), ("spleen", None), ("rh Amygdala", (54, 54)),
    ],
)  # fmt: skip
def test_names_become_freesurfers_ids(name: str, ids: tuple[int, int] | None) -> None:
    assert ids_of(name) == ids


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": {"0": "background", "1": "spleen"}}, "known here"),
        ({"labels": {"1": "Left-Hippocampus", "2": "Right-Hippocampus"}}, "every channel from 0"),
        ({"spatial_shape": [32, 32]}, "three sizes"),
        ({"pixdim": [50, 1, 1]}, "spacing"),
    ],
)
def test_metadata_that_cannot_be_served_are_refused(tmp_path: Path, change: dict, words: str) -> None:
    folder = write_bundle(tmp_path / "b", **change)
    with pytest.raises(InvalidInput, match=words):
        read_metadata(folder / "configs" / "metadata.json", folder / "configs" / "inference.json")


def test_an_expression_is_never_run_and_a_guess_is_told(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b", pixdim="$[1, 1, __import__('os').system('touch /tmp/never')]")
    bundle = read_metadata(folder / "configs" / "metadata.json", folder / "configs" / "inference.json")
    assert bundle.spacing_mm == (1.0, 1.0, 1.0) and "1 mm is taken" in bundle.notes[0] and not Path("/tmp/never").exists()


@pytest.mark.parametrize("backend", ["bundle-openvino", "bundle-torch"])
def test_a_registered_bundle_serves(shared: Settings, tiny: tuple[Path, ModelVersion], backend: str) -> None:
    _, model = tiny
    assert model.ref.backend == "bundle-openvino" and model.facts["title"] == "Tiny 0.2.0"
    served = make_backend(shared, replace(model, ref=replace(model.ref, backend=backend)))
    served.load()
    served.smoke_test()
    volume = a_head()
    found = served.segment(volume)
    assert found.labels.shape == volume.shape and np.array_equal(found.affine, volume.affine)
    assert set(np.unique(found.labels)) <= {0, 2, 41, 17, 53} and {2, 41} <= set(np.unique(found.labels))
    inner = volume.data[0] > 900
    assert np.isin(found.labels[inner], (2, 41)).mean() > 0.9 and not found.labels[volume.data[0] == 0].mean() > 0.05
    # The first axis leads to the left: the right half of the head has the small indices.
    assert np.argwhere(found.labels == 41)[:, 0].mean() < np.argwhere(found.labels == 2)[:, 0].mean()
    assert found.quality.verdict == "limited" and "no estimate" in found.quality.reasons[0]
    assert found.structures[2].volume_ml == pytest.approx((found.labels == 2).sum() * 1.5**3 / 1000)
    flat = served.segment(Volume(np.ones((1, 40, 40, 40), np.float32), np.eye(4)))
    assert flat.quality.verdict == "refused" and not flat.labels.any()
    served.close()


@pytest.mark.parametrize("kind", ["model.pt2", "model.safetensors", "model.pt"])
def test_programs_and_plain_weights_are_taken(tmp_path: Path, shared: Settings, kind: str) -> None:
    folder = write_bundle(tmp_path / "b")
    network = UNet(**NETWORK).eval()
    if kind == "model.pt2":
        torch.export.save(torch.export.export(network, (torch.zeros(1, 1, 32, 48, 32),)), folder / "models" / kind)
    elif kind == "model.pt":
        torch.save({"state_dict": network.state_dict()}, folder / "models" / kind)
    else:
        from safetensors.torch import save_file

        save_file(network.state_dict(), folder / "models" / kind)
    served = make_backend(shared, register(shared, folder, "segmentation"))
    served.load()
    noise = np.random.default_rng(1).random((1, 1, 32, 48, 32), np.float32)
    with torch.no_grad():
        np.testing.assert_allclose(served.segmenter.network(noise), network(torch.from_numpy(noise)).numpy(), atol=2e-2)  # type: ignore[attr-defined]
    served.close()


def test_a_pickle_with_code_in_it_is_not_opened(tmp_path: Path, settings: Settings) -> None:
    folder, mark = write_bundle(tmp_path / "b"), tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return Path.touch, (mark,)

    torch.save({"state_dict": Evil()}, folder / "models" / "model.pt")
    with pytest.raises(InvalidInput, match="run its author's code"):
        register(settings, folder, "segmentation")
    (folder / "models" / "model.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(InvalidInput):
        register(settings, folder, "segmentation")
    assert not mark.exists() and not list((settings.home / "models" / "segmentation").iterdir())


def test_what_does_not_fit_its_metadata_fails_before_it_is_a_version(tmp_path: Path, settings: Settings) -> None:
    labels = {**LABELS, "4": "Brain-Stem"}
    with pytest.raises(WorkbenchError, match="smoke test"):
        register(settings, script(write_bundle(tmp_path / "b", labels=labels)), "segmentation")
    with pytest.raises(NotFound, match="no model"):
        register(settings, write_bundle(tmp_path / "c"), "segmentation")
    assert not list((settings.home / "models" / "segmentation").iterdir())
    bad = write_bundle(tmp_path / "d")
    torch.save(UNet(**{**NETWORK, "out_channels": 7}).state_dict(), bad / "models" / "model.pt")
    with pytest.raises(InvalidInput, match="do not fit"):
        register(settings, bad, "segmentation")


def test_registered_again_it_is_the_same_version_and_a_changed_file_is_noticed(shared: Settings, tiny: tuple[Path, ModelVersion]) -> None:
    folder, model = tiny
    assert register(shared, folder, "segmentation").ref == model.ref
    program = Path(model.source).parent / "openvino" / "model.bin"
    whole = program.read_bytes()
    program.write_bytes(whole + b"x")
    try:
        with pytest.raises(WorkbenchError, match="not those"):
            make_backend(shared, model).load()
    finally:
        program.write_bytes(whole)


def test_windows_agree_with_one_pass() -> None:
    image = np.random.default_rng(3).random((1, 40, 50, 44), np.float32)
    one = windows(image, lambda x: np.concatenate([x, 2 * x], 1), (40, 50, 44), 2)
    many = windows(image, lambda x: np.concatenate([x, 2 * x], 1), (16, 24, 32), 2)
    np.testing.assert_allclose(one, many, atol=1e-5)
    small = windows(image, lambda x: np.concatenate([x, 2 * x], 1), (64, 64, 64), 2)
    assert small.shape == (2, 40, 50, 44)


def test_intensities_are_scaled_as_asked() -> None:
    image = np.array([0.0, 10.0, 20.0, 30.0], np.float32)
    assert scale(image, {"kind": "zscore", "nonzero": True})[1:].mean() == pytest.approx(0, abs=1e-6)
    assert scale(image, {"kind": "zscore", "subtrahend": 10, "divisor": 5}).tolist() == [-2, 0, 2, 4]
    assert scale(image, {"kind": "minmax"}).max() == 1
    assert scale(image, {"kind": "range", "a_min": 0, "a_max": 10, "b_min": 0, "b_max": 1, "clip": True}).tolist() == [0, 1, 1, 1]
    assert scale(image, {"kind": "none"}).tolist() == image.tolist()
