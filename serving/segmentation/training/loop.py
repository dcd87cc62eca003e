"""The training loop of the embedded segmentation network; the command is :mod:`serving.segmentation.train`."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from serving.segmentation.labels import CLASS_COUNT, INDEX, MERGED_15
from serving.segmentation.network import SUBVOXELS, BrainNetwork, NetworkShape, load_parameters
from serving.segmentation.synthetic.atlas import Atlas, load_atlas
from serving.segmentation.synthetic.synthesis import Synthesiser
from serving.segmentation.training.losses import class_weights, dice_by_class, segmentation_loss
from serving.segmentation.weights_file import DEFAULT_WEIGHTS, load_network, read_info, write_weights

TRAINING_MAPS = tuple(range(1, 15))
VALIDATION_MAPS = (15, 16)
SIZES_MM = (
    (0.5, (((96, 128, 96), 0.7), ((128, 160, 128), 0.3))),
    (1.0, (((128, 160, 128), 0.8), ((160, 192, 160), 0.2))),
)
"""Until which progress, which fields in mm and how often each: first many small images, since what a step
learns is mostly one more contrast; then fields that hold a brain."""
COARSE_WEIGHTS = (0.5, 0.25, 0.125)
"""Weights of the loss on the decoder's coarser maps (deep supervision; Isensee et al. 2021), fine to coarse."""
SUBVOXELS_A_STEP = 2
VALIDATION_SIZE_MM = (160, 192, 160)


@dataclass
class Options:
    """How to train. hours: wall-clock budget over all resumed parts; folder: checkpoints and logs;
    threads: processes on a CPU, one thread each; ema: decay a step; grid_mm: voxel size;
    not_brains: share of images that show none."""

    data: Path
    folder: Path
    export: Path = DEFAULT_WEIGHTS
    hours: float = 2.0
    device: str = "cpu"
    threads: int = 2
    batch: int = 1
    peak_lr: float = 2e-3
    weight_decay: float = 1e-3
    ema: float = 0.998
    seed: int = 0
    filters: tuple[int, ...] = (16, 32, 64, 128, 160)
    grid_mm: float = 1.0
    not_brains: float = 0.05
    minutes_between_checkpoints: float = 4.0
    minutes_between_exports: float = 10.0
    warm_start: Path | None = None
    max_steps: int = 0
    maps: tuple[int, ...] = field(default=TRAINING_MAPS)


def learning_rate(progress: float, peak: float) -> float:
    """One cycle: linear warm-up over the first 2.5 %, then a cosine to zero at progress 1."""
    if progress < 0.025:
        return peak * (0.15 + 0.85 * progress / 0.025)
    return peak * 0.5 * (1 + math.cos(math.pi * min((progress - 0.025) / 0.975, 1.0)))


def draw_size(rng: np.random.Generator, grid_mm: float, progress: float) -> tuple[int, int, int]:
    """Voxels along each side of the next training image."""
    sizes = next((sizes for until, sizes in SIZES_MM if progress < until), SIZES_MM[-1][1])
    size = sizes[int(rng.choice(len(sizes), p=[share for _, share in sizes]))][0]
    return tuple(round(mm / grid_mm) for mm in size)  # type: ignore[return-value]


def subvoxel_views(subvoxels: list[int]) -> list[tuple[slice, slice, slice]]:
    """Slices that pick each sub-voxel position from a volume."""
    return [tuple(slice((s >> bit) & 1, None, 2) for bit in (2, 1, 0)) for s in subvoxels]  # type: ignore[misc]


class SyntheticStream:
    """An endless stream of (image, classes, right) batches; `progress` tells how far the training is, 0 to 1."""

    def __init__(self, options: Options, progress: Callable[[], float], device: str = "cpu") -> None:
        self.options, self.progress, self.device = options, progress, device

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        # The clock is in the seed: a resumed run must not see the same images again.
        seed = int(time.time()) % 100_000 + 1_000_003 * self.options.seed
        rng = np.random.default_rng(seed)
        synthesiser = Synthesiser(
            load_maps(self.options, self.options.maps), seed, self.device, grid_mm=self.options.grid_mm, not_brains=self.options.not_brains
        )
        while True:
            size = draw_size(rng, self.options.grid_mm, self.progress())
            parts = [synthesiser.sample(size) for _ in range(self.options.batch)]
            yield (
                torch.stack([p.image[None] for p in parts]),
                torch.stack([p.classes for p in parts]),
                torch.stack([p.right for p in parts]),
            )


def load_maps(options: Options, numbers: tuple[int, ...]) -> list[Atlas]:
    """The label maps with these numbers, prepared once under the run's folder."""
    source = options.data / "labels" / "synthseg"
    return [load_atlas(source / f"training_seg_{n:02d}.nii.gz", options.folder / "atlas") for n in numbers]


@torch.no_grad()
def validate(network: BrainNetwork, options: Options, count: int = 6) -> float:
    """Mean Dice over the 15 merged structures on fixed synthetic images of the maps never trained on."""
    synthesiser = Synthesiser(load_maps(options, VALIDATION_MAPS), seed=12345, pathology=0.3, grid_mm=options.grid_mm)
    scores = []
    network.eval()
    for i in range(count):
        sample = synthesiser.sample(tuple(round(mm / options.grid_mm) for mm in VALIDATION_SIZE_MM))  # type: ignore[arg-type]
        with torch.autocast(options.device, torch.bfloat16):
            logits = network.at_subvoxels(sample.image[None, None].to(options.device), [i % SUBVOXELS])
        guess = logits[0, :CLASS_COUNT].argmax(0).cpu()
        dice = dice_by_class(guess, sample.classes[subvoxel_views([i % SUBVOXELS])[0]], CLASS_COUNT)
        scores.append(float(torch.nanmean(dice[[INDEX[n] for n in MERGED_15]])))
    network.train()
    return float(np.mean(scores))


class CoarseHeads(nn.Module):
    """Answers from the decoder's coarser maps; they guide the training and are not part of the network."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Conv3d(f, shape.classes + 1, 1) for f in shape.filters[1 : 1 + len(COARSE_WEIGHTS)])

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Logits (n, classes + 1, d, h, w) of each map, fine to coarse."""
        return [head(one).contiguous() for head, one in zip(self.heads, maps, strict=False)]


def coarse_view(labels: Tensor, level: int) -> Tensor:
    """Labels at (about) the middle of each voxel of the decoder's map that is `level` steps above the finest."""
    step = 2 ** (level + 1)
    return labels[:, step // 2 :: step, step // 2 :: step, step // 2 :: step]


class Learner:
    """Takes optimiser steps on a network; several may share one (see `_help`)."""

    def __init__(self, network: BrainNetwork, heads: CoarseHeads, options: Options) -> None:
        self.network, self.heads, self.options = network, heads, options
        self.parameters = [*network.parameters(), *heads.parameters()]
        self.optimiser = torch.optim.AdamW(self.parameters, lr=options.peak_lr, weight_decay=options.weight_decay)

    def step(self, image: Tensor, classes: Tensor, right: Tensor, progress: float) -> dict[str, float]:
        """One step on one batch, at random sub-voxel positions; returns the parts of the finest map's loss."""
        options = self.options
        rate = learning_rate(progress, options.peak_lr)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        classes, right = classes.to(options.device), right.to(options.device)
        picked = torch.randperm(SUBVOXELS)[:SUBVOXELS_A_STEP].tolist()
        views = subvoxel_views(picked)
        with torch.autocast(options.device, torch.bfloat16):
            logits, maps = self.network.answers(image.to(options.device), picked)
            coarse = self.heads(maps)
        truth = torch.cat([classes[:, i, j, k] for i, j, k in views])
        sides = torch.cat([right[:, i, j, k] for i, j, k in views])
        weights = class_weights(max(0.0, 1 - progress / 0.7))
        loss, parts = segmentation_loss(logits, truth, sides, weights)
        for level, (guess, weight) in enumerate(zip(coarse, COARSE_WEIGHTS, strict=False), 1):
            loss = loss + weight * segmentation_loss(guess, coarse_view(classes, level), coarse_view(right, level), weights)[0]
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, 5.0)
        if torch.isfinite(norm):
            self.optimiser.step()
        return {**parts, "loss": float(loss.detach()), "learning_rate": rate}


def _help(network: BrainNetwork, heads: CoarseHeads, options: Options, began: float, seed: int, steps: Any) -> None:
    """A further process that trains the same shared parameters, one thread each, without waiting.

    Hogwild (Recht et al., NeurIPS 2011). Two threads inside every operation wait for each other at
    each of them, and on a machine shared with others the slower one sets the pace; two processes
    that each take their own samples never wait.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    learner = Learner(network, heads, options)

    def progress() -> float:
        return (time.time() - began) / (3600 * options.hours)

    parent = os.getppid()
    for batch in SyntheticStream(replace(options, seed=seed), progress):
        if progress() >= 1 or os.getppid() != parent:  # a parent that was killed could not end this process
            return
        learner.step(*batch, progress())
        with steps.get_lock():
            steps.value += 1


class Training:
    """One run: network, optimiser, EMA, clock, and the files they are kept in."""

    def __init__(self, options: Options) -> None:
        self.options = options
        options.folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(options.seed)
        self.network = BrainNetwork(NetworkShape(filters=options.filters)).to(options.device)
        self.before: dict[str, Any] = {"step": 0, "training_hours": 0.0, "limits": []}  # of the runs that the warm start comes from
        if options.warm_start:
            self.network.load_state_dict(load_network(options.warm_start).state_dict())
            info = read_info(options.warm_start)
            self.before = {
                "step": info.step,
                "training_hours": info.extra.get("training_hours", 0.0),
                "limits": info.extra.get("limits", []),
            }
        self.network = self.network.to(memory_format=torch.channels_last_3d)  # pyright: ignore[reportCallIssue]
        self.heads = CoarseHeads(self.network.shape).to(options.device)
        self.network.share_memory()
        self.heads.share_memory()
        self.learner = Learner(self.network, self.heads, options)
        self.average = {k: v.detach().clone() for k, v in self.network.named_parameters()}
        self.step, self.elapsed, self.validation = 0, 0.0, float("nan")
        self.checkpoint = options.folder / "checkpoint.pt"
        if self.checkpoint.exists():
            self._resume()

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.options.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.heads.load_state_dict(state["heads"])
        self.learner.optimiser.load_state_dict(state["optimiser"])
        self.average, self.step, self.elapsed = state["average"], state["step"], state["elapsed"]
        self.before = json.loads(state["before"])  # the file that was started from may by now be another
        print(f"resumed at step {self.step}, {self.elapsed / 60:.1f} min", flush=True)

    def progress(self) -> float:
        """Share of the hours that is over."""
        return self.elapsed / (3600 * self.options.hours)

    def count(self, step: int) -> None:
        """Steps are now `step` (all processes'); the EMA takes the parameters in by as much."""
        decay = min(self.options.ema, (1 + step) / (10 + step)) ** (step - self.step)
        self.step = step
        with torch.no_grad():
            for key, value in self.network.named_parameters():
                self.average[key].lerp_(value, 1 - decay)

    def save(self) -> None:
        """Write the checkpoint atomically."""
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(
            {
                "network": self.network.state_dict(),
                "heads": self.heads.state_dict(),
                "optimiser": self.learner.optimiser.state_dict(),
                "average": self.average,
                "step": self.step,
                "elapsed": self.elapsed,
                "before": json.dumps(self.before),
            },
            partial,
        )
        partial.replace(self.checkpoint)

    def export(self) -> None:
        """Write the EMA weights where the project reads them, with their validation Dice."""
        network = BrainNetwork(self.network.shape).to(self.options.device)
        load_parameters(network, self.average)
        self.validation = validate(network, self.options)
        digest = write_weights(
            self.average,
            self.network.shape,
            self.before["step"] + self.step,
            self.options.export,
            self.options.grid_mm,
            training_hours=round(self.before["training_hours"] + self.elapsed / 3600, 3),
            validation_dice_maps_15_16=round(self.validation, 4),
            trained_on="SynthSeg label maps 01-14 (Apache-2.0), synthetic images only",
            limits=self.before["limits"],
        )
        print(f"export step {self.step} validation {self.validation:.4f} {digest[:12]}", flush=True)


def run(options: Options) -> Training:
    """Train until the hours (or `max_steps`) are over; returns the finished training."""
    import mlflow

    on_gpu = options.device.startswith("cuda")
    torch.set_num_threads(1)
    training = Training(options)
    began = time.time() - training.elapsed
    processes = torch.multiprocessing.get_context("spawn")
    steps = processes.Value("l", 0)
    helpers = [
        processes.Process(target=_help, args=(training.network, training.heads, options, began, i + 1, steps), daemon=True)
        for i in range(0 if on_gpu else options.threads - 1)
    ]
    for helper in helpers:
        helper.start()
    mlflow.set_tracking_uri(f"sqlite:///{(options.folder / 'mlflow.db').resolve()}")
    mlflow.set_experiment("segmentation")
    try:
        with mlflow.start_run(run_name=f"train {time.strftime('%Y-%m-%d %H:%M')}"):
            mlflow.log_params({k: str(v) for k, v in vars(options).items()})
            _loop(training, iter(SyntheticStream(options, training.progress, options.device)), began, steps, mlflow.log_metrics)  # pyright: ignore[reportArgumentType]
            training.save()
            training.export()
            mlflow.log_metric("validation_dice", training.validation, step=training.step)
    finally:
        for helper in helpers:
            helper.terminate()
    return training


def _loop(training: Training, batches: Iterator, began: float, others: Any, log: Callable[..., None]) -> None:
    options = training.options
    saved = time.time()
    exported = saved - 60 * options.minutes_between_exports + 150  # the first one soon: others wire against it
    recent: list[dict[str, float]] = []
    first, done = training.step, 0
    mark, marked_step, shown_step = time.time(), training.step, training.step
    while training.elapsed < 3600 * options.hours and not (options.max_steps and training.step >= options.max_steps):
        recent.append(training.learner.step(*next(batches), training.progress()))  # pyright: ignore[reportCallIssue]
        done += 1
        training.count(first + done + int(others.value))
        now = time.time()
        training.elapsed = now - began
        if training.step - shown_step >= 25:
            means = {k: float(np.mean([r[k] for r in recent])) for k in recent[0]}
            means["seconds_per_step"] = (now - mark) / max(training.step - marked_step, 1)
            mark, marked_step, shown_step = now, training.step, training.step
            log(means, step=training.step)
            shown = " ".join(f"{k} {v:.4g}" for k, v in means.items())
            print(f"{time.strftime('%H:%M:%S')} step {training.step} {shown}", flush=True)
            recent = []
        if now - saved > 60 * options.minutes_between_checkpoints:
            training.save()
            saved = now
        if now - exported > 60 * options.minutes_between_exports:
            training.export()
            exported = now
            log({"validation_dice": training.validation}, step=training.step)
