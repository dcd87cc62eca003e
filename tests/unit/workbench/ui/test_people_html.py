from datetime import UTC, datetime, timedelta

import pytest

from infra.database.tables import User
from workbench.accounts.people import Person, TokenView
from workbench.ui.account.people import link_html, people_html
from workbench.ui.account.settings import made_html, profile_html, tokens_html, use_html

NOW = datetime.now(UTC)
NASTY = "<img src=x onerror=alert(1)>'\""


def one(name: str = "Ada", **changed) -> Person:
    given = {"role": "member", "has_password": True, "created_at": NOW, "disabled_at": None, "sessions": 1, "tokens": 2} | changed
    return Person("a" * 24, name, **given)


def test_a_row_says_who_it_is_and_what_can_be_done():
    page = people_html([one()], own_id="another")
    assert "1 session, 2 tokens" in page and ">Password<" in page
    assert [action in page for action in ('data-do="end"', 'data-do="reset"', 'data-do="disable"')] == [True] * 3
    assert '<option value="member" selected>' in page


def test_on_ones_own_row_there_is_nothing_to_do():
    page = people_html([one()], own_id="a" * 24)
    assert "data-do" not in page and "<select" not in page and "(you)" in page


def test_a_disabled_person_can_only_be_enabled():
    page = people_html([one(disabled_at=NOW, sessions=0)], own_id="another")
    assert ">Disabled<" in page and ">Enable<" in page and "<select" not in page and 'data-do="disable"' not in page


@pytest.mark.parametrize(
    "page",
    [
        people_html([one(NASTY)], own_id="another"),
        people_html([one(NASTY, disabled_at=NOW)], own_id="a" * 24),
        link_html(one(NASTY), "http://127.0.0.1:8000/auth/link?secret=x&next=/auth/password"),
        tokens_html([TokenView("t" * 24, NASTY, NOW, NOW, None)]),
        made_html(TokenView("t" * 24, NASTY, NOW, NOW, None), "wb_x"),
        profile_html(User(name=NASTY, role="member")),
    ],
)
def test_what_people_type_is_escaped(page):
    assert "<img" not in page and "'\"" not in page


def test_a_token_shows_its_last_use_and_its_end():
    used = TokenView("t" * 24, "laptop", NOW - timedelta(days=3), datetime(2031, 3, 5, tzinfo=UTC), NOW - timedelta(hours=2))
    page = tokens_html([used, TokenView("u" * 24, "cluster", NOW, NOW, None)])
    assert "2 hours ago" in page and "until 5 March 2031" in page and "never used" in page
    assert "no tokens" in tokens_html([])


def test_how_to_use_a_token_names_this_workbench():
    assert use_html("https://lab.example").count("https://lab.example") == 2
