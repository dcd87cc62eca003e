"""Train the embedded entailment model: a cross-encoder from the embedded sentence encoder, all-MiniLM-L6-v2.

    GLIBC_TUNABLES=glibc.malloc.hugetlb=1 python -m serving.entailment.training.train --hours 1 --data ../shared/data

Resumable (the checkpoint in the run's folder is taken up), time-based (the learning rate decays to zero when the hours
are over), device-agnostic. Every few minutes it leaves a checkpoint; now and then, and at the end, it calibrates
the averaged weights and exports them. `--warm-start` begins from exported weights (`--mix compliance` goes on from the
citation model, or from one that `--mix rules` has taught who keeps a rule and who breaks it), `--fold`/`--folds` choose
what is held back, `--without` leaves requirements out.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from serving.entailment.calibration import fit_temperature, softmax
from serving.entailment.corpora import attributionbench, scifact
from serving.entailment.corpora.data import MIXES, Data, Rounds
from serving.entailment.corpora.examples import Example, Split, data_folder
from serving.entailment.evaluation import measures
from serving.entailment.network import CrossEncoder, from_sentence_encoder
from serving.entailment.pairs import MAX_TOKENS, PairBatch, PairTokens
from serving.entailment.weights_file import DEFAULT_WEIGHTS, TOKENIZER, load_network, read_info, write_weights
from serving.registry.embedded import EMBEDDED, resolve
from serving.roles.entailment import ENTAILMENT_LABELS

LABEL_NUMBER = {label: number for number, label in enumerate(ENTAILMENT_LABELS)}
POOL = 512
"""Pairs sorted by length together: batches of one length, in random order."""
TAUGHT = (attributionbench.SOURCE, scifact.SOURCE)
SOFT = 2.0
"""Temperature at which a teacher's word is learnt: what it holds for the second likeliest counts, too."""
PAIRS_A_STEP = 24
"""About as many pairs as a batch has; a batch's loss is its sum over this, so that a pair of long texts counts as one."""


@dataclass
class Options:
    """How to train.

    Attributes:
        data: laid out as ``../shared/data``.
        folder: checkpoints and logs.
        hours: wall-clock budget over all resumed parts.
        batch_tokens: most tokens a step, padding included.
        head_lr: for what begins anew (head, kinds); ``peak_lr`` for the encoder. The word vectors stay as they are:
            half of all weights, and a few thousand pairs teach them nothing of other words.
        ema: decay a step of the averaged weights, which are what is exported.
        blend: share of the trained weights in what is exported; the rest are those of ``blend_with``, by default the warm start's.
            Between the two lie weights that keep what the one knew and know most of what the other learnt (Wortsman et al.,
            "Robust fine-tuning of zero-shot models", CVPR 2022).
        teacher: earlier weights whose word stands for the label of citations and claims (Li and Hoiem, "Learning without
            forgetting", ECCV 2016). Those two sets are small: seen again beside another subject they are learnt by heart, and
            what held for other citations is lost.
    """

    data: Path
    folder: Path
    export: Path = DEFAULT_WEIGHTS
    hours: float = 1.0
    device: str = "cpu"
    threads: int = 1
    batch_tokens: int = 2048
    max_tokens: int = MAX_TOKENS
    peak_lr: float = 1.2e-4
    head_lr: float = 6e-4
    weight_decay: float = 0.01
    ema: float = 0.995
    seed: int = 0
    fold: int = 0
    folds: int = 5
    without: tuple[str, ...] = ()
    mix: str = "citations"
    minutes_between_checkpoints: float = 5.0
    minutes_between_exports: float = 20.0
    warm_start: Path | None = None
    blend: float = 1.0
    blend_with: Path | None = None
    teacher: Path | None = None
    max_steps: int = 0


def learning_rate(progress: float) -> float:
    """Share of the peak: linear warm-up over the first 6 %, then linear to zero at progress 1."""
    return progress / 0.06 if progress < 0.06 else max(0.0, (1 - progress) / 0.94)


def batches(rounds: Rounds, tokens: PairTokens, batch_tokens: int, seed: int) -> Iterator[tuple[PairBatch, np.ndarray, np.ndarray]]:
    """Endless batches, the numbers of their labels, and which pairs a teacher would be asked of."""
    rng = random.Random(seed)
    while True:
        pairs = rounds.draw(rng)
        for start in range(0, len(pairs), POOL):
            pool = pairs[start : start + POOL]
            labels = np.array([LABEL_NUMBER[pair.label] for pair in pool])
            taught = np.array([pair.source.split("/")[0] in TAUGHT for pair in pool])
            found = list(tokens.batches([(pair.claim, pair.passage) for pair in pool], batch_tokens=batch_tokens))
            rng.shuffle(found)
            yield from ((batch, labels[batch.rows], taught[batch.rows]) for batch in found)


class Training:
    """One run: network, optimiser, averaged weights, clock, and the files they are kept in."""

    def __init__(self, options: Options, data: Data) -> None:
        self.options, self.data = options, data
        options.folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(options.seed)
        encoder = resolve(EMBEDDED["embedding"].source, role="embedding").parent
        self.network = load_network(options.warm_start) if options.warm_start else from_sentence_encoder(encoder)
        self.network = self.network.to(options.device).train()
        self.network.bert.embeddings.word_embeddings.weight.requires_grad_(False)
        if options.device == "cpu":
            # torch's fused attention takes two fifths of a step on a CPU, its backward pass in bfloat16 most of that;
            # written out as matrix products it takes a tenth.
            self.network.bert.set_attn_implementation("eager")
        self.teacher = load_network(options.teacher).to(options.device).eval() if options.teacher else None
        self.tokens = PairTokens(resolve(TOKENIZER, role="embedding"), max_tokens=options.max_tokens)
        self.optimiser = torch.optim.AdamW(self._groups(), weight_decay=options.weight_decay, fused=True)
        self.average = {name: value.detach().clone() for name, value in self.network.named_weights().items() if value.requires_grad}
        self.step, self.elapsed, self.figures = 0, 0.0, {}
        began = read_info(options.warm_start) if options.warm_start else None
        self.before = (int(began.extra.get("step", 0)), float(began.extra.get("training_hours", 0))) if began else (0, 0.0)
        self.bf16 = options.device != "cpu" or torch.cpu._is_avx512_bf16_supported()
        self.checkpoint = options.folder / "checkpoint.pt"
        if self.checkpoint.exists():
            self._resume()

    def _groups(self) -> list[dict[str, Any]]:
        new, old = [], []
        for name, value in self.network.named_weights().items():
            if value.requires_grad:
                (new if name.startswith("head.") or "token_type" in name else old).append(value)
        # A warm start's head is not new any more.
        head = self.options.peak_lr if self.options.warm_start else self.options.head_lr
        return [{"params": old, "peak": self.options.peak_lr}, {"params": new, "peak": head}]

    @property
    def progress(self) -> float:
        """0 to 1: of the steps where they are limited, else of the hours."""
        by_steps = self.step / self.options.max_steps if self.options.max_steps else 0.0
        return max(by_steps, self.elapsed / (3600 * self.options.hours))

    def learn(self, batch: PairBatch, labels: np.ndarray, taught: np.ndarray) -> float:
        """One step; returns the batch's mean loss.

        Args:
            labels, taught: int and bool ``(pairs,)``, as :func:`batches` gives them.
        """
        rate = learning_rate(self.progress)
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * rate
        ids, kinds, truth = (torch.from_numpy(a).to(self.options.device) for a in (batch.ids, batch.kinds, labels))
        with torch.autocast(self.options.device, torch.bfloat16, enabled=self.bf16):
            logits = self.network(ids, kinds)
            told = self._told(ids, kinds, taught)
        if told is None:
            loss = cross_entropy(logits, truth, reduction="sum")
        else:
            rows = torch.from_numpy(taught).to(self.options.device)
            loss = cross_entropy(logits[~rows], truth[~rows], reduction="sum")
            loss = loss + SOFT**2 * cross_entropy(logits[rows] / SOFT, told, reduction="sum")
        self.optimiser.zero_grad(set_to_none=True)
        (loss / PAIRS_A_STEP).backward()
        norm = torch.nn.utils.clip_grad_norm_([p for p in self.network.parameters() if p.requires_grad], 1.0)
        if torch.isfinite(norm):
            self.optimiser.step()
        self.step += 1
        decay = min(self.options.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.network.named_weights().items():
                if name in self.average:
                    self.average[name].lerp_(value, 1 - decay)
        return float(loss.detach()) / len(labels)

    @torch.no_grad()
    def _told(self, ids: torch.Tensor, kinds: torch.Tensor, taught: np.ndarray) -> torch.Tensor | None:
        """float ``(taught pairs, 3)``: what the teacher says of them; None where there is no teacher or nothing to ask."""
        if self.teacher is None or not taught.any():
            return None
        rows = torch.from_numpy(taught).to(self.options.device)
        return torch.softmax(self.teacher(ids[rows], kinds[rows]).float() / SOFT, dim=1)

    def save(self) -> None:
        """Write the checkpoint atomically."""
        partial = self.checkpoint.with_suffix(".partial")
        state = {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict(), "average": self.average}
        torch.save({**state, "step": self.step, "elapsed": self.elapsed}, partial)
        partial.replace(self.checkpoint)

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.options.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average, self.step, self.elapsed = state["average"], state["step"], state["elapsed"]
        print(f"resumed at step {self.step}, {self.elapsed / 60:.1f} min", flush=True)

    def averaged(self) -> CrossEncoder:
        """A network with the averaged weights, in evaluation mode."""
        network = CrossEncoder(self.network.shape).to(self.options.device)
        weights = {**{name: value.detach() for name, value in self.network.named_weights().items()}, **self.average}
        other = self.options.blend_with or self.options.warm_start
        if other and self.options.blend < 1:
            before = load_network(other).to(self.options.device).named_weights()
            weights = {name: torch.lerp(before[name].detach().to(value), value, self.options.blend) for name, value in weights.items()}
        network.load_weights(weights)
        return network.eval()

    def export(self) -> None:
        """Calibrate the averaged weights on the tuning part, measure them there, and write them."""
        network = self.averaged()
        pairs = Rounds(self.data, part="tune").plain(random.Random(1))
        logits = logits_of(network, self.tokens, pairs, self.options.device)
        temperature, self.figures = calibrate(pairs, logits)
        digest = write_weights(
            network,
            self.options.export,
            temperature=temperature,
            max_tokens=self.options.max_tokens,
            step=self.before[0] + self.step,
            training_hours=round(self.before[1] + self.elapsed / 3600, 3),
            split={"fold": self.options.fold, "folds": self.options.folds, "without": list(self.options.without)},
            tune={name: round(value, 4) for name, value in self.figures.items()},
            trained_on="training parts of SciFact (CC BY 4.0, ODC-By 1.0), AttributionBench (Apache-2.0), ContractNLI (CC BY 4.0), "
            "and of rules in other words, written for Workbench (described.txt)",
        )
        shown = " ".join(f"{name} {value:.3f}" for name, value in self.figures.items())
        print(f"export step {self.step} temperature {temperature:.3f} {shown} {digest[:12]}", flush=True)


@torch.no_grad()
def logits_of(network: torch.nn.Module, tokens: PairTokens, pairs: list[Example], device: str = "cpu") -> np.ndarray:
    """float32 ``(pairs, 3)``."""
    found = np.zeros((len(pairs), len(ENTAILMENT_LABELS)), np.float32)
    for batch in tokens.batches([(pair.claim, pair.passage) for pair in pairs]):
        ids, kinds = (torch.from_numpy(a).to(device) for a in (batch.ids, batch.kinds))
        found[batch.rows] = network(ids, kinds).float().cpu().numpy()
    return found


def calibrate(pairs: list[Example], logits: np.ndarray) -> tuple[float, dict[str, float]]:
    """The temperature, every data set counting the same, and how well the pairs are told apart by set."""
    truth = np.array([LABEL_NUMBER[pair.label] for pair in pairs], int)
    sources = np.array([pair.source.split("/")[0] for pair in pairs])
    weights = np.zeros(len(pairs))
    for source in set(sources):
        weights[sources == source] = 1 / (sources == source).sum()
    temperature = fit_temperature(logits, truth, weights)
    probabilities = softmax(logits, temperature)
    figures = {}
    for source in sorted(set(sources)):
        here = sources == source
        figures[f"{source}_macro_f1"] = measures.macro_f1(truth[here], probabilities[here].argmax(1))
        figures[f"{source}_loss"] = float(-np.log(np.maximum(probabilities[here, truth[here]], 1e-12)).mean())
    return temperature, figures


def run(options: Options) -> Training:
    """Train until the hours (or ``max_steps``) are over; returns the finished training."""
    import mlflow

    torch.set_num_threads(options.threads)
    data = Data(data_folder(options.data), Split(options.fold, options.folds), options.without)
    training = Training(options, data)
    mlflow.set_tracking_uri(f"sqlite:///{(options.folder / 'mlflow.db').resolve()}")
    mlflow.set_experiment("entailment")
    with mlflow.start_run(run_name=f"train {time.strftime('%Y-%m-%d %H:%M')}"):
        mlflow.log_params({key: str(value) for key, value in vars(options).items()})
        _loop(training, mlflow.log_metrics)
        training.save()
        training.export()
        mlflow.log_metrics(training.figures, step=training.step)
    return training


def _loop(training: Training, log: Any) -> None:
    options = training.options
    rounds = Rounds(training.data, mix=MIXES[options.mix])
    # The clock is in the seed: a resumed run must not see the same round again.
    stream = batches(rounds, training.tokens, options.batch_tokens, int(time.time()) + options.seed)
    began = time.time() - training.elapsed
    saved = exported = shown = time.time()
    recent: list[float] = []
    counted = 0
    while training.progress < 1:
        batch, labels, taught = next(stream)
        recent.append(training.learn(batch, labels, taught))
        counted += batch.ids.size
        now = time.time()
        training.elapsed = now - began
        if training.step % 25 == 0:
            said = {"loss": float(np.mean(recent)), "tokens_a_second": counted / (now - shown), "progress": training.progress}
            log(said, step=training.step)
            print(f"{time.strftime('%H:%M:%S')} step {training.step} " + " ".join(f"{k} {v:.4g}" for k, v in said.items()), flush=True)
            recent, counted, shown = [], 0, now
        if now - saved > 60 * options.minutes_between_checkpoints:
            training.save()
            saved = now
        if now - exported > 60 * options.minutes_between_exports:
            training.export()
            log(training.figures, step=training.step)
            exported = now


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="by default WORKBENCH_DATA, or ../shared/data")
    parser.add_argument("--folder", type=Path, default=Path(".workbench/training/entailment"))
    parser.add_argument("--export", type=Path, default=DEFAULT_WEIGHTS)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--max-tokens", type=int, default=MAX_TOKENS)
    parser.add_argument("--peak-lr", type=float, default=1.2e-4)
    parser.add_argument("--head-lr", type=float, default=6e-4)
    parser.add_argument("--ema", type=float, default=0.995)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fold", type=int, default=0, help="which part is held back")
    parser.add_argument("--folds", type=int, default=5, help="of how many")
    parser.add_argument("--without", type=lambda text: tuple(text.split(",")), default=(), help="requirements of ContractNLI to leave out")
    parser.add_argument("--mix", choices=tuple(MIXES), default="citations", help="what a round of training has")
    parser.add_argument("--warm-start", type=Path)
    parser.add_argument("--blend", type=float, default=1.0, help="share of the trained weights in what is exported")
    parser.add_argument("--blend-with", type=Path, help="whose weights make up the rest; by default the warm start's")
    parser.add_argument("--teacher", type=Path, help="weights whose word on citations and claims is learnt in place of the labels")
    parser.add_argument("--max-steps", type=int, default=0)
    run(Options(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
