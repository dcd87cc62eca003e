"""axe-core on every page, wide in light and narrow in dark: no serious or critical violation. Skip links work."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Harness, Visitor, serious_violations

pytestmark = pytest.mark.timeout(600)
# Address, and what is there when the page has been filled.
PAGES = {
    "/": ".wb-results",
    "/imaging": ".wb-results",
    "/imaging?job=seed0": "#volume-chart .main-svg",
    "/viewer/seed0": "body[data-ready]",
    "/cohorts": ".wb-lead",
    "/compliance": ".wb-table",
    "/compliance?job=comply0": "#sides .wb-review",
    "/requirements": ".wb-table",
    "/compliance-dashboard": "#risk-chart .main-svg",
    "/knowledge": ".wb-table",
    "/ask": "#question textarea",
    "/activity": ".wb-table",
    "/settings": "#tokens .wb-card",
    "/people": "table.wb-table",
    "/nowhere": "main",
    "/auth/password": "form",
}


@pytest.fixture
def visitor(visit: Callable[..., Visitor], harness: Harness, signed_in: dict) -> Visitor:
    visitor = visit(harness.url)
    visitor.context.add_cookies(signed_in["cookies"])
    return visitor


def test_no_page_has_a_serious_violation(visitor: Visitor, visit: Callable[..., Visitor], harness: Harness) -> None:
    page, found = visitor.page(), {}

    def check(name: str, filled: str) -> None:
        page.locator(filled).first.wait_for()
        if problems := serious_violations(page):
            found[name] = problems

    for path, filled in PAGES.items():
        page.goto(visitor.url + path)
        check(path, filled)
    page.goto(visitor.url + "/knowledge")
    page.locator(".wb-table th a").first.click()
    check("collection", "#documents .wb-table")
    page.locator("#documents th a", has_text="aspirin").first.click()
    check("document", ".wb-chunk")
    page.goto(visitor.url + "/requirements")
    page.locator(".wb-table th a", has_not_text="Cardiology").first.click()  # that one has no requirements
    check("requirements of a policy", ".wb-requirement")
    stranger = visit(harness.url)
    page = stranger.open("/auth/sign-in")
    check("sign-in", "form")
    for one in (visitor, stranger):  # /nowhere is 404, and Gradio complains of answers that a page left behind
        one.complaints[:] = [complaint for complaint in one.complaints if complaint.startswith("request to another host")]
        one.perhaps_left.clear()
    assert not found, "\n".join(f"{name}\n  " + "\n  ".join(problems) for name, problems in found.items())


def test_the_first_tab_stop_skips_to_the_content(visitor: Visitor) -> None:
    page = visitor.open("/activity")
    page.locator(".wb-bar").wait_for()
    page.keyboard.press("Tab")
    expect(page.locator(".wb-skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
