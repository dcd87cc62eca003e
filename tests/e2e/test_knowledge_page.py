"""The Knowledge page over real documents: make a collection, add, search, look into a document, change, remove, delete."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.e2e.conftest import Harness, Visitor, open_section
from tests.e2e.harness.papers import COLLECTION

BODY = "# Kidneys\n\nThe kidneys filter the blood.\n\n# Stones\n\nZeolite has nothing to do with stones of the kidney.\n"


@pytest.fixture
def person(visit: Callable[..., Visitor], harness: Harness, signed_in: dict) -> Callable[..., Visitor]:
    """A visitor of the harness who is signed in."""

    def make(**how: object) -> Visitor:
        visitor = visit(harness.url, **how)
        visitor.context.add_cookies(signed_in["cookies"])
        return visitor

    return make


PAGE_IN_SIGHT = """() => {
    const here = document.querySelector('.wb-bar nav a[aria-current]');
    return here && here.getBoundingClientRect().right <= here.parentElement.getBoundingClientRect().right + 1;
}"""


def open_collection(visitor: Visitor) -> Page:
    page = visitor.open("/knowledge")
    page.get_by_role("link", name=COLLECTION).click()
    page.get_by_role("heading", name=COLLECTION, exact=True).wait_for()
    return page


def ask(page: Page, words: str) -> None:
    page.get_by_placeholder("Search this collection").fill(words)
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_role("heading", name=f"“{words}”").or_(page.get_by_text(f"“{words}”. Try")).wait_for()


@pytest.mark.parametrize("width", [1440, 390])
def test_fits_its_width(person: Callable[..., Visitor], width: int) -> None:
    page = open_collection(person(width=width, dark=width == 390))
    expect(page.locator("tr[data-state=failed]")).to_contain_text("The PDF is damaged")
    expect(page.locator("tr", has_text="aspirin.md")).to_contain_text("version 2")
    expect(page.locator("tr", has_text="anticoagulation")).to_contain_text("12")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.wait_for_function(PAGE_IN_SIGHT)
    # The screen is made narrower.
    page.set_viewport_size({"width": width - 60, "height": 800})
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.wait_for_function(PAGE_IN_SIGHT)
    ask(page, "risk of stroke against bleeding")
    page.locator(".wb-passages a", has_text="page").first.click()
    page.locator(".wb-chunk[data-here]").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.locator(".wb-back").click()
    page.locator("#documents a", has_text="aspirin.md").click()
    expect(page.locator("#versions")).to_contain_text("Version 1")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_from_an_empty_collection_to_none(person: Callable[..., Visitor], tmp_path: Path) -> None:
    (tmp_path / "kidney.md").write_text(BODY)
    (tmp_path / "empty.md").write_bytes(b"")
    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.4 no")
    page = person().open("/knowledge")
    asked: list[str] = []

    def yes(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.accept()

    page.on("dialog", yes)
    # A collection, empty: the page says what to do first.
    page.get_by_placeholder("Name of the new collection").fill("Nephrology")
    page.get_by_role("button", name="Create collection").click()
    page.wait_for_url("**/knowledge?collection=*")
    expect(page.locator("#documents .wb-empty")).to_contain_text("Upload documents above")
    # Three files: one is refused at once, one cannot be read, one is ready; each says so.
    page.locator("#drop input[type=file]").set_input_files([tmp_path / name for name in ("kidney.md", "empty.md", "bad.pdf")])
    page.get_by_text("empty.md is empty").wait_for()
    page.locator("tr[data-state=ready]", has_text="kidney.md").wait_for(timeout=120_000)
    expect(page.locator("tr[data-state=failed]", has_text="bad.pdf")).to_contain_text("damaged")
    expect(page.locator(".wb-adding")).to_have_count(0)
    expect(page.locator(".wb-title")).to_contain_text("stored")
    # A folder keeps its shape; what is hidden stays out.
    (tmp_path / "notes" / "deep").mkdir(parents=True)
    (tmp_path / "notes" / "deep" / "liver.md").write_text("# Livers\n\nThe liver makes bile.\n")
    (tmp_path / "notes" / ".hidden.md").write_text("# Hidden\n\nNothing.\n")
    page.locator("#folder input[type=file]").set_input_files(tmp_path / "notes")
    page.locator("tr[data-state=ready]", has_text="deep/liver.md").wait_for(timeout=120_000)
    expect(page.locator("#documents tbody tr")).to_have_count(3)
    page.get_by_label("Failed", exact=True).check(force=True)
    expect(page.locator("#documents tbody tr")).to_have_count(1)
    page.get_by_label("All", exact=True).check(force=True)
    # Search, and from the passage into the document.
    ask(page, "zeolite")
    expect(page.locator(".wb-passages li").first).to_contain_text("Zeolite has nothing to do")
    page.locator(".wb-passages a").first.click()
    here = page.locator(".wb-chunk[data-here]")
    expect(here).to_contain_text("Zeolite")
    # What is switched off is not found; what is searched by other words is, and is cited as it stands.
    here.get_by_role("button", name="Disable").click()
    expect(page.locator(".wb-chunk.off")).to_contain_text("Zeolite")
    page.get_by_role("button", name="Enable").click()
    expect(page.locator(".wb-chunk.off")).to_have_count(0)
    stones = page.locator(".wb-chunk", has_text="Zeolite")
    stones.locator("summary").click()
    stones.get_by_role("textbox").fill("quartz obsidian")
    stones.get_by_role("button", name="Save").click()
    expect(page.get_by_text("custom search text")).to_be_visible()
    open_section(page, "#facts", page.get_by_label("Year covered"))
    page.get_by_label("Year covered").fill("MMXX")
    page.locator("#save-facts").click()
    page.get_by_text("expected a year like 2019").wait_for()
    page.get_by_label("Year covered").fill("2020")
    page.get_by_label("Title", exact=True).fill("On kidneys")
    page.locator("#save-facts").click()
    expect(page.locator(".wb-title")).to_contain_text("On kidneys")
    page.locator(".wb-back").click()
    ask(page, "obsidian")
    expect(page.locator(".wb-passages li").first).to_contain_text("Zeolite has nothing to do")
    # One document goes, then all of it.
    page.get_by_role("button", name="Remove bad.pdf").click()
    expect(page.locator("#documents tbody tr")).to_have_count(2)
    page.locator("#settings button").first.click()
    page.get_by_role("button", name="Delete collection").click()
    page.get_by_role("link", name=COLLECTION).wait_for()
    expect(page.get_by_role("link", name="Nephrology")).to_have_count(0)
    assert asked == [
        "Remove bad.pdf from Nephrology? Its file, text and chunks are deleted.",
        "Delete the collection Nephrology with all its documents? This cannot be undone.",
    ]


def test_another_persons_address_shows_nothing(person: Callable[..., Visitor]) -> None:
    visitor = person()
    for query, missing in (
        ("collection=0123456789abcdef", "Collection not found"),
        ("job=0123456789abcdef", "Collection not found"),
        ("collection=0123456789abcdef&document=x", "Document not found"),
    ):
        page = visitor.open(f"/knowledge?{query}")
        expect(page.locator(".wb-empty")).to_contain_text(missing)
