"""Bring a Chromium for the tests of the pages: Playwright's own where it can be downloaded, else the distribution's.

``make test`` runs this first. Where neither can be had, the tests of the pages are reported as not run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path


def chromium() -> str | None:
    """The executable of a Chromium on this machine, or None."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    cache = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH", Path.home() / ".cache" / "ms-playwright"))
    own = sorted(cache.glob("chromium-*/chrome-linux*/chrome"))
    return str(own[-1]) if own else None


def bring() -> str | None:
    """Install one where there is none, and return its executable."""
    if found := chromium():
        return found
    print("Bringing Chromium for the tests of the pages", flush=True)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], timeout=300, check=False, **quiet)
    if not chromium() and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]):
            subprocess.run(command, timeout=600, check=False, env=environment, **quiet)
    return chromium()


if __name__ == "__main__":
    print(bring() or "No Chromium could be had: the tests of the pages will be reported as not run.")
