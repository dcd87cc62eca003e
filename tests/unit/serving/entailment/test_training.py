"""Training ends with weights that serve, goes on where it stopped, and leaves what is held back alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from serving.entailment.corpora.data import MIXES, Data, Rounds
from serving.entailment.evaluation.evaluate import evaluate, open_weights, table
from serving.entailment.network import CrossEncoder, Shape
from serving.entailment.training import train
from serving.entailment.weights_file import load_network


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The real run, over a network that learns in a second."""
    shape = Shape(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    monkeypatch.setattr(train, "from_sentence_encoder", lambda folder: CrossEncoder(shape))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    yield
    import mlflow

    mlflow.set_tracking_uri(None)  # a training names its own; other tests must not log there


def test_it_trains_exports_and_resumes(small_data: Path, tmp_path: Path) -> None:
    options = train.Options(small_data, tmp_path / "run", tmp_path / "out" / "entailment.safetensors", hours=1, max_steps=6)
    first = train.run(options)
    sidecar = json.loads(options.export.with_suffix(".json").read_text())
    assert sidecar["step"] == 6 and sidecar["split"] == {"fold": 0, "folds": 5, "without": []} and sidecar["temperature"] > 0
    assert set(sidecar["tune"]) and first.progress >= 1
    options.max_steps = 8
    again = train.run(options)
    assert again.step == 8 and again.elapsed > first.elapsed

    read = open_weights(options.export, threads=1).entail
    rows = evaluate(Data(small_data), read)
    assert {"AttributionBench macro-F1, in domain", "SciFact rationale hit@1", "ContractNLI evidence mAP"} <= {row.measure for row in rows}
    assert table(rows).count("\n") == len(rows) + 1


def test_it_goes_on_from_exported_weights(small_data: Path, tmp_path: Path, tiny: Path) -> None:
    options = train.Options(small_data, tmp_path / "run", tmp_path / "entailment.safetensors", hours=1, max_steps=1, warm_start=tiny)
    assert train.run(options).network.shape.hidden_size == 48


def test_what_is_exported_lies_between_the_trained_weights_and_those_it_is_blended_with(
    small_data: Path, tmp_path: Path, tiny: Path
) -> None:
    options = train.Options(small_data, tmp_path / "run", tmp_path / "entailment.safetensors", warm_start=tiny, peak_lr=0.1, max_steps=2)
    before, trained = load_network(tiny).named_weights(), train.run(options).averaged().named_weights()
    half = train.run(replace(options, blend=0.5))
    assert half.step == 2, "what was trained is taken up, and only exported anew"
    for name, value in load_network(options.export).named_weights().items():
        assert torch.allclose(value, (before[name] + trained[name]) / 2, atol=2e-3), name
    assert any((before[name] - trained[name]).abs().max() > 0.01 for name in before), "nothing was learnt, so nothing was shown"


def test_of_citations_the_teachers_word_is_learnt_and_of_the_rest_the_label(small_data: Path, tmp_path: Path, tiny: Path) -> None:
    options = train.Options(small_data, tmp_path / "run", warm_start=tiny, teacher=tiny, peak_lr=0.02, max_steps=40)
    training = train.Training(options, Data(small_data))
    batch, labels, taught = next(
        found
        for found in train.batches(Rounds(training.data, mix=MIXES["compliance"]), training.tokens, options.batch_tokens, seed=1)
        if 0 < found[2].sum() < len(found[2])
    )
    ids, kinds = torch.from_numpy(batch.ids), torch.from_numpy(batch.kinds)

    def told() -> np.ndarray:
        with torch.no_grad():
            return torch.softmax(training.network.eval()(ids, kinds).float(), 1).numpy()

    before, wrong = told(), (labels + 1) % 3
    for _ in range(40):
        training.network.train()
        training.learn(batch, np.where(taught, wrong, labels), taught)
    after = told()
    assert np.abs(after - before)[taught].max() < 0.25, "a label outweighed the teacher"
    rows = np.flatnonzero(~taught)
    assert after[rows, labels[rows]].mean() > before[rows, labels[rows]].mean() + 0.1


def test_the_rate_warms_up_and_ends_at_zero() -> None:
    rates = [train.learning_rate(p / 100) for p in range(101)]
    assert rates[0] == 0 and max(rates) == pytest.approx(1, abs=0.01) and rates[-1] == 0 and rates.index(max(rates)) == 6
