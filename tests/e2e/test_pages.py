"""Every page at both widths, in light and dark, over seeded results: nothing overflows, nothing is fetched elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, expect

from tests.e2e.conftest import Harness, Visitor

WIDTHS = (1440, 390)
PAGES = {"/": "Latest results", "/imaging": "Earlier results", "/imaging?job=seed0": "Report", "/activity": "Activity"}


@pytest.fixture
def person(visit: Callable[..., Visitor], harness: Harness, signed_in: dict) -> Callable[..., Visitor]:
    """A visitor of the harness who is signed in."""

    def make(**how: object) -> Visitor:
        visitor = visit(harness.url, **how)
        visitor.context.add_cookies(signed_in["cookies"])
        return visitor

    return make


def wait_for_result(page: Page) -> None:
    page.wait_for_selector("iframe#viewer", timeout=60_000)
    page.frame_locator("#viewer").locator("body[data-ready]").wait_for()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", PAGES)
def test_fits_its_width(person: Callable[..., Visitor], path: str, width: int) -> None:
    page = person(width=width, dark=width == 390).open(path)
    page.get_by_role("heading", name=PAGES[path], exact=True).first.wait_for()
    if "job" in path:
        wait_for_result(page)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    # Nothing of ours ends beyond the edge, but for what scrolls in a box of its own.
    beyond = page.evaluate("""() => [...document.querySelectorAll('[class*="wb-"]')]
        .filter((e) => !e.closest('.wb-scroll, .wb-hidden') && e.getClientRects().length)
        .filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
        .map((e) => e.className)""")
    assert beyond == []


def test_navigation_leads_only_to_pages_that_exist(person: Callable[..., Visitor]) -> None:
    visitor = person()
    page = visitor.open("/")
    page.locator(".wb-bar").wait_for()
    links = page.locator(".wb-bar a").evaluate_all("(all) => all.map((a) => a.getAttribute('href'))")
    pages = list(dict.fromkeys(links[: links.index("/activity") + 1]))
    assert pages[:2] == ["/", "/imaging"]
    for link in pages:
        # Each in a tab of its own: Gradio complains in the console of answers that a page left behind.
        tab = visitor.open(link)
        expect(tab.locator(".wb-bar a[aria-current]")).to_have_attribute("href", link)
    page.get_by_role("heading", name="Latest results").wait_for()
    assert page.locator(".nav-holder").is_hidden()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/imaging",
        "/cohorts",
        "/compliance",
        "/requirements",
        "/compliance-dashboard",
        "/knowledge",
        "/ask",
        "/activity",
        "/settings",
        "/people",
    ],
)
def test_every_field_has_a_name(person: Callable[..., Visitor], path: str) -> None:
    """Also where it is not shown: a screen reader says "Textbox" of one that has none."""
    page = person().open(path)
    page.locator(".wb-bar").wait_for()
    fields = page.evaluate("gradio_config.components.map((one) => [one.type, one.props.elem_id ?? '', one.props.label ?? ''])")
    assert [
        field for field in fields if field[0] in ("textbox", "dropdown", "radio", "number", "checkbox", "file", "plot") and not field[2]
    ] == []
    unnamed = "gradio_config.components.filter((one) => one.type === 'button' && one.props.value === 'Run').length"
    assert page.evaluate(unnamed) == 0, "a button has Gradio's default text"


def test_a_measurement_opens_and_takes_the_viewer_there(person: Callable[..., Visitor]) -> None:
    page = person().open("/imaging?job=seed0")
    wait_for_result(page)
    viewer = page.frame_locator("#viewer")
    sentence = page.locator("details.wb-sentence", has_text="Hippocampus:")
    sentence.locator("summary").click()
    measure = sentence.locator(".wb-measure", has_text="Right hippocampus volume")
    expect(measure).to_contain_text("ml")
    expect(measure).to_contain_text("Number of voxels with label 53")
    measure.get_by_role("button", name="Show in viewer").click()
    expect(viewer.locator("#where")).to_have_text("Right hippocampus")
    expect(viewer.locator("#legend button[aria-pressed=true]")).to_have_text("Hippocampus")


def test_slices_move_by_slider_keyboard_and_click(person: Callable[..., Visitor]) -> None:
    page = person().open("/viewer/seed0")
    page.locator("body[data-ready]").wait_for()
    axial = page.locator("[data-plane=axial]")
    counter = axial.locator(".title span")
    shown = axial.locator("canvas.scan")
    axial.locator("input").fill("60")
    expect(counter).to_have_text("61 / 189")
    expect(shown).to_have_attribute("data-shown", "/imaging/analysis/seed0/slice/axial/60.jpg")
    axial.focus()
    page.keyboard.press("PageUp")
    expect(counter).to_have_text("62 / 189")
    before = page.locator("#millimetres").inner_text()
    axial.locator(".stage").click(position={"x": 60, "y": 60})
    expect(page.locator("#millimetres")).not_to_have_text(before)


def test_all_planes_and_the_legend_are_visible_at_1440_by_900(person: Callable[..., Visitor]) -> None:
    page = person(width=1440, height=900).open("/imaging?job=seed0")
    wait_for_result(page)
    viewer = page.frame_locator("#viewer")
    for part in ("[data-plane=axial]", "[data-plane=coronal]", "[data-plane=sagittal]", "#legend li:last-child"):
        box = viewer.locator(part).bounding_box()
        assert box is not None and box["y"] + box["height"] <= 900 and box["x"] >= 0, (part, box)
    assert viewer.locator("#legend").evaluate("(list) => list.scrollHeight <= list.clientHeight + 1")


def test_the_ruler_tells_millimetres(person: Callable[..., Visitor]) -> None:
    page = person(width=700, height=600).open("/viewer/seed0")
    page.locator("body[data-ready]").wait_for()
    page.get_by_role("button", name="Ruler").click()
    page.locator("#gl[data-ready]").wait_for(timeout=120_000)
    page.mouse.move(120, 160)
    page.mouse.down()
    page.mouse.move(200, 160, steps=4)
    page.mouse.up()
    expect(page.locator("#hint")).to_have_text(re.compile(r"Distance: \d+\.\d mm"))


def test_sides_are_right(person: Callable[..., Visitor]) -> None:
    """Radiological: the person's right on the picture's left. The other convention mirrors picture and letters together."""
    page = person().open("/viewer/seed0?label=53")
    page.locator("body[data-ready]").wait_for()
    expect(page.locator("#where")).to_have_text("Right hippocampus")
    axial = page.locator("[data-plane=axial]")
    left_of_middle = "(e) => parseFloat(e.querySelector('.line.v').style.left) < 50"
    assert axial.evaluate(left_of_middle)
    expect(axial.locator(".side.w")).to_have_text("R")
    page.locator("#convention").click()
    expect(axial.locator(".side.w")).to_have_text("L")
    assert not axial.evaluate(left_of_middle)


def test_labels_fade_by_their_slider(person: Callable[..., Visitor]) -> None:
    page = person().open("/viewer/seed0")
    page.locator("body[data-ready]").wait_for()
    page.locator("#opacity").fill("80")
    expect(page.locator("[data-plane=axial] canvas.labels")).to_have_css("opacity", "0.8")


def test_three_d_tab_opens_or_says_why_not(person: Callable[..., Visitor]) -> None:
    page = person(width=420, height=360).open("/viewer/seed0")
    page.locator("body[data-ready]").wait_for()
    page.evaluate("HTMLCanvasElement.prototype.getContext = () => null")  # as a browser without WebGL
    page.locator("#tab-volume").click()
    expect(page.locator("#volume-note")).to_contain_text("does not need WebGL")
    page.locator("#tab-planes").click()
    expect(page.locator("#planes")).to_be_visible()


def test_a_job_runs_under_ones_eyes(person: Callable[..., Visitor], tmp_path: Path) -> None:
    scan = tmp_path / "mine.nii.gz"
    scan.write_bytes(b"any bytes: the harness only plays")
    page = person().open("/imaging")
    page.locator("#drop input[type=file]").set_input_files(scan)
    page.locator(".wb-job[data-state=running] .wb-stages li.running").wait_for()
    page.wait_for_url("**/imaging?job=*")
    wait_for_result(page)
    page.get_by_role("heading", name="mine.nii.gz").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Report (PDF)").click()
    assert Path(download.value.path()).read_bytes().startswith(b"%PDF")


def test_the_sequences_of_one_visit_become_one_study(person: Callable[..., Visitor], tmp_path: Path) -> None:
    scans = [tmp_path / "T1.nii.gz", tmp_path / "FLAIR.nii.gz"]
    for scan in scans:
        scan.write_text(scan.name)
    page = person(width=390).open("/cohorts")
    page.get_by_label("Sequences of one visit").check()
    page.locator("#drop input[type=file]").set_input_files(scans[:1])
    expect(page.locator(".toast-body")).to_contain_text("A study needs at least two sequences")
    expect(page.locator("#drop [data-testid=upload-text]")).to_be_visible()  # empty again: the first drop has been dealt with
    page.locator("#drop input[type=file]").set_input_files(scans)
    page.wait_for_url("**/cohorts?cohort=*")
    expect(page.locator(".wb-study .wb-said")).to_have_text("No lesion detected in FLAIR and T1.", timeout=120_000)
    expect(page.locator(".wb-study")).to_contain_text("rotation 0.0°")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    with page.expect_download() as download:
        page.get_by_role("link", name="Study (JSON)").click()
    assert len(json.loads(Path(download.value.path()).read_text())["sequences"]) == 2


def test_a_failed_job_says_where_why_and_what_to_do(person: Callable[..., Visitor], tmp_path: Path) -> None:
    scan = tmp_path / "broken.nii.gz"
    scan.write_bytes(b"x")
    page = person().open("/imaging")
    page.locator("#drop input[type=file]").set_input_files(scan)
    note = page.locator(".wb-job[data-state=failed] [role=alert]")
    expect(note).to_contain_text("Failed at stage “Checking scan”")
    expect(note).to_contain_text("Copy it again")
    first = page.url
    page.locator("#again").click()
    page.wait_for_function("(first) => location.href !== first", arg=first)


def test_cancel_and_try_again_from_activity(person: Callable[..., Visitor], tmp_path: Path) -> None:
    scan = tmp_path / "slow.nii.gz"
    scan.write_bytes(b"x")
    visitor = person()
    page = visitor.open("/imaging")
    page.locator("#drop input[type=file]").set_input_files(scan)
    page.locator(".wb-job[data-state=running]").wait_for()
    page.locator("#cancel").click()
    page.locator(".wb-job[data-state=cancelled]").wait_for()
    page.goto(visitor.url + "/activity")
    row = page.locator("tr[data-state=cancelled]", has_text="slow.nii.gz").first
    row.get_by_role("button", name="Try again").click()
    running = page.locator("tr[data-state=running]", has_text="slow.nii.gz").first
    running.wait_for()
    start = visitor.open("/imaging")  # who comes back to the start finds what is underway
    underway = start.locator("section", has_text="slow.nii.gz").get_by_role("link", name="slow.nii.gz").first
    expect(start.get_by_role("heading", name="In progress")).to_be_visible()
    underway.click()
    start.locator(".wb-job[data-state=running]").wait_for()
    start.close()
    running.get_by_role("button", name="Cancel").click()
    expect(page.locator("tr[data-state=running]", has_text="slow.nii.gz")).to_have_count(0)


def test_filter_of_activity(person: Callable[..., Visitor]) -> None:
    page = person().open("/activity")
    page.locator("tr", has_text="truncated.nii.gz").wait_for()
    page.get_by_label("Done", exact=True).check(force=True)
    expect(page.locator("tbody tr[data-state=failed]")).to_have_count(0)
    page.locator("tr[data-state=done]").first.wait_for()


def test_the_first_tab_stop_skips_to_the_content(person: Callable[..., Visitor]) -> None:
    page = person().open("/activity")
    page.locator(".wb-bar").wait_for()
    page.keyboard.press("Tab")
    expect(page.locator(".wb-skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
    assert page.url.endswith("/activity")


def test_another_persons_address_shows_nothing(person: Callable[..., Visitor]) -> None:
    page = person().open("/imaging?job=0123456789abcdef")
    expect(page.locator(".wb-empty")).to_contain_text("Analysis not found")


def test_strangers_are_sent_to_sign_in(visit: Callable[..., Visitor], harness: Harness) -> None:
    page = visit(harness.url).open("/imaging?job=seed0")
    assert "/auth/sign-in" in page.url


def test_the_3d_viewer_is_served_or_its_absence_explained(person: Callable[..., Visitor]) -> None:
    visitor = person()
    answer = visitor.context.request.get(visitor.url + "/viewer/static/niivue.umd.js")
    if answer.ok:
        assert "javascript" in answer.headers["content-type"]
        assert len(answer.body()) > 1_000_000
    else:
        assert "npm" in answer.json()["detail"]


def test_a_page_that_is_left_is_closed_at_the_gateway(person: Callable[..., Visitor]) -> None:
    visitor, sessions = person(), list[str]()

    def note(request: Request) -> None:
        if "/gradio_api/queue/join" in request.url:
            sessions.append(json.loads(request.post_data or "{}")["session_hash"])

    page = visitor.page()
    page.on("request", note)
    page.goto(visitor.url + "/activity")
    page.get_by_role("heading", name="Activity", exact=True).first.wait_for()
    page.wait_for_function("() => document.readyState === 'complete'")
    page.wait_for_timeout(500)
    page.goto(visitor.url + "/auth/password")
    address = f"{visitor.url}/gradio_api/queue/data?session_hash={sessions[0]}"
    for _ in range(50):
        status = visitor.context.request.get(address).status
        if status == 404:
            break
        page.wait_for_timeout(200)
    assert status == 404
