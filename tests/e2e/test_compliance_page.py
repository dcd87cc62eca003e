"""The compliance pages in a browser: both sides of a verdict, a review that changes the score, files, requirements, dashboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from pipelines.compliance.samples import write_sample
from tests.e2e.conftest import Harness, Visitor, open_section

ANALYSIS = "/compliance?job=comply0"
PAGES = {
    "/compliance": "Document analysis",
    ANALYSIS: "pellworth-operating-procedures.pdf",
    "/compliance-dashboard": "Compliance dashboard",
    "/requirements": "Requirements",
}


@pytest.fixture
def person(visit: Callable[..., Visitor], harness: Harness, signed_in: dict) -> Callable[..., Visitor]:
    """A visitor of the harness who is signed in."""

    def make(**how: object) -> Visitor:
        visitor = visit(harness.url, **how)
        visitor.context.add_cookies(signed_in["cookies"])
        return visitor

    return make


def filter_to(page: Page, name: str) -> None:
    page.locator("#standing label", has_text=name).click()
    expect(page.locator("#standing label.selected")).to_contain_text(name)


@pytest.mark.parametrize("width", [1440, 390])
def test_every_page_fits_its_width(person: Callable[..., Visitor], width: int) -> None:
    visitor = person(width=width, dark=width == 390)
    for path, heading in PAGES.items():
        page = visitor.open(path)
        page.get_by_role("heading", name=heading, exact=True).wait_for()
        if path == "/compliance-dashboard":
            expect(page.locator(".wb-chart .main-svg").nth(5)).to_be_attached(timeout=60_000)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
        beyond = page.evaluate("""() => [...document.querySelectorAll('[class*="wb-"]')]
            .filter((e) => !e.closest('.wb-scroll, .wb-hidden') && e.getClientRects().length)
            .filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
            .map((e) => e.className)""")
        assert beyond == [], path
        page.close()


def test_a_breach_shows_policy_and_page_and_what_to_do(person: Callable[..., Visitor]) -> None:
    page = person().open(ANALYSIS)
    filter_to(page, "Violated")
    breach = page.locator("#verdicts button", has_text="must be answered within 30 days")
    breach.click()
    expect(breach).to_have_attribute("aria-current", "true")
    sides = page.locator("#sides")
    expect(sides.locator(".wb-side").first.locator("mark")).to_contain_text("must be answered within 30 days")
    expect(sides.locator(".wb-quote mark")).to_contain_text("within 60 days of receipt")
    picture = sides.locator("img.wb-page")
    picture.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('#sides img.wb-page').naturalWidth > 500")
    expect(sides).to_contain_text("to comply with")
    assert "match=" in page.url
    expect(sides.get_by_role("button", name="Draft new wording")).to_have_count(0)  # the embedded model writes none that can be used
    # the address brings the same verdict back
    page.reload()
    expect(page.locator("#sides .wb-quote mark")).to_contain_text("within 60 days of receipt")


def test_what_is_pressed_while_a_filter_draws_the_list_anew_is_chosen(person: Callable[..., Visitor]) -> None:
    page = person().open(ANALYSIS)
    verdicts, policy = page.locator("#verdicts button"), page.locator("#sides .wb-side").first.locator("mark")
    expect(verdicts).to_have_count(64)
    chosen = verdicts.filter(has_text="approved by Compliance in advance")
    chosen.scroll_into_view_if_needed()
    chosen.hover()
    page.mouse.down()
    page.locator("#containing input, #containing textarea").fill("compliance")
    expect(page.locator("#verdicts button:not(:has-text('compliance'))")).to_have_count(0)
    assert verdicts.count() < 64
    page.mouse.up()
    expect(policy).to_contain_text("approved by Compliance in advance")
    expect(chosen).to_have_attribute("aria-current", "true")
    # two filters and two verdicts in a row: the last of each counts
    page.locator("#containing input, #containing textarea").fill("")
    page.locator("#standing label", has_text="Satisfied").click()
    page.locator("#standing label", has_text="Violated").click()
    expect(page.locator("#verdicts button:not(.violated)")).to_have_count(0)
    verdicts.nth(1).click()
    verdicts.nth(3).click()
    expect(policy).to_contain_text(verdicts.nth(3).locator("> span").nth(1).inner_text()[:60])
    expect(verdicts.nth(3)).to_have_attribute("aria-current", "true")
    expect(page.locator("#verdicts [aria-current]")).to_have_count(1)
    # and by the keyboard, where a late answer draws the list anew between the step to a verdict and the press
    verdicts.nth(2).focus()
    page.locator("#verdicts ul.wb-verdicts").evaluate("(list) => list.replaceWith(list.cloneNode(true))")
    expect(verdicts.nth(2)).to_be_focused()
    page.keyboard.press("Enter")
    expect(policy).to_contain_text(verdicts.nth(2).locator("> span").nth(1).inner_text()[:60])
    # also right after the mouse
    verdicts.nth(4).click()
    verdicts.nth(5).focus()
    page.keyboard.press("Enter")
    expect(verdicts.nth(5)).to_have_attribute("aria-current", "true")


def test_a_review_is_kept_and_the_score_follows(person: Callable[..., Visitor]) -> None:
    page = person().open("/compliance?job=comply2")
    filter_to(page, "Not addressed")
    page.locator("#verdicts button", has_text="exit plan").click()
    review = page.locator(".wb-review")
    review.get_by_role("button", name="Satisfied", exact=True).click()
    page.get_by_text("Enter a reason to change the verdict").wait_for()
    review.locator("textarea").fill("Annex 4 of the master agreement has it.")
    page.wait_for_timeout(4100)  # the button is given back after four seconds
    review.get_by_role("button", name="Satisfied", exact=True).click()
    expect(page.locator(".wb-review")).to_contain_text("Annex 4 of the master agreement has it.")
    expect(page.locator("#standing")).to_contain_text("Not addressed 1")
    expect(page.locator("#verdicts")).not_to_contain_text("exit plan")


def test_files_say_what_the_page_says(person: Callable[..., Visitor]) -> None:
    page = person().open(ANALYSIS)
    for name, begins in (("PDF", b"%PDF"), ("Word", b"PK"), ("JSON", b"{"), ("CSV", b"\xef\xbb\xbfid,")):
        with page.expect_download() as download:
            page.get_by_role("link", name=name, exact=True).click()
        assert Path(download.value.path()).read_bytes().startswith(begins), name
    assert download.value.suggested_filename == "pellworth-operating-procedures-compliance.csv"


def test_a_document_is_checked_under_ones_eyes_and_rubbish_is_refused(person: Callable[..., Visitor], tmp_path: Path) -> None:
    visitor = person()
    page = visitor.open("/compliance")
    expect(page.locator("#policies")).to_contain_text("Starter policies")
    bad = tmp_path / "contract.pdf"
    bad.write_bytes(b"MZ this is a program")
    page.locator("#drop input[type=file]").set_input_files(bad)
    page.get_by_text("The file is a Windows program").wait_for()
    page.reload()
    expect(page.locator("#policies")).to_contain_text("Starter policies")
    page.locator("#drop input[type=file]").set_input_files(write_sample("calder-wren", tmp_path))
    page.wait_for_url("**/compliance?job=*")
    expect(page.locator("#verdicts li")).to_have_count(64, timeout=120_000)
    expect(page.locator(".wb-grade")).to_contain_text("of 58 requirements")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete analysis").click()
    page.wait_for_url("**/compliance")
    expect(page.locator("tbody th a", has_text="calder-wren")).to_have_count(1)  # the seeded one


def test_requirements_are_edited_merged_and_switched_off(person: Callable[..., Visitor]) -> None:
    page = person().open("/requirements")
    page.get_by_role("link", name="Starter policies").click()
    table = page.locator("#requirements")
    expect(table.locator(".wb-requirement")).to_have_count(64)
    page.locator("#containing input, #containing textarea").fill("gifts register")
    row = table.locator(".wb-requirement")
    expect(row).to_have_count(1)
    row.locator("summary").click()
    row.locator("select[name=severity]").select_option("critical")
    row.get_by_role("button", name="Save").click()
    expect(table.locator(".wb-severity.s4")).to_have_count(1)
    row.get_by_role("button", name="Disable").click()
    expect(row).to_contain_text("disabled")
    expect(page.locator(".wb-title")).to_contain_text("1 disabled")
    row.get_by_role("button", name="Enable").click()
    expect(page.locator(".wb-title")).not_to_contain_text("disabled")
    open_section(page, "#by-hand", page.locator("#new-text textarea"))
    page.locator("#new-text textarea").fill("Visitors must sign the gifts register at reception.")
    page.locator("#write").click()
    expect(page.get_by_text("Added as obligation")).to_be_visible()
    expect(row).to_have_count(2)
    for box in table.locator("input[data-tick]").all():
        box.check()
    table.get_by_role("button", name="Merge").click()
    expect(table).to_contain_text("merged into another")


def test_dashboard_opens_what_waits(person: Callable[..., Visitor]) -> None:
    page = person().open("/compliance-dashboard")
    expect(page.locator(".wb-chart .main-svg").nth(5)).to_be_attached(timeout=60_000)
    page.wait_for_function(  # the cards beside each other end on one line: no empty place below the shorter ones
        """() => {
          const ends = [...document.querySelectorAll('.wb-even > *')].map((column) => {
            const cards = column.querySelectorAll('section.wb-card');
            return cards.length ? cards[cards.length - 1].getBoundingClientRect().bottom : -1;
          });
          return ends.length === 2 && ends[0] > 0 && Math.abs(ends[0] - ends[1]) < 2;
        }"""
    )
    page.locator(".wb-waiting a").first.click()
    page.wait_for_url("**/compliance?job=*match=*")
    page.locator("#sides .wb-detail").wait_for()
