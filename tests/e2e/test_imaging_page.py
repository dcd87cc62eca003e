"""A person in a browser at a real workbench: sign in by the link, send a scan, watch, look, read, download, come back."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.benchmarks.start_and_memory import template_bytes
from tests.e2e.conftest import Visitor
from tests.running import House

PATIENCE = 240_000  # ms: other tests may be running on the same two cores


@pytest.fixture
def person(visit: Callable[..., Visitor], house: House) -> Callable[..., Visitor]:
    def make(**how: object) -> Visitor:
        visitor = visit(house.workbench.url, **how)
        page = visitor.open(house.workbench.sign_in_link().removeprefix(house.workbench.url))
        page.locator(".wb-bar").wait_for()
        page.get_by_role("heading", name="Latest results").wait_for()
        page.get_by_text("Loading …").wait_for(state="detached")
        page.close()
        return visitor

    return make


@pytest.fixture(scope="module")
def jobs() -> list[str]:
    """The analyses that this module's first test made; the others come back to them."""
    return []


def send(page: Page, name: str, content: bytes) -> None:
    page.locator("#drop input[type=file]").set_input_files({"name": name, "mimeType": "application/octet-stream", "buffer": content})


def wait_for_result(page: Page) -> None:
    page.wait_for_selector("iframe#viewer", timeout=PATIENCE)
    page.frame_locator("#viewer").locator("body[data-ready]").wait_for()


def test_from_the_link_to_the_pdf(person: Callable[..., Visitor], jobs: list[str]) -> None:
    page = person().open("/imaging")
    send(page, "mni152.nii.gz", template_bytes())
    page.locator(".wb-stages li").first.wait_for()
    page.wait_for_url("**/imaging?job=*")
    jobs.append(page.url.rpartition("=")[2])
    # Stages are seen while they run, not only at the end.
    page.locator(".wb-stages li.running, iframe#viewer").first.wait_for()
    wait_for_result(page)

    viewer = page.frame_locator("#viewer")
    axial = viewer.locator("[data-plane=axial]")
    axial.locator("input").fill("70")
    expect(axial.locator(".title span")).to_have_text("71 / 189")
    expect(axial.locator("canvas.scan")).to_have_attribute("data-shown", f"/imaging/analysis/{jobs[0]}/slice/axial/70.jpg")

    sentence = page.locator("details.wb-sentence", has_text="Brain volume").first
    sentence.locator("summary").click()
    expect(sentence.locator(".wb-measure").first).to_contain_text("Brain volume")

    expect(page.locator(".wb-volumes tbody tr", has_text="Cerebral cortex")).to_be_visible()
    page.locator("#volume-chart .main-svg").first.wait_for()
    page.locator("#asymmetry-chart .main-svg").first.wait_for()
    expect(page.get_by_text("Processing time")).to_be_visible()

    with page.expect_download() as download:
        page.get_by_role("link", name="Report (PDF)").click()
    assert Path(download.value.path()).read_bytes().startswith(b"%PDF")
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON").click()
    assert json.loads(Path(download.value.path()).read_text())["job"] == jobs[0]
    with page.expect_download() as download:
        page.get_by_role("link", name="Segmentation").click()
    given = nib.Nifti1Image.from_bytes(gzip.decompress(Path(download.value.path()).read_bytes()))
    sent = nib.Nifti1Image.from_bytes(gzip.decompress(template_bytes()))
    assert given.shape == sent.shape
    assert np.array_equal(given.affine, sent.affine)


def test_a_sample_needs_no_file(person: Callable[..., Visitor]) -> None:
    page = person(width=390, height=844).open("/imaging")
    page.get_by_role("button", name="Synthetic lesions").click()
    page.wait_for_url("**/imaging?job=*")
    wait_for_result(page)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_file_that_is_no_scan_gets_a_sentence(person: Callable[..., Visitor]) -> None:
    page = person().open("/imaging")
    send(page, "notes.nii.gz", b"Dear colleague, please find attached ...\n" * 20)
    note = page.locator(".wb-job[data-state=failed] [role=alert]")
    note.wait_for(timeout=PATIENCE)
    expect(note).to_contain_text("Failed at stage")
    assert "Traceback" not in note.inner_text()


def test_another_persons_result_is_not_shown(house: House, visit: Callable[..., Visitor], jobs: list[str]) -> None:
    stranger = visit(house.workbench.url)
    page = stranger.open(f"/imaging?job={jobs[0]}")
    assert "/auth/sign-in" in page.url
    assert stranger.context.request.get(f"{house.workbench.url}/imaging/analysis/{jobs[0]}/slice/axial/70.jpg").status == 401
    assert stranger.context.request.get(f"{house.workbench.url}/viewer/{jobs[0]}/facts.json").status == 401


def test_an_earlier_result_opens_after_a_restart(person: Callable[..., Visitor], house: House, jobs: list[str]) -> None:
    house.restart()
    page = person().open("/activity")
    page.locator("tr", has_text="mni152.nii.gz").get_by_role("link", name="Open").click()
    page.wait_for_url(f"**/imaging?job={jobs[0]}")
    wait_for_result(page)
    expect(page.locator(".wb-said")).to_contain_text("Brain volume")


def test_a_gigabyte_does_not_grow_the_gateway(person: Callable[..., Visitor], house: House, tmp_path: Path) -> None:
    big = tmp_path / "big.nii"
    header = nib.Nifti1Header()
    header.set_data_shape((1000, 1000, 500))
    header.set_data_dtype(np.uint8)
    with big.open("wb") as file:
        file.write(io.BytesIO(header.binaryblock).getvalue())
        file.truncate(1_000_000_000)  # sparse: a shorter file than its header says is refused after it came
    gateway = next(iter(house.workbench.find("workbench.gateway_process")), None)
    assert gateway is not None, [process.cmdline() for process in house.workbench.processes()]
    before = peak = gateway.memory_full_info().pss
    page = person().open("/imaging")
    page.locator("#drop input[type=file]").set_input_files(big)
    for _ in range(1200):
        peak = max(peak, gateway.memory_full_info().pss)
        if page.locator(".wb-stages li").count():
            break
        page.wait_for_timeout(100)
    page.locator(".wb-stages li").first.wait_for(timeout=PATIENCE)
    print(f"gateway grew by {(peak - before) / 1e6:.0f} MB during a 1 GB upload")
    assert peak - before < 100e6
    assert not any(path.stat().st_size > 1e8 for path in (house.home / "cache" / "gradio").rglob("*") if path.is_file())
    page.locator("#cancel").or_(page.locator(".wb-job[data-state=failed]")).first.wait_for()
