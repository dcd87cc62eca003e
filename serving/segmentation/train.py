"""Train the embedded segmentation network on images synthesised from SynthSeg's label maps.

    python -m serving.segmentation.train --hours 2 --data ../shared/data/mri

Resumable (the newest checkpoint in the run's folder is taken up), time-based (the learning rate
decays to zero when the hours are over), device-agnostic. Every few minutes it leaves a checkpoint
and the EMA weights as bf16 safetensors where the rest of the project picks them up.
`--warm-start` begins from exported weights instead of from nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from serving.segmentation.training.loop import Options, run
from serving.segmentation.weights_file import DEFAULT_WEIGHTS


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/mri"))
    parser.add_argument("--folder", type=Path, default=Path(".workbench/training/segmentation"))
    parser.add_argument("--export", type=Path, default=DEFAULT_WEIGHTS)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=0, help="images a step; default 1 on a CPU, 4 on a GPU")
    parser.add_argument("--grid-mm", type=float, default=1.0, help="voxel size of the network's image and labels")
    parser.add_argument("--filters", type=lambda text: tuple(int(n) for n in text.split(",")), default=(16, 32, 64, 128, 160))
    parser.add_argument("--not-brains", type=float, default=0.05, help="share of images that show no brain")
    parser.add_argument("--peak-lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--warm-start", type=Path)
    parser.add_argument("--max-steps", type=int, default=0)
    given = vars(parser.parse_args())
    given["batch"] = given["batch"] or (4 if given["device"].startswith("cuda") else 1)
    run(Options(**given))


if __name__ == "__main__":
    main()
