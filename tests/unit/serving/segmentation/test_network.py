"""The network and its OpenVINO twin: one file of weights, the same answer."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from serving.segmentation.backends import OpenVinoBackend, TorchBackend, open_backend
from serving.segmentation.folding import fold_blocks, folded_index, unfold_blocks
from serving.segmentation.labels import CLASS_COUNT
from serving.segmentation.network import fold, unfold
from serving.segmentation.weights_file import load_network, read_info

SIZE = (32, 64, 32)


def test_fold_and_unfold_are_inverse():
    image = torch.randn(2, 1, 8, 4, 6)
    torch.testing.assert_close(unfold(fold(image)), image)


def test_openvino_gives_the_logits_of_torch(small_weights, rng):
    image = rng.uniform(0, 1, size=SIZE).astype(np.float32)
    ours = OpenVinoBackend(small_weights, threads=1, precision="f32").infer(image)
    theirs = TorchBackend(small_weights, device="cpu").infer(image)
    np.testing.assert_allclose(ours.logits.astype(float), theirs.logits.astype(float), atol=5e-3)
    np.testing.assert_allclose(ours.side.astype(float), theirs.side.astype(float), atol=5e-3)
    assert (ours.classes == theirs.classes).mean() > 0.998
    with torch.no_grad():
        whole = load_network(small_weights)(torch.from_numpy(image)[None, None])[0]
    for backend in (OpenVinoBackend(small_weights, threads=1, precision="f32"), TorchBackend(small_weights, device="cpu")):
        assert (backend.find(image) == ours.classes[..., 0]).mean() > 0.998
    assert (unfold_blocks(ours.classes) == whole[:CLASS_COUNT].argmax(0).numpy()).mean() > 0.998


def test_mirrored_is_the_mean_of_both_looks(small_weights, rng):
    image = rng.uniform(0, 1, size=SIZE).astype(np.float32)
    ours = OpenVinoBackend(small_weights, threads=1, precision="f32").infer(image, mirrored=True)
    theirs = TorchBackend(small_weights, device="cpu").infer(image, mirrored=True)
    np.testing.assert_allclose(ours.logits.astype(float), theirs.logits.astype(float), atol=1e-2)
    np.testing.assert_allclose(ours.side.astype(float), theirs.side.astype(float), atol=1e-2)
    again = OpenVinoBackend(small_weights, threads=1, precision="f32").infer(np.ascontiguousarray(image[::-1]), mirrored=True)
    assert (unfold_blocks(again.classes)[::-1] == unfold_blocks(ours.classes)).mean() > 0.998


def test_bf16_agrees_where_the_cpu_has_it(small_weights, rng):
    image = rng.uniform(0, 1, size=SIZE).astype(np.float32)
    shipped = OpenVinoBackend(small_weights, threads=1)
    exact = OpenVinoBackend(small_weights, threads=1, precision="f32").infer(image)
    assert (shipped.infer(image).classes == exact.classes).mean() > 0.9


def test_folded_index_finds_the_voxel():
    folded = np.arange(2 * 3 * 4 * 8).reshape(2, 3, 4, 8)
    where = np.unravel_index(np.arange(4 * 6 * 8), (4, 6, 8))
    np.testing.assert_array_equal(unfold_blocks(folded).ravel(), folded[folded_index(where)])
    np.testing.assert_array_equal(fold_blocks(unfold_blocks(folded)), folded)


def test_a_rested_network_answers_as_before(small_weights):
    backend = OpenVinoBackend(small_weights, threads=1)
    image = np.random.default_rng(0).random((64, 64, 64), dtype=np.float32)
    before, found = backend.infer(image, mirrored=True), backend.find(image)
    backend.rest()
    after = backend.infer(image, mirrored=True)
    np.testing.assert_array_equal(after.logits, before.logits)
    np.testing.assert_array_equal(backend.find(image), found)


def test_sizes_take_turns_and_the_last_is_kept(small_weights, rng):
    backend, torch_backend = OpenVinoBackend(small_weights, threads=1, precision="f32"), TorchBackend(small_weights, device="cpu")
    for size in (SIZE, (64, 32, 32), SIZE):
        image = rng.uniform(0, 1, size=size).astype(np.float32)
        ours, theirs = backend.infer(image), torch_backend.infer(image)
        np.testing.assert_allclose(ours.logits.astype(float), theirs.logits.astype(float), atol=5e-3)
        assert (backend.find(image) == theirs.classes[..., 0]).mean() > 0.998
    kept = {kind: tuple(network.inputs[0].shape) for kind, network in backend._compiled.items()}
    assert kept == {"plain": (1, 1, *SIZE), "finder": (1, 1, *SIZE)}


def test_threads_with_images_of_different_sizes_get_their_own_answers(small_weights, rng):
    backend = OpenVinoBackend(small_weights, threads=1)
    images = [rng.uniform(0, 1, size=size).astype(np.float32) for size in (SIZE, (64, 32, 32))]
    alone = [backend.infer(image).logits for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda n: backend.infer(images[n % 2]).logits, range(12)))
    for n, logits in enumerate(together):
        np.testing.assert_array_equal(logits, alone[n % 2])


def test_a_class_is_one_of_the_most_probable(small_weights, rng):
    answer = OpenVinoBackend(small_weights, threads=1).infer(rng.uniform(0, 1, size=SIZE).astype(np.float32))
    said = np.take_along_axis(answer.logits, answer.classes[..., None].astype(int), -1)[..., 0]
    np.testing.assert_array_equal(said, answer.logits.max(-1))
    assert np.unique(answer.classes).size > 1


def test_an_image_the_network_cannot_halve_leaves_it_usable(small_weights, rng):
    backend = OpenVinoBackend(small_weights, threads=1)
    image = rng.uniform(0, 1, size=SIZE).astype(np.float32)
    before = backend.infer(image).logits
    with pytest.raises(RuntimeError):
        backend.infer(np.zeros((30, 64, 32), np.float32))
    np.testing.assert_array_equal(backend.infer(image).logits, before)


def test_answers_do_not_change_when_the_next_one_is_computed(small_weights, rng):
    backend = OpenVinoBackend(small_weights, threads=1)
    first = backend.infer(rng.uniform(0, 1, size=SIZE).astype(np.float32))
    kept = first.logits.copy()
    backend.infer(rng.uniform(0, 1, size=SIZE).astype(np.float32))
    np.testing.assert_array_equal(first.logits, kept)


def test_serving_imports_no_torch(small_weights):
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from serving.roles.segmentation import Volume\n"
        "from serving.segmentation.backends import open_backend\n"
        "from serving.segmentation.inference import Segmenter\n"
        f"s = Segmenter(open_backend('openvino', weights=Path({str(small_weights)!r}), threads=1))\n"
        "s.segment(Volume(np.random.default_rng(0).uniform(0, 1, (1, 30, 30, 30)).astype('f4'), np.eye(4)))\n"
        "print(sorted({'torch', 'monai', 'nibabel', 'mlflow'} & set(sys.modules)))\n"
    )
    root = Path(__file__).parents[4]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_a_gpu_that_is_not_there_is_an_error(small_weights):
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(RuntimeError, match="CUDA"):
        open_backend("torch", "cuda", small_weights)
    with pytest.raises(ValueError, match="CPU"):
        open_backend("openvino", "cuda", small_weights)
    with pytest.raises(ValueError, match="no segmentation backend"):
        open_backend("abacus")


def test_weights_that_were_changed_are_noticed(small_weights, tmp_path):
    copy = tmp_path / "small.safetensors"
    raw = bytearray(small_weights.read_bytes())
    raw[-1] ^= 1
    copy.write_bytes(raw)
    copy.with_suffix(".json").write_text(small_weights.with_suffix(".json").read_text())
    with pytest.raises(ValueError, match="sha256"):
        read_info(copy)


def test_the_shipped_weights_are_small_and_whole():
    from serving.segmentation.weights_file import DEFAULT_WEIGHTS

    if not DEFAULT_WEIGHTS.exists():
        pytest.skip("no weights have been exported yet")
    assert DEFAULT_WEIGHTS.stat().st_size < 20e6
    assert len(read_info().names) == CLASS_COUNT
