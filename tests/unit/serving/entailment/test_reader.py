"""The large reader on a tiny random MPNet: the served graph computes what the trained network does, and training learns."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tokenizers import Tokenizer, models, pre_tokenizers

from infra.errors import ModelMissing
from infra.settings import load_settings
from serving.backends.backend import Place
from serving.embedding.bert_graph import mapped_tensors
from serving.entailment.corpora.written import LABELS, Pairs, load
from serving.entailment.openvino_backend import OpenVinoEntailment
from serving.entailment.pairs import PairTokens
from serving.entailment.reader_graph import reader
from serving.entailment.reader_network import FORMAT, Adapters, Reader, write_adapters
from serving.entailment.training.train_reader import ReaderOptions, ReaderTraining, run
from serving.entailment.weights_file import read_adapters_info
from serving.registry import embedded
from serving.registry.champions import read_catalogue
from serving.registry.versions import ModelRef, ModelVersion, sha256_of

LAYERS, HEADS, EPSILON = 3, 4, 1e-5


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random MPNet of three narrow layers, as its publisher would save it."""
    from transformers import MPNetConfig, MPNetModel

    folder = tmp_path_factory.mktemp("mpnet")
    torch.manual_seed(0)
    config = MPNetConfig(
        vocab_size=200, hidden_size=32, num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=64, layer_norm_eps=EPSILON
    )
    MPNetModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def some_pairs(tokens: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    ids, kinds = rng.integers(5, 200, (4, tokens)), rng.integers(1, 6, (4, tokens))
    kinds[1, tokens // 2 :] = 0
    return ids.astype(np.int64), kinds.astype(np.int64)


@pytest.mark.parametrize("tokens", [16, 208])
def test_the_graph_computes_what_the_network_does(base: Path, tokens: int) -> None:
    import openvino as ov

    network = Reader(base, Adapters(first_layer=1, rank=2)).eval()
    with torch.no_grad():
        for value in network.trained().values():
            value.normal_(std=0.2)
    adapters = {name: value.detach().numpy() for name, value in network.trained().items()}
    weights = mapped_tensors(base / "model.safetensors")
    graph = reader(weights, adapters, layers=LAYERS, heads=HEADS, epsilon=EPSILON, first_layer=1, temperature=1.5)
    compiled = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    ids, kinds = some_pairs(tokens)
    with torch.no_grad():
        expected = torch.softmax(network(torch.from_numpy(ids), torch.from_numpy(kinds)) / 1.5, 1).numpy()
    assert np.abs(compiled([ids, kinds])[0] - expected).max() < 2e-5


@pytest.fixture
def installed(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the base model as set-up leaves it, with a tokenizer; downloads are looked for there."""
    folder = tmp_path / "models" / "all-mpnet-base-v2"
    shutil.copytree(base, folder)
    tokenizer = Tokenizer(models.WordLevel({"<s>": 0, "<pad>": 1, "</s>": 2, "[UNK]": 3, "the": 4, "records": 5}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    for place in ("serving.downloads.fetch", "serving.downloads"):  # the package names a function as its module
        monkeypatch.setattr(sys.modules[place], "folder_of", lambda name: tmp_path / "models" / name)
    return folder


def exported(folder: Path, path: Path) -> Reader:
    """A random reader, its adapters written to ``path``."""
    network = Reader(folder, Adapters(first_layer=1, rank=2)).eval()
    with torch.no_grad():
        for value in network.trained().values():
            value.normal_(std=0.2)
            value.copy_(value.half().float())
    write_adapters(network, path, base=folder, temperature=1.5, max_tokens=64)
    return network


def test_the_backend_serves_adapters_over_the_base_model_that_set_up_fetched(installed: Path, tmp_path: Path) -> None:
    path = tmp_path / "reader.safetensors"
    network = exported(installed, path)
    info = read_adapters_info(path)
    assert info is not None and info["format"] == FORMAT
    ref = ModelRef("entailment", "reader", "1", str(info["sha256"]), "openvino", "cpu")
    backend = OpenVinoEntailment(ModelVersion(ref, str(path)), Place("cpu", 1, tmp_path))
    backend.precision = "f32"  # type: ignore[misc]
    backend.load()
    pairs = [("the records", "the the records"), ("records", "unknown words the")]
    tokens = PairTokens(installed / "tokenizer.json", max_tokens=64)
    with torch.no_grad():
        expected = np.empty((2, 3), np.float32)
        for batch in tokens.batches(pairs):
            expected[batch.rows] = torch.softmax(network(torch.from_numpy(batch.ids), torch.from_numpy(batch.kinds)) / 1.5, 1).numpy()
    assert np.abs(backend.entail(pairs) - expected).max() < 1e-4
    backend.close()
    (installed / "model.safetensors").unlink()
    with pytest.raises(ModelMissing, match=r"serving\.downloads all-mpnet-base-v2"):
        OpenVinoEntailment(ModelVersion(ref, str(path)), Place("cpu", 1, tmp_path)).load()


def test_the_reader_decides_where_it_is_installed_and_the_small_one_elsewhere(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "reader.safetensors"
    monkeypatch.setattr(embedded, "DECIDING_READER", replace(embedded.DECIDING_READER, source=str(path)))
    settings = load_settings(home=tmp_path / "home")
    assert read_catalogue(settings).deciding == {}
    assert embedded.deciding_told(settings) == "it decides on passages, too"
    exported(installed, path)
    found = read_catalogue(settings).deciding["entailment"]
    assert found.ref.name == "workbench-entailment-reader" and found.ref.digest == sha256_of(path)
    assert "decides on the best passages" in embedded.deciding_told(settings)
    (installed / "config.json").unlink()
    assert read_catalogue(settings).deciding == {}
    assert "python -m serving.downloads all-mpnet-base-v2" in embedded.deciding_told(settings)


def test_only_adapters_and_head_are_trained_and_they_learn(base: Path) -> None:
    network = Reader(base, Adapters(first_layer=1, rank=4), dropout=0.0).train()
    frozen = {name: value.clone() for name, value in network.named_parameters() if not value.requires_grad}
    assert not any(name.startswith("layer.0.") for name in network.trained())
    ids, kinds = some_pairs(16)
    labels = torch.tensor([0, 1, 2, 0])
    optimiser = torch.optim.Adam(network.trained().values(), lr=1e-2)
    losses = []
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(network(torch.from_numpy(ids), torch.from_numpy(kinds)), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.2 < losses[0]
    assert all(torch.equal(value, frozen[name]) for name, value in network.named_parameters() if name in frozen)


def test_written_pairs_are_whole_and_none_is_measured_on() -> None:
    found = load()
    assert len(found) >= 3000
    assert {pair.label for pair in found} == set(LABELS.values())
    assert len({pair.domain for pair in found}) >= 40
    assert len({pair.kind for pair in found}) == 9
    assert len(Pairs(found).plain()) == len(found)


def test_training_exports_adapters_that_name_their_base_and_resumes(
    base: Path, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    few = load()[:400]
    monkeypatch.setattr("serving.entailment.corpora.written.load", lambda: few)
    monkeypatch.setattr("serving.entailment.corpora.described.load", list)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    save_tokenizer(base)
    options = ReaderOptions(
        base, small_data, tmp_path / "run", tmp_path / "out.safetensors", hours=1 / 3600, threads=1, first_layer=2, rank=2
    )
    training = run(options)
    mlflow.set_tracking_uri(None)  # a training names its own; other tests must not log there
    assert training.step > 0
    sidecar = json.loads((tmp_path / "out.json").read_text())
    assert sidecar["base_sha256"] and sidecar["adapters"] == {"first_layer": 2, "rank": 2} and sidecar["temperature"] > 0
    assert set(load_file(tmp_path / "out.safetensors")) == set(training.network.trained())
    assert ReaderTraining(options).step == training.step


def save_tokenizer(folder: Path) -> None:
    """A tokenizer of letters with MPNet's special tokens."""
    words = ["<s>", "<pad>", "</s>", "<unk>", *"abcdefghijklmnopqrstuvwxyz", *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz")]
    made = Tokenizer(models.WordPiece({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.save(str(folder / "tokenizer.json"))
