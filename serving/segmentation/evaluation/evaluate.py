"""The table of issue 4, measured: ours and brainchop's model18cls on the same scans in the same run.

    python -m serving.segmentation.evaluation.evaluate --data ../shared/data/mri

`evaluate()` returns the rows; `cases` holds what each measure does. The data folder is laid out as
`../shared/data/mri` is; measures whose scans are not there are left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from serving.segmentation.backends import open_backend
from serving.segmentation.evaluation import cases
from serving.segmentation.inference import Segmenter
from serving.segmentation.weights_file import DEFAULT_WEIGHTS


@dataclass(frozen=True)
class Row:
    """One measure. must and aim are thresholds; better: "high", "low" or "" (reported only)."""

    measure: str
    value: float | None
    must: float | None = None
    aim: float | None = None
    better: str = "high"
    unit: str = ""
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool | None:
        """Whether `must` is met; None where there is nothing to meet."""
        if self.must is None or self.value is None:
            return None
        return self.value >= self.must if self.better == "high" else self.value <= self.must


def evaluate(
    data: Path,
    segmenter: Segmenter | None = None,
    weights: Path = DEFAULT_WEIGHTS,
    peer: bool = True,
    only: str = "",
    show: Callable[[Row], None] = lambda row: None,
    own: bool = True,
) -> list[Row]:
    """Measure everything that `data` allows; each row is shown as it comes.

    only: part of a measure's name, to run just those. own: whether it is our own network, whose speed is measured by its
    weights; another segmenter (anything with `segment`) goes without. Raises FileNotFoundError when `data` is no folder.
    """
    if not data.is_dir():
        raise FileNotFoundError(f"{data} is not a folder")
    segmenter = segmenter or Segmenter(open_backend("openvino", weights=weights))
    rows: list[Row] = []
    for name, measure in _measures(data, segmenter, weights, peer):
        if (only and only not in name) or (not own and name in OWN):
            continue
        for row in measure():
            rows.append(row)
            show(row)
    return rows


OWN = ("speed", "torch ratio")
"""Measures that need the weights of our own network."""


def _measures(data: Path, segmenter: Segmenter, weights: Path, peer: bool) -> list[tuple[str, Callable[[], list[Row]]]]:
    return [
        ("speed", lambda: _speed(data, weights, peer)),
        ("pair_fs", lambda: _pair(data, segmenter, peer)),
        ("synthetic", lambda: _synthetic(data, segmenter)),
        ("lesions", lambda: _lesions(data, segmenter)),
        ("tumours", lambda: _tumours(data, segmenter)),
        ("orientations", lambda: _orientations(data, segmenter)),
        ("kept", lambda: _kept(data, segmenter)),
        ("refused", lambda: _refused(data, segmenter)),
        ("torch ratio", lambda: _ratio(segmenter, weights)),
    ]


def _pair(data: Path, segmenter: Segmenter, peer: bool) -> list[Row]:
    found = cases.pair_fs(data, segmenter)
    if found is None:
        return []
    rows = [
        Row("mean Dice, 15 merged structures, pair_fs", found.mean, 0.80, 0.88, detail=found.by_structure),
        Row("left/right confusion, pair_fs", found.confusion, 0.005, 0.001, "low"),
    ]
    if peer and (theirs := cases.pair_fs_peer(data)) is not None:
        rows.append(Row("the same, brainchop model18cls", theirs.mean, better="", detail=theirs.by_structure | {"seconds": theirs.seconds}))
        rows.append(Row("ours minus brainchop, pair_fs", found.mean - theirs.mean, 0.0))
    return rows


def _synthetic(data: Path, segmenter: Segmenter) -> list[Row]:
    found = cases.synthetic(data, segmenter)
    if not found:
        return []
    mean = sum(score for _, score, _ in found) / len(found)
    confusion = sum(c for _, _, c in found) / len(found)
    detail = {f"{i} {name}": round(score, 4) for i, (name, score, _) in enumerate(found)}
    return [
        Row("mean Dice, synthetic maps 15 and 16", mean, 0.72, 0.85, detail=detail),
        Row("left/right confusion, synthetic", confusion, 0.005, 0.001, "low"),
    ]


def _lesions(data: Path, segmenter: Segmenter) -> list[Row]:
    rows = []
    for sequence, must, aim in (("FLAIR", (0.45, 0.40), (0.65, 0.60)), ("T1", (None, None), (None, None))):
        found = cases.white_matter_lesions(data, segmenter, sequence)
        if found:
            rows.append(Row(f"white-matter lesions, patient07 {sequence}: Dice", found[0], must[0], aim[0]))
            rows.append(Row(f"white-matter lesions, patient07 {sequence}: lesion-wise F1", found[1], must[1], aim[1]))
    return rows


def _tumours(data: Path, segmenter: Segmenter) -> list[Row]:
    rows = []
    for sequence in ("Flair", "T1c"):
        found = cases.tumours(data, segmenter, sequence)
        if found:
            must, aim = (0.55, 0.80) if sequence == "Flair" else (None, None)
            rows.append(Row(f"whole tumour, {sequence}: Dice", sum(found.values()) / len(found), must, aim, detail=found))
    return rows


def _orientations(data: Path, segmenter: Segmenter) -> list[Row]:
    found = cases.orientations(data, segmenter)
    if found is None:
        return []
    return [
        Row("six orientations: mean Dice after mapping back", found[0], 0.97, 0.99),
        Row("six orientations: largest difference of a structure's volume", found[1], 0.03, None, "low"),
    ]


def _kept(data: Path, segmenter: Segmenter) -> list[Row]:
    verdicts = cases.brains(data, segmenter)
    if not verdicts:
        return []
    kept = sum(v[0] != "refused" for v in verdicts.values()) / len(verdicts)
    return [Row("brains not refused", kept, 1.0, detail={k: list(v) for k, v in verdicts.items()})]


def _refused(data: Path, segmenter: Segmenter) -> list[Row]:
    verdicts = cases.not_brains(data, segmenter)
    refused = sum(v[0] == "refused" for v in verdicts.values()) / len(verdicts)
    return [Row("not brains refused", refused, 1.0, detail={k: list(v) for k, v in verdicts.items()})]


def _speed(data: Path, weights: Path, peer: bool) -> list[Row]:
    """Each timed in a process of its own; ours imports what a replica does: no torch, no evaluation."""
    scan = data / "t1" / "brainchop_t1_crop_256.nii.gz"
    if not scan.exists():
        return []
    timed = _timed(scan, "--weights", str(weights))
    rows = [
        Row("seconds from file to labels, 256^3, warm", timed["warm_seconds"], 5.0, 2.0, "low", "s", timed),
        Row("peak memory of that process", timed["peak_gb"], 3.0, 2.0, "low", "GB"),
    ]
    theirs = data / "peers" / "brainchop" / "model18cls"
    if peer and theirs.is_dir():
        timed = _timed(scan, "--peer", str(theirs), "--runs", "1")
        rows.append(Row("seconds, brainchop model18cls in torch", timed["warm_seconds"], better="", unit="s", detail=timed))
        rows.append(Row("peak memory, brainchop model18cls in torch", timed["peak_gb"], better="", unit="GB"))
    return rows


def _timed(scan: Path, *options: str) -> dict[str, Any]:
    """What :mod:`serving.segmentation.evaluation.timing` prints of a scan."""
    command = [sys.executable, "-m", "serving.segmentation.evaluation.timing", str(scan), *options]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]))


def _ratio(segmenter: Segmenter, weights: Path) -> list[Row]:
    ours, torch_seconds = cases.inference_alone(segmenter, weights)
    detail = {"ours_s": ours, "torch_float32_s": torch_seconds}
    return [Row("plain torch float32 over ours, inference alone", torch_seconds / ours, 4.0, 8.0, unit="x", detail=detail)]


def print_row(row: Row) -> None:
    """One line a measure."""
    value = "-" if row.value is None else f"{row.value:.4g}{row.unit and ' ' + row.unit}"
    mark = {True: "ok", False: "MISSED", None: ""}[row.passed]
    must = "" if row.must is None else f"{'>=' if row.better == 'high' else '<='} {row.must:g}"
    aim = "" if row.aim is None else f"{row.aim:g}"
    print(f"{row.measure:<62} {value:>12} {must:>9} {aim:>6} {mark}", flush=True)


def log_to_mlflow(rows: list[Row], tracking_uri: str, info: dict[str, Any]) -> None:
    """One MLflow run with every measure as a metric, and the whole table as an artifact."""
    import mlflow

    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_experiment("segmentation evaluation")
    with mlflow.start_run(run_name=time.strftime("evaluate %Y-%m-%d %H:%M")):
        mlflow.log_params(info)
        for row in rows:
            if row.value is not None:
                mlflow.log_metric("".join(c if c.isalnum() or c in "_-. /" else "_" for c in row.measure), row.value)
        mlflow.log_dict({"rows": [asdict(row) | {"passed": row.passed} for row in rows]}, "evaluation.json")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/mri"))
    parser.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS)
    parser.add_argument("--backend", choices=("openvino", "torch"), default="openvino")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", default="", help="part of a measure's name: pair_fs, lesions, refused ...")
    parser.add_argument("--no-peer", action="store_true", help="leave brainchop out")
    parser.add_argument("--json", type=Path, help="write the rows there")
    parser.add_argument("--mlflow", default="", help="tracking URI; nothing is logged without one")
    given = parser.parse_args()
    segmenter = Segmenter(open_backend(given.backend, given.device, given.weights))
    info = segmenter.backend.info
    print(f"weights {info.digest[:16]} step {info.step}; {segmenter.backend.name} on {segmenter.backend.device}")
    rows = evaluate(given.data, segmenter, given.weights, not given.no_peer, given.only, print_row)
    if given.json:
        given.json.write_text(json.dumps([asdict(r) | {"passed": r.passed} for r in rows], indent=1))
    if given.mlflow:
        log_to_mlflow(rows, given.mlflow, {"digest": info.digest, "step": info.step, "backend": segmenter.backend.name})


if __name__ == "__main__":
    main()
