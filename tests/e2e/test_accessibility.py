"""axe on every page, light and dark: no serious violation. Every page has a skip link that works."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import ROOT, Harness, Visitor

AXE = ROOT / "workbench" / "ui" / "viewer" / "node_modules" / "axe-core" / "axe.min.js"
# Address, and what is there when the page has been filled.
PAGES = {
    "/": ".wb-results",
    "/imaging": ".wb-results",
    "/imaging?job=seed0": "iframe#viewer",
    "/cohorts": ".wb-lead",
    "/compliance": ".wb-table",
    "/compliance?job=comply0": "#sides .wb-review",
    "/requirements": ".wb-table",
    "/compliance-dashboard": "#risk-chart .main-svg",
    "/knowledge": ".wb-table",
    "/ask": "#question textarea",
    "/activity": ".wb-table",
    "/nowhere": "main",
    "/auth/password": "form",
}
RUN = """async () => (await axe.run(document, { resultTypes: ['violations'] })).violations
  .filter((found) => ['serious', 'critical'].includes(found.impact))
  .flatMap((found) => found.nodes.slice(0, 4).map((node) =>
    `${found.id}: ${node.target.join(' ')} ${node.html.slice(0, 160)} (${(node.any[0] ?? node.all[0] ?? node.none[0])?.message ?? ''})`))"""


@pytest.fixture
def visitor(visit: Callable[..., Visitor], harness: Harness, signed_in: dict) -> Visitor:
    visitor = visit(harness.url)
    visitor.context.add_cookies(signed_in["cookies"])
    return visitor


def violations(page: Page) -> list[str]:
    """Serious and critical ones in light, then in dark."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(400)  # colours change over 150 ms
        found += [f"{scheme}: {one}" for one in page.evaluate(RUN)]
    return found


def test_no_page_has_a_serious_violation(visitor: Visitor) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: run `npm ci` in workbench/ui/viewer")
    page, found = visitor.page(), {}
    for path, filled in PAGES.items():
        page.goto(visitor.url + path)
        page.locator(filled).first.wait_for()
        if problems := violations(page):
            found[path] = problems
    page.goto(visitor.url + "/knowledge")
    page.locator(".wb-table th a").first.click()
    page.locator("#documents .wb-table").wait_for()
    found["collection"] = violations(page)
    page.locator("#documents th a", has_text="aspirin").first.click()
    page.locator(".wb-chunk").first.wait_for()
    found["document"] = violations(page)
    page.goto(visitor.url + "/requirements")
    page.locator(".wb-table th a").first.click()
    page.locator(".wb-requirement").first.wait_for()
    found["requirements of a policy"] = violations(page)
    visitor.complaints[:] = [one for one in visitor.complaints if "404" not in one]  # /nowhere
    listed = "\n".join(f"{path}\n  " + "\n  ".join(problems) for path, problems in found.items() if problems)
    assert not listed, listed


def test_the_first_tab_stop_skips_to_the_content(visitor: Visitor) -> None:
    page = visitor.open("/activity")
    page.locator(".wb-bar").wait_for()
    page.keyboard.press("Tab")
    expect(page.locator(".wb-skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
