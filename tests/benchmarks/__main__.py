"""Runs the benchmarks named, or all: each is a module of this package with ``main() -> None`` that prints a table."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import tests.benchmarks


def main() -> int:
    known = [module.name for module in pkgutil.iter_modules(tests.benchmarks.__path__) if not module.name.startswith("_")]
    wanted = sys.argv[1:] or known
    if unknown := [name for name in wanted if name not in known]:
        print(f"No benchmark {', '.join(unknown)}. Known: {', '.join(known)}.", file=sys.stderr)
        return 2
    # One process each: memory and threads of one do not colour the next.
    return max(subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], check=False).returncode for name in wanted)


if __name__ == "__main__":
    sys.exit(main())
