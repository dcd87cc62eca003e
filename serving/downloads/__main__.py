"""``python -m serving.downloads [NAME ...]``: fetch what is missing; exit code 1 where a download failed."""

from __future__ import annotations

import sys

from infra.errors import InvalidInput, WorkbenchError
from serving.downloads import DOWNLOADS, fetch, is_there


def main(names: list[str]) -> int:
    """Fetch the named downloads, or all."""
    failed = False
    for name in names or DOWNLOADS:
        try:
            if name not in DOWNLOADS:
                raise InvalidInput(f"There is no download '{name}'. There are: {', '.join(DOWNLOADS)}.")
            if not is_there(name):
                print(f"Downloading {DOWNLOADS[name].title} ({DOWNLOADS[name].megabytes} MB)", flush=True)
                fetch(name)
        except WorkbenchError as error:
            print(error.message, file=sys.stderr)
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
