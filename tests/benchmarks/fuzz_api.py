"""Random requests to every documented operation of the gateway: none may end with 5xx, or with a status that is not documented.

    python -m tests.benchmarks.fuzz_api [--examples 100] [--seed 1] [--only "POST /mlops"]

The gateway stands over the simulated world of the end-to-end tests, signed in and not (see tests/fuzzing.py). The test suite
runs the same with few examples.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from infra.telemetry import configure_logging
from tests.fuzzing import fuzz, simulated_gateway


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100, help="requests to each operation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="a part of the operations' names")
    given = parser.parse_args()
    configure_logging(level="error")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, simulated_gateway(Path(folder) / "home") as world:
        found = fuzz(world, examples=given.examples, seed=given.seed, only=given.only)
    print(found.table())
    if found.faults:
        sys.exit(1)


if __name__ == "__main__":
    main()
