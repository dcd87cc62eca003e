"""The graph is the network; the temperature is applied once; what else a folder may hold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from infra.errors import ConfigurationError, IntegrityError, InvalidInput, ModelMissing
from serving.entailment.calibration import expected_calibration_error, fit_temperature, softmax
from serving.entailment.network import CrossEncoder
from serving.entailment.openvino_backend import OpenVinoEntailment
from serving.entailment.pairs import PairTokens
from serving.entailment.torch_backend import TorchEntailment, label_columns
from serving.entailment.weights_file import TOKENIZER, load_network, read_info
from serving.registry.embedded import resolve
from serving.registry.versions import ModelVersion, sha256_of
from serving.roles.entailment import ENTAILMENT_LABELS
from tests.unit.serving.entailment.conftest import TEMPERATURE
from tests.unit.serving.fakes import place

PAIRS = [
    ("The hippocampus shrank.", "The hippocampus of older people was smaller."),
    ("Records are kept for five years.", "word " * 500 + "Records must be kept. " + "tail " * 500),
    ("", ""),
    ("你好 😀", "Ärzte müssen die Aufklärung dokumentieren — §630e BGB."),
    ("a long claim " * 60, "short"),
]


class InFloat32(OpenVinoEntailment):
    """To be compared with torch to the last digits."""

    precision = "f32"


@pytest.fixture(scope="module")
def exact(tiny_version: ModelVersion, tmp_path_factory):
    found = InFloat32(tiny_version, place(tmp_path_factory.mktemp("cache")))
    found.load()
    yield found
    found.close()


@pytest.fixture(scope="module")
def backend(tiny_version: ModelVersion, tmp_path_factory):
    found = OpenVinoEntailment(tiny_version, place(tmp_path_factory.mktemp("cache")))
    found.load()
    yield found
    found.close()


def reference(path: Path) -> np.ndarray:
    """Pair by pair, without padding, by torch."""
    network, tokens = load_network(path), PairTokens(resolve(TOKENIZER, role="entailment"), max_tokens=128)
    with torch.no_grad():
        rows = [network(*(torch.from_numpy(a)[None] for a in pair)).numpy()[0] for pair in tokens.encode(PAIRS)]
    return softmax(np.array(rows), TEMPERATURE)


def test_the_graph_is_the_network(exact: OpenVinoEntailment, tiny: Path) -> None:
    ours, theirs = exact.entail(PAIRS), reference(tiny)
    assert ours.dtype == np.float32 and ours.shape == (len(PAIRS), 3)
    assert np.abs(ours - theirs).max() < 1e-4, ours - theirs
    assert np.ptp(ours, 0).max() > 0.01  # the pairs are told apart, or nothing was compared


def test_torch_gives_the_same(exact: OpenVinoEntailment, tiny_version: ModelVersion, tmp_path: Path) -> None:
    other = TorchEntailment(tiny_version, place(tmp_path))
    other.load()
    assert np.abs(other.entail(PAIRS) - exact.entail(PAIRS)).max() < 1e-4
    other.close()


def test_what_serves_is_near_it_whatever_the_processor(exact: OpenVinoEntailment, backend: OpenVinoEntailment) -> None:
    assert np.abs(exact.entail(PAIRS) - backend.entail(PAIRS)).max() < 0.01


def test_a_pairs_answer_does_not_depend_on_its_company(backend: OpenVinoEntailment) -> None:
    alone = np.concatenate([backend.entail([pair]) for pair in PAIRS])
    assert np.abs(alone - backend.entail(PAIRS)).max() < 1e-5
    assert backend.entail([]).shape == (0, 3)


def test_the_weights_are_half_precision_and_their_sidecar_is_checked(tiny: Path, tiny_version: ModelVersion, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    assert {value.dtype for value in load_file(tiny).values()} == {torch.float16}
    info = read_info(tiny)
    assert info and info.digest == sha256_of(tiny) and info.temperature == TEMPERATURE and info.extra["step"] == 1
    copy = tmp_path / "other.safetensors"
    copy.write_bytes(tiny.read_bytes()[:-2] + b"\x00\x01")
    copy.with_suffix(".json").write_text(tiny.with_suffix(".json").read_text())
    with pytest.raises(IntegrityError):
        load_network(copy)
    copy.with_suffix(".json").unlink()
    with pytest.raises(ModelMissing):
        load_network(copy)
    with pytest.raises(ConfigurationError, match="torch"):
        OpenVinoEntailment(replace(tiny_version, source=str(copy), ref=replace(tiny_version.ref, digest="")), place(tmp_path)).load()


def test_weights_trained_for_other_labels_are_refused(tiny: Path, tmp_path: Path) -> None:
    copy = tmp_path / "other.safetensors"
    copy.with_suffix(".json").write_text(
        json.dumps({**json.loads(tiny.with_suffix(".json").read_text()), "labels": ["yes", "no", "maybe"]})
    )
    with pytest.raises(ModelMissing, match="yes, no, maybe"):
        read_info(copy)


def test_any_sequence_classification_model_can_take_the_role(tmp_path: Path) -> None:
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    folder = tmp_path / "nli"
    torch.manual_seed(1)
    labels = {0: "CONTRADICTION", 1: "NEUTRAL", 2: "ENTAILMENT"}
    config = BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, id2label=labels)
    network = BertForSequenceClassification(config).eval()
    network.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(resolve(TOKENIZER, role="entailment").parent)
    tokenizer.save_pretrained(folder)
    from serving.registry.versions import ModelRef

    ref = ModelRef("entailment", "workbench-entailment", "2", "", "torch", "cpu")
    backend = TorchEntailment(ModelVersion(ref, str(folder)), place(tmp_path))
    backend.load()
    found = backend.entail(PAIRS[:2])
    with torch.no_grad():
        batch = tokenizer(PAIRS[0][1], PAIRS[0][0], return_tensors="pt")
        expected = network(**batch).logits.softmax(1)[0, [2, 0, 1]].numpy()
    assert np.allclose(found[0], expected, atol=1e-5) and np.allclose(found.sum(1), 1, atol=1e-5)
    backend.close()


def test_labels_are_found_by_their_names_or_refused() -> None:
    assert label_columns({0: "contradiction", 1: "entailment", 2: "neutral"}) == [1, 0, 2]
    assert label_columns({0: "SUPPORTS", 1: "REFUTES", 2: "NOT ENOUGH INFO"}) == [0, 1, 2]
    assert label_columns(dict(enumerate(ENTAILMENT_LABELS))) == [0, 1, 2]
    for wrong in ({0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}, {0: "entailment", 1: "not_entailment"}):
        with pytest.raises(InvalidInput, match="id2label"):
            label_columns(wrong)


def test_the_temperature_makes_overconfident_logits_honest() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 3))
    truth = (softmax(logits).cumsum(1) < rng.random((4000, 1))).sum(1).clip(0, 2)
    assert abs(fit_temperature(logits * 3, truth) - 3) < 0.25
    before, after = (expected_calibration_error(softmax(logits * 3, t), truth) for t in (1, 3))
    assert before > 0.15 and after < 0.04
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, int)) == 1.0


def test_named_weights_are_berts_own_names() -> None:
    from serving.entailment.network import Shape

    names = CrossEncoder(Shape(hidden_size=48, num_hidden_layers=1, num_attention_heads=4, intermediate_size=96)).named_weights()
    assert {"embeddings.word_embeddings.weight", "encoder.layer.0.attention.self.query.bias", "head.dense.weight", "head.out.bias"} <= set(
        names
    )
