"""``python -m knowledge.evaluate parsing --data DIR``: the knowledge room's own figures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from knowledge.parsing_evaluation import evaluate_parsing


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m knowledge.evaluate")
    parser.add_argument("what", choices=["parsing"])
    parser.add_argument("--data", type=Path, required=True, help="a folder laid out as ../shared/data/rag")
    parser.add_argument("--only", help="regular expression on the cases' names")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    arguments = parser.parse_args()
    report = evaluate_parsing(arguments.data, only=arguments.only)
    if arguments.json:
        print(json.dumps(report, indent=1))
        return
    for case in report["cases"]:
        low = case["recall"] is not None and case["recall"] < 0.95
        if low or not case["right"] or arguments.only:
            recall = "" if case["recall"] is None else f"{case['recall']:.3f}"
            cost = f"{case['seconds']:6.1f} s ({case['cpu_seconds']:.1f} s CPU) {case['memory_mb']:5.0f} MB"
            print(f"{case['name'][:70]:72}{case['expect']:18}{case['outcome']:18}{recall:8}{cost}  {case['note'][:120]}")
    for name, value in report["summary"].items():
        print(f"{name:34}{value}")


if __name__ == "__main__":
    main()
