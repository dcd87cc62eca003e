"""What `grey_values` computes for millions of numbers, compiled: numpy converts half precision one number at a time.

Cells are blocks of eight voxels, as the network leaves its answer (see `folding`), their logits ``(cells, classes, 8)``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as op

from serving.segmentation.labels import CLASS_COUNT

PART = 1 << 15
"""Cells at a time: their logits as float32 take 23 MB."""
LEAD, CHANGED = "lead", "changed"
_Arrays = dict[str, np.ndarray]


class GreyGraph:
    """Two small programs for a CPU. Safe to call from several threads."""

    def __init__(self, threads: int) -> None:
        core = ov.Core()
        config = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
        self._compiled = {name: core.compile_model(build(), "CPU", config) for name, build in ((LEAD, _lead), (CHANGED, _changed))}

    def lead(self, logits: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """How far the most probable class is ahead of the second, float32 ``(len(cells), 8)``.

        Args:
            logits: float16 ``(every cell, classes, 8)``.
            cells: those that are wanted.
        """
        found = np.empty((len(cells), 8), np.float32)
        for part, length in _parts(len(cells)):
            found[part] = self._run(LEAD, {"logits": logits[cells[part]]}, length)["lead"]
        return found

    def change(self, logits: np.ndarray, cells: np.ndarray, voxels: _Arrays, kinds: _Arrays) -> np.ndarray:
        """Add what the grey values say to the logits of ``cells``, in place; returns the classes then most probable, uint8
        ``(len(cells), 8)``.

        Args:
            logits, cells: as for :meth:`lead`.
            voxels: float32 ``(len(cells), 8)`` each: ``grey``; ``own``, the log likelihood of the voxel's own class; ``weight``
                of the likelihood, 0 for a voxel that stays as it is.
            kinds: float32 ``(classes,)`` each: ``centre``, ``spread``, ``least`` (no log likelihood is below it), ``known``
                (1, or 0 for a class that the grey values say nothing of).
        """
        kinds = {name: value.reshape(1, CLASS_COUNT, 1) for name, value in kinds.items()}
        classes = np.empty((len(cells), 8), np.uint8)
        for part, length in _parts(len(cells)):
            given = {"logits": logits[cells[part]], **{name: value[part, None] for name, value in voxels.items()}}
            found = self._run(CHANGED, given, length, kinds)
            logits[cells[part]], classes[part] = found["logits"], found["classes"]
        return classes

    def _run(
        self, name: str, rows: dict[str, np.ndarray], length: int, fixed: dict[str, np.ndarray] | None = None
    ) -> dict[str, np.ndarray]:
        """The outputs for ``length`` cells: the programs are compiled for `PART` of them, the last part is filled up."""
        if length < PART:
            rows = {key: np.concatenate([value, np.zeros((PART - length, *value.shape[1:]), value.dtype)]) for key, value in rows.items()}
        request: Any = self._compiled[name].create_infer_request()
        request.infer({**rows, **(fixed or {})}, share_inputs=True)
        return {port.any_name: request.get_tensor(port).data[:length] for port in self._compiled[name].outputs}


@lru_cache(maxsize=2)
def grey_graph(threads: int) -> GreyGraph:
    """The programs for so many threads, compiled once a process (a tenth of a second)."""
    return GreyGraph(threads)


def _parts(count: int) -> Iterator[tuple[slice, int]]:
    return ((slice(start, start + PART), min(PART, count - start)) for start in range(0, count, PART))


def _given(name: str, *shape: int, kind: type = np.float32) -> Any:
    node = op.parameter(list(shape), kind, name=name)
    node.output(0).set_names({name})
    return node


def _named(output: Any, name: str) -> Any:
    output.set_names({name})
    return output


def _lead() -> ov.Model:
    logits = _given("logits", PART, CLASS_COUNT, 8, kind=np.float16)
    best = op.topk(op.convert(logits, np.float32), np.array(2, np.int64), 1, "max", "value", "i32").output(0)
    first, second = op.split(best, np.array(1, np.int64), 2).outputs()
    lead = op.squeeze(op.subtract(first, second), np.array([1], np.int64)).output(0)
    return ov.Model([_named(lead, "lead")], [logits], LEAD)  # pyright: ignore[reportGeneralTypeIssues]


def _changed() -> ov.Model:
    logits = _given("logits", PART, CLASS_COUNT, 8, kind=np.float16)
    grey, own, weight = (_given(name, PART, 1, 8) for name in ("grey", "own", "weight"))
    centre, spread, least, known = (_given(name, 1, CLASS_COUNT, 1) for name in ("centre", "spread", "least", "known"))
    away = op.divide(op.subtract(grey, centre), spread)
    said = op.maximum(op.subtract(op.multiply(op.multiply(away, away), np.float32(-0.5)), op.log(spread)), least)
    gain = op.multiply(op.multiply(op.subtract(said, own), known), weight)
    changed = op.convert(op.add(op.convert(logits, np.float32), gain), np.float16)
    # The classes are those of the logits as they are kept, in half precision.
    best = op.topk(op.convert(changed, np.float32), np.array(1, np.int64), 1, "max", "none", "i32").output(1)
    classes = op.squeeze(op.convert(best, np.uint8), np.array([1], np.int64)).output(0)
    outputs = [_named(changed.output(0), "logits"), _named(classes, "classes")]
    return ov.Model(outputs, [logits, grey, own, weight, centre, spread, least, known], CHANGED)  # pyright: ignore[reportGeneralTypeIssues]
