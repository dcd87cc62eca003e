from datetime import timedelta

import pytest
from sqlmodel import col, select

from infra.database import Database, migrate
from infra.database.tables import AuditEvent
from infra.datafolder import DataFolder
from infra.errors import Conflict, InvalidInput, NotAllowed, NotFound, NotSignedIn
from workbench.accounts import Accounts, people


@pytest.fixture
def accounts(settings):
    folder = DataFolder(settings.home).make()
    database = Database(settings.database_url)
    migrate(database)
    yield Accounts(settings, database, folder)
    database.close()


@pytest.fixture
def owner(accounts):
    return accounts.ensure_owner()


def secret_of(link: str) -> str:
    return link.partition("secret=")[2].partition("&")[0]


def actions(accounts) -> list[tuple[str, str | None, str]]:
    with accounts.database.session() as session:
        return [(one.action, one.user_id, one.subject) for one in session.exec(select(AuditEvent).order_by(col(AuditEvent.id)))]


def test_a_person_who_is_added_gets_a_link_that_asks_for_a_password(accounts, owner):
    person, link = people.add_person(accounts, owner, "ada", "promoter")
    assert person.role == "promoter" and not person.has_password and "next=/auth/password" in link
    assert accounts.use_link(secret_of(link)).id == person.id
    assert ("user.created", owner.id, "ada") in actions(accounts)


def test_only_owners_manage_people(accounts, owner):
    promoter = accounts.add_user("ada", role="promoter")
    for attempt in (
        lambda: people.list_people(accounts, promoter),
        lambda: people.add_person(accounts, promoter, "eve", "owner"),
        lambda: people.change_role(accounts, promoter, promoter.id, "owner"),
        lambda: people.disable(accounts, promoter, owner.id),
        lambda: people.reset(accounts, promoter, owner.id),
        lambda: people.end_persons_sessions(accounts, promoter, owner.id),
    ):
        with pytest.raises(NotAllowed):
            attempt()
    assert [one.name for one in people.list_people(accounts, owner)] == [owner.name, "ada"]


def test_a_disabled_person_is_refused_everywhere_at_once(accounts, owner):
    ada = accounts.add_user("ada", password="a long enough one")
    cookie, token, link = accounts.start_session(ada).partition(";")[0], accounts.make_token(ada, "laptop"), accounts.make_link(ada)
    assert accounts.user_of_cookies(cookie) and accounts.user_of_token(token)
    assert people.find_person(accounts, owner, "ada").sessions == 1
    done = people.disable(accounts, owner, ada.id)
    assert done.disabled_at is not None and done.sessions == 0
    assert accounts.user_of_cookies(cookie) is None and accounts.user_of_token(token) is None
    with pytest.raises(NotSignedIn):
        accounts.use_link(secret_of(link))
    with pytest.raises(NotSignedIn, match="disabled"):
        accounts.sign_in("ada", "a long enough one")
    with pytest.raises(NotSignedIn, match="wrong"):  # who does not know the password is told nothing
        accounts.sign_in("ada", "another")
    # Not even by a link made after that, by `workbench login --user`.
    with pytest.raises(NotSignedIn, match="disabled"):
        accounts.use_link(secret_of(accounts.make_link(ada)))
    assert ("user.disabled", owner.id, "ada") in actions(accounts)


def test_reset_gives_a_new_start_and_enables(accounts, owner):
    ada = accounts.add_user("ada", password="a long enough one")
    token, old = accounts.make_token(ada, "laptop"), accounts.make_link(ada)
    people.disable(accounts, owner, ada.id)
    person, link = people.reset(accounts, owner, ada.id)
    assert not person.has_password and person.disabled_at is None and person.tokens == 0
    assert accounts.user_of_token(token) is None
    with pytest.raises(NotSignedIn):
        accounts.use_link(secret_of(old))
    with pytest.raises(NotSignedIn):
        accounts.sign_in("ada", "a long enough one")
    assert accounts.use_link(secret_of(link)).name == "ada"
    assert ("user.reset", owner.id, "ada") in actions(accounts)


def test_there_is_always_an_owner(accounts, owner):
    with pytest.raises(Conflict, match="only owner"):
        people.change_role(accounts, owner, owner.id, "member")
    with pytest.raises(Conflict, match="yourself"):
        people.disable(accounts, owner, owner.id)
    ada = accounts.add_user("ada", role="owner")
    people.disable(accounts, ada, owner.id)
    with pytest.raises(Conflict, match="only owner"):
        people.change_role(accounts, ada, ada.id, "promoter")
    assert accounts.ensure_owner().id == ada.id


def test_roles(accounts, owner):
    ada = accounts.add_user("ada")
    assert people.change_role(accounts, owner, ada.id, "promoter").role == "promoter"
    assert accounts.user_named("ada").role == "promoter"
    with pytest.raises(InvalidInput, match="Unknown role"):
        people.change_role(accounts, owner, ada.id, "admin")
    with pytest.raises(NotFound):
        people.change_role(accounts, owner, "nobody", "member")


def test_an_invitation_is_valid_for_longer_than_a_sign_in_link(accounts, owner, monkeypatch):
    _, link = people.add_person(accounts, owner, "ada", "member")
    later = accounts_now() + timedelta(hours=47)
    monkeypatch.setattr("workbench.accounts.accounts.now", lambda: later)
    assert accounts.user_of_link(secret_of(link)) is not None
    monkeypatch.setattr("workbench.accounts.accounts.now", lambda: later + timedelta(hours=2))
    assert accounts.user_of_link(secret_of(link)) is None


def accounts_now():
    from infra.database.tables import now

    return now()


def test_tokens_are_a_persons_own(accounts, owner):
    ada = accounts.add_user("ada")
    token, secret = people.add_token(accounts, ada, "laptop", 7)
    assert accounts.user_of_token(secret).id == ada.id
    with pytest.raises(Conflict, match="already"):
        people.add_token(accounts, ada, "laptop")
    people.add_token(accounts, owner, "laptop")
    listed = people.list_tokens(accounts, ada)
    assert [one.id for one in listed] == [token.id] and listed[0].last_used_at is not None
    with pytest.raises(NotFound):
        people.revoke_token(accounts, owner, token.id)
    people.revoke_token(accounts, ada, "laptop")
    assert accounts.user_of_token(secret) is None and people.list_tokens(accounts, ada) == []
    people.add_token(accounts, ada, "laptop")  # the name is free again
