"""Train the large entailment reader: adapters on all-mpnet-base-v2 (see :mod:`serving.entailment.reader_network`).

    python -m serving.downloads all-mpnet-base-v2
    python -m serving.entailment.training.train_reader --hours 8 --data ../shared/data --export FILE.safetensors

Resumable from the checkpoint in ``--folder``, time-based (the learning rate decays to zero when the hours are over),
device-agnostic. Data and rounds are those of :mod:`serving.entailment.corpora.data`, mix ``reader``. At the end the averaged
weights are calibrated on the tuning part and exported: adapters and head in half precision, and a sidecar.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from serving.downloads import folder_of
from serving.entailment.corpora import described, written
from serving.entailment.corpora.data import MIXES, Data, Rounds
from serving.entailment.corpora.examples import Example, Split, data_folder
from serving.entailment.pairs import PairTokens
from serving.entailment.reader_network import Adapters, Reader, write_adapters
from serving.entailment.training.train import LABEL_NUMBER, batches, calibrate, learning_rate, logits_of


@dataclass
class ReaderOptions:
    """How to train. ``hours`` is a wall-clock budget over all resumed parts; ``ema`` is the decay a step of the averaged weights."""

    base: Path
    data: Path
    folder: Path
    export: Path
    hours: float = 2.0
    device: str = "cpu"
    threads: int = 2
    batch_tokens: int = 1536
    max_tokens: int = 192
    peak_lr: float = 4e-4
    head_lr: float = 1e-3
    ema: float = 0.99
    seed: int = 0
    fold: int = 0
    folds: int = 5
    first_layer: int = 6
    rank: int = 32
    minutes_between_checkpoints: float = 10.0
    pairs_a_step: int = 16


class ReaderTraining:
    """One run: network, optimiser, averaged weights, clock, and its checkpoint."""

    def __init__(self, options: ReaderOptions) -> None:
        self.options = options
        options.folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(options.seed)
        self.network = Reader(options.base, Adapters(options.first_layer, options.rank)).to(options.device).train()
        self.tokens = PairTokens(options.base / "tokenizer.json", max_tokens=options.max_tokens)
        trained = self.network.trained()
        new = [value for name, value in trained.items() if not name.startswith("layer.")]
        adapters = [value for name, value in trained.items() if name.startswith("layer.")]
        self.optimiser = torch.optim.AdamW(
            [{"params": adapters, "peak": options.peak_lr}, {"params": new, "peak": options.head_lr}], weight_decay=0.01
        )
        self.average = {name: value.detach().clone() for name, value in trained.items()}
        self.step, self.pairs, self.elapsed = 0, 0, 0.0
        self.checkpoint = options.folder / "checkpoint.pt"
        if self.checkpoint.exists():
            state = torch.load(self.checkpoint, map_location=options.device, weights_only=True)
            self.network.load_trained(state["trained"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.average, self.step, self.pairs, self.elapsed = (state[key] for key in ("average", "step", "pairs", "elapsed"))
            print(f"resumed at step {self.step}, {self.pairs} pairs, {self.elapsed / 60:.1f} min", flush=True)

    def learn(self, ids: np.ndarray, kinds: np.ndarray, labels: np.ndarray) -> float:
        """One step over a batch; its mean loss."""
        rate = learning_rate(min(1.0, self.elapsed / (3600 * self.options.hours)))
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * rate
        inputs = [torch.from_numpy(a).to(self.options.device) for a in (ids, kinds, labels)]
        with torch.autocast(self.options.device, torch.bfloat16, enabled=self.options.device != "cpu"):
            logits = self.network(inputs[0], inputs[1])
        loss = cross_entropy(logits, inputs[2], reduction="sum", label_smoothing=0.05)
        self.optimiser.zero_grad(set_to_none=True)
        (loss / self.options.pairs_a_step).backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.trained().values(), 1.0)
        if torch.isfinite(norm):
            self.optimiser.step()
        self.step += 1
        self.pairs += len(labels)
        decay = min(self.options.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.network.trained().items():
                self.average[name].lerp_(value, 1 - decay)
        return float(loss.detach()) / len(labels)

    def save(self) -> None:
        """Write the checkpoint atomically."""
        partial = self.checkpoint.with_suffix(".partial")
        trained = {name: value.detach() for name, value in self.network.trained().items()}
        counts = {"step": self.step, "pairs": self.pairs, "elapsed": self.elapsed}
        torch.save({"trained": trained, "optimiser": self.optimiser.state_dict(), "average": self.average, **counts}, partial)
        partial.replace(self.checkpoint)

    def export(self, data: Data) -> dict[str, float]:
        """Calibrate the averaged weights on the tuning part and write them; what was measured there."""
        with self._averaged():
            pairs = [*Rounds(data, part="tune").plain(random.Random(1)), *written.Pairs(data.written("tune")).plain()]
            temperature, figures = calibrate(pairs, logits_of(self.network, self.tokens, pairs, self.options.device))
            write_adapters(
                self.network,
                self.options.export,
                base=self.options.base,
                temperature=temperature,
                max_tokens=self.options.max_tokens,
                step=self.step,
                pairs=self.pairs,
                training_hours=round(self.elapsed / 3600, 3),
                split={"fold": self.options.fold, "folds": self.options.folds},
                tune={name: round(value, 4) for name, value in figures.items()},
            )
        return figures

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        """The network with the averaged weights, in evaluation mode, while the block runs."""
        own = {name: value.detach().clone() for name, value in self.network.trained().items()}
        self.network.load_trained(self.average)
        self.network.eval()
        try:
            yield
        finally:
            self.network.load_trained(own)
            self.network.train()

    def measure(self, data: Data) -> dict[str, float]:
        """Accuracy of the averaged weights on the tuning part's written pairs and rules in other words (a sample of 300)."""
        rules = described.Pairs(data.rules("tune")).plain()
        rules = random.Random(3).sample(rules, min(300, len(rules)))
        with self._averaged():
            return {
                name: accuracy(pairs, logits_of(self.network, self.tokens, pairs, self.options.device))
                for name, pairs in ((written.SOURCE, written.Pairs(data.written("tune")).plain()), (described.SOURCE, rules))
                if pairs
            }


def accuracy(pairs: list[Example], logits: np.ndarray) -> float:
    truth = np.array([LABEL_NUMBER[pair.label] for pair in pairs])
    return float((logits.argmax(1) == truth).mean())


def run(options: ReaderOptions) -> ReaderTraining:
    """Train until the hours are over."""
    import mlflow

    torch.set_num_threads(options.threads)
    data = Data(data_folder(options.data), Split(options.fold, options.folds))
    training = ReaderTraining(options)
    mlflow.set_tracking_uri(f"sqlite:///{(options.folder / 'mlflow.db').resolve()}")
    mlflow.set_experiment("entailment-reader")
    with mlflow.start_run(run_name=f"train {time.strftime('%Y-%m-%d %H:%M')}"):
        mlflow.log_params({key: str(value) for key, value in vars(options).items()})
        stream = batches(Rounds(data, mix=MIXES["reader"]), training.tokens, options.batch_tokens, int(time.time()) + options.seed)
        began = time.time() - training.elapsed
        saved = shown = time.time()
        recent: list[float] = []
        seen = training.pairs
        while training.elapsed < 3600 * options.hours:
            batch, labels, _ = next(stream)
            recent.append(training.learn(batch.ids, batch.kinds, labels))
            now = time.time()
            training.elapsed = now - began
            if training.step % 25 == 0:
                said = {"loss": float(np.mean(recent)), "pairs_a_second": (training.pairs - seen) / (now - shown)}
                mlflow.log_metrics(said, step=training.step)
                print(f"{time.strftime('%H:%M:%S')} step {training.step} pairs {training.pairs} {said}", flush=True)
                recent, seen, shown = [], training.pairs, now
            if now - saved > 60 * options.minutes_between_checkpoints:
                training.save()
                figures = training.measure(data)
                mlflow.log_metrics(figures, step=training.step)
                print(json.dumps(figures), flush=True)
                saved = time.time()
        training.save()
        print(json.dumps(training.export(data)), flush=True)
    return training


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, default=folder_of("all-mpnet-base-v2"), help="folder of the base model")
    parser.add_argument("--export", type=Path, default=Path(".workbench/training/reader/reader.safetensors"))
    parser.add_argument("--data", type=Path, help="by default WORKBENCH_DATA, or ../shared/data")
    parser.add_argument("--folder", type=Path, default=Path(".workbench/training/reader"))
    for name, default in (("hours", 2.0), ("peak-lr", 4e-4), ("head-lr", 1e-3), ("ema", 0.99)):
        parser.add_argument(f"--{name}", type=float, default=default)
    for name, default in (("threads", 2), ("batch-tokens", 1536), ("max-tokens", 192), ("seed", 0), ("fold", 0), ("folds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, default in (("first-layer", 6), ("rank", 32)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    run(ReaderOptions(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
