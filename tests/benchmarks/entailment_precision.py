"""What the entailment model's bfloat16 costs and saves against float32 on this processor.

    python -m tests.benchmarks.entailment_precision [--pairs 640]

Pairs are the starter set's requirements against sentences of its two sample documents. Where the processor has no bfloat16 the
backend computes in float32 both times, and the table says so.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

import numpy as np

from infra.settings import load_settings
from knowledge.requirements.spans import spans_of
from pipelines.compliance.samples import SAMPLES
from pipelines.evaluation.compliance_samples import markdown_document, starter_requirements
from serving.backends.backend import Place
from serving.entailment.openvino_backend import OpenVinoEntailment
from serving.registry.embedded import embedded_version


class Float32(OpenVinoEntailment):
    """The same weights and graph, in float32."""

    precision = "f32"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.entailment_precision", description=__doc__)
    parser.add_argument("--pairs", type=int, default=640)
    chosen = parser.parse_args()
    pairs = drawn(chosen.pairs)
    found, seconds = [], []
    for backend in (OpenVinoEntailment, Float32):
        model = embedded_version(load_settings(), "entailment")
        one = backend(model, Place("cpu", 0, Path(".workbench/cache")))
        one.load()
        one.entail(pairs[:64])
        began = time.perf_counter()
        found.append(one.entail(pairs))
        seconds.append(time.perf_counter() - began)
        one.close()
    apart = np.abs(found[0] - found[1])
    changed = int((found[0].argmax(1) != found[1].argmax(1)).sum())
    print(f"{len(pairs)} pairs: {OpenVinoEntailment.precision} {seconds[0]:.2f} s, f32 {seconds[1]:.2f} s")
    print(f"probabilities apart by {apart.mean():.4f} on average, {apart.max():.3f} at most; {changed} labels changed")
    if not apart.any():
        print("the two are the same: this processor has no bfloat16, and float32 was computed both times")


def drawn(count: int) -> list[tuple[str, str]]:
    """(requirement, sentence) pairs, always the same."""
    spans = [span.text for name, sample in SAMPLES.items() for span in spans_of(markdown_document(name, sample.markdown))]
    asked = [one.text for one in starter_requirements()]
    rng = random.Random(0)
    return [(rng.choice(asked), rng.choice(spans)) for _ in range(count)]


if __name__ == "__main__":
    main()
