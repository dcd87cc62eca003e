"""A thousand damaged files and every hostile kind of document in the readers: no crash, no hang over 10 s, no `internal`.

    python -m tests.benchmarks.mutated_uploads [--count 1000] [--seed 1]

Small good files of 17 kinds (documents and scans) with bytes flipped, cut, repeated and spliced, by a fixed seed; prints the
outcomes by kind. The test suite asks for fewer of the same.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from infra.telemetry import configure_logging
from tests.hostile_documents import DOCUMENTS as HOSTILE
from tests.mutated_uploads import DOCUMENTS, EVERY, Outcome, mutations, read_upload


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    configure_logging(level="error")
    outcomes: dict[str, Counter[str]] = {kind: Counter() for kind in (*EVERY, "hostile documents")}
    slowest: dict[str, float] = dict.fromkeys(outcomes, 0.0)
    faults: list[str] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:

        def ask(kind: str, name: str, content: bytes) -> None:
            path = Path(folder) / name
            path.write_bytes(content)
            outcome: Outcome = read_upload(path)
            path.unlink()
            outcomes[kind][outcome.code] += 1
            slowest[kind] = max(slowest[kind], outcome.seconds)
            if outcome.fault:
                faults.append(f"{kind} {name}: {outcome.fault}")

        for number, (kind, content) in enumerate(mutations(given.count, seed=given.seed)):
            ask(kind, f"{number}-{kind}" if kind in DOCUMENTS else f"{number}-scan.{kind}", content)
        for kind, (name, make) in HOSTILE.items():
            ask("hostile documents", f"{len(kind)}-{name}", make())
    codes = sorted({code for found in outcomes.values() for code in found})
    print(f"{given.count} damaged files (seed {given.seed}), {len(HOSTILE)} hostile documents, {time.monotonic() - began:.0f} s")
    print(f"{'kind':<20}" + "".join(f"{code:>20}" for code in codes) + f"{'slowest (CPU s)':>18}")
    for kind, found in outcomes.items():
        print(f"{kind:<20}" + "".join(f"{found[code]:>20}" for code in codes) + f"{slowest[kind]:>18.1f}")
    print(*(faults or ["no crash, no hang over 10 s, no internal"]), sep="\n")
    if faults:
        sys.exit(1)


if __name__ == "__main__":
    main()
