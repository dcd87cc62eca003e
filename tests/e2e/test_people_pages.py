"""People and Settings: an owner adds somebody, who signs in, makes a token, and is disabled."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Harness, Visitor


@pytest.fixture
def owner(visit: Callable[..., Visitor], harness: Harness, signed_in: dict) -> Callable[..., Visitor]:
    """A visitor of the harness who is its owner."""

    def make(**how: object) -> Visitor:
        visitor = visit(harness.url, **how)
        visitor.context.add_cookies(signed_in["cookies"])
        return visitor

    return make


def add(page: Page, name: str) -> str:
    """Add a person; the link to hand over."""
    page.get_by_label("Name of a new person").fill(name)
    page.get_by_role("button", name="Add", exact=True).click()
    return page.get_by_label(f"Link for {name}").input_value()


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("path", ["/people", "/settings"])
def test_fits_its_width(owner: Callable[..., Visitor], path: str, width: int) -> None:
    page = owner(width=width, dark=width == 390).open(path)
    page.locator("table.wb-table, #tokens .wb-card").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_person_is_added_signs_in_makes_a_token_and_is_disabled(
    owner: Callable[..., Visitor], visit: Callable[..., Visitor], harness: Harness
) -> None:
    people = owner().open("/")
    people.locator("summary[data-me]").click()
    people.get_by_role("link", name="People").click()
    link = add(people, "Ada Lovelace")
    row = people.locator("tr[data-person='Ada Lovelace']")
    expect(row).to_contain_text("No password")

    ada = visit(harness.url).page()
    ada.goto(link)
    ada.get_by_label("New password").fill("a long enough one")
    ada.get_by_role("button", name="Set password").click()
    ada.locator("summary[data-me]", has_text="Ada Lovelace").click()
    expect(ada.get_by_role("link", name="People")).to_be_hidden()
    ada.get_by_role("link", name="Settings").click()
    ada.get_by_label("What a new token is for").fill("laptop")
    ada.get_by_role("button", name="Make a token").click()
    token = ada.get_by_label("The token laptop").input_value()
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{harness.url}/auth/me", headers=headers).json()["name"] == "Ada Lovelace"
    ada.goto(harness.url + "/settings")
    expect(ada.locator("tr[data-name=laptop]")).to_contain_text("used just now")
    expect(ada.get_by_label("The token laptop")).to_have_count(0)

    people.reload()
    row.get_by_role("combobox").select_option("promoter")
    expect(row.get_by_role("combobox")).to_have_value("promoter")
    people.on("dialog", lambda dialog: dialog.accept())
    row.get_by_role("button", name="Disable").click()
    expect(row).to_contain_text("Disabled")
    assert httpx.get(f"{harness.url}/auth/me", headers=headers).status_code == 401
    ada.goto(harness.url + "/settings")
    expect(ada.get_by_label("Password")).to_be_visible()  # the sign-in page

    row.get_by_role("button", name="Enable").click()
    expect(people.get_by_label("Link for Ada Lovelace")).to_be_visible()
    expect(row).to_contain_text("No password")


def test_a_token_is_revoked(owner: Callable[..., Visitor]) -> None:
    page = owner().open("/settings")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_label("What a new token is for").fill("cluster")
    page.get_by_role("button", name="Make a token").click()
    row = page.locator("tr[data-name=cluster]")
    row.get_by_role("button", name="Revoke").click()
    expect(row).to_have_count(0)


def test_only_owners_see_people(visit: Callable[..., Visitor], owner: Callable[..., Visitor], harness: Harness) -> None:
    link = add(owner().open("/people"), "Bob")
    member = visit(harness.url).page()
    member.goto(link)
    member.goto(harness.url + "/people")
    member.get_by_text("Only owners manage people").wait_for()
    expect(member.get_by_label("Name of a new person")).to_be_hidden()
