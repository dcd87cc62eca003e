"""Pictures for the README, of a running workbench: ``python -m tests.e2e.take_screenshots LINK [--job ID] [--out DIR]``.

LINK is what ``workbench login`` prints. Without ``--job`` the latest result is shown.
"""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.bring_chromium import chromium
from tests.e2e.conftest import QUIET, ROOT

LARGEST = 200_000  # bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("link")
    parser.add_argument("--job")
    parser.add_argument("--out", type=Path, default=ROOT / "workbench" / "ui" / "screenshots")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    parts = urlsplit(args.link)
    url = f"{parts.scheme}://{parts.netloc}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(QUIET))
        context = browser.new_context()
        page = context.new_page()
        page.goto(args.link)
        state = context.storage_state()
        job = args.job or latest(page, url)
        for name, width, height, scale, dark in (("imaging-1440", 1440, 1080, 1, False), ("imaging-390", 390, 844, 2, True)):
            shown = browser.new_context(
                viewport={"width": width, "height": height},
                device_scale_factor=scale,
                storage_state=state,
                color_scheme="dark" if dark else "light",
            )
            page = shown.new_page()
            page.goto(f"{url}/imaging?job={job}")
            page.frame_locator("#viewer").locator("body[data-ready]").wait_for(timeout=120_000)
            if width > 1000:
                page.locator("details.wb-sentence", has_text="Hippocampus:").locator("summary").evaluate_all("(all) => all[0]?.click()")
                page.evaluate("document.querySelector('.wb-sentence').scrollIntoView({block: 'nearest'}); scrollTo(0, 0)")
            page.wait_for_timeout(3000)
            save(page.screenshot(), args.out / f"{name}.webp")
        browser.close()


def latest(page: Page, url: str) -> str:
    """The newest finished analysis of a scan."""
    jobs = json.loads(page.request.get(f"{url}/jobs?pipeline=imaging").text())["jobs"]
    return next(job["id"] for job in jobs if job["state"] == "done")


def save(png: bytes, path: Path) -> None:
    """As WebP, as good as fits in ``LARGEST`` bytes."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    for quality in (90, 84, 78, 70, 60, 50):
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=quality, method=6)
        if len(buffer.getvalue()) <= LARGEST:
            break
    path.write_bytes(buffer.getvalue())
    print(f"{path} {len(buffer.getvalue()) // 1000} kB, quality {quality}")


if __name__ == "__main__":
    main()
