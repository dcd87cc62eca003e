import threading
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlmodel import select

from infra.database import Database, as_utc, migrate
from infra.database.people import ROLES, may_promote
from infra.database.tables import ApiToken, AuditEvent, SignInLink, User, UserSession, now
from infra.datafolder import DataFolder
from infra.errors import InvalidInput, NotSignedIn
from workbench.accounts import Accounts
from workbench.accounts.limits import TooManyTries
from workbench.accounts.passwords import hash_password, verify_password


@pytest.fixture
def accounts(settings):
    folder = DataFolder(settings.home).make()
    database = Database(settings.database_url)
    migrate(database)
    yield Accounts(settings, database, folder)
    database.close()


def secret_of(link: str) -> str:
    return link.partition("secret=")[2].partition("&")[0]


def test_the_first_start_makes_one_owner_without_a_password(accounts):
    owner = accounts.ensure_owner()
    assert owner.role == "owner" and owner.password_hash is None
    assert accounts.ensure_owner().id == owner.id


def test_a_link_signs_in_once(accounts):
    owner = accounts.ensure_owner()
    link = accounts.make_link(owner)
    assert accounts.use_link(secret_of(link)).id == owner.id
    with pytest.raises(NotSignedIn, match="already used"):
        accounts.use_link(secret_of(link))


def test_of_two_at_once_with_one_link_exactly_one_is_signed_in(accounts):
    secret = secret_of(accounts.make_link(accounts.ensure_owner()))
    barrier, outcomes = threading.Barrier(8), []

    def work():
        barrier.wait()
        try:
            outcomes.append(accounts.use_link(secret).name)
        except NotSignedIn:
            outcomes.append(None)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 8 and sum(name is not None for name in outcomes) == 1


def test_an_old_link_signs_nobody_in(accounts):
    secret = secret_of(accounts.make_link(accounts.ensure_owner()))
    with accounts.database.session() as session:
        link = session.exec(select(SignInLink)).one()
        link.expires_at = now() - timedelta(seconds=1)
        session.add(link)
    with pytest.raises(NotSignedIn):
        accounts.use_link(secret)


def test_secrets_are_kept_as_hashes_only(accounts):
    owner = accounts.ensure_owner()
    secret, token = secret_of(accounts.make_link(owner)), accounts.make_token(owner, "test")
    with accounts.database.session() as session:
        kept = session.exec(select(SignInLink)).one().model_dump_json() + session.exec(select(ApiToken)).one().model_dump_json()
    assert secret not in kept and token not in kept


def test_the_owners_token_is_private_and_replaced_when_lost(accounts):
    owner = accounts.ensure_owner()
    token = accounts.ensure_owner_token(owner)
    file = accounts.folder.owner_token
    assert file.stat().st_mode & 0o777 == 0o600 and file.read_text().strip() == token
    assert accounts.ensure_owner_token(owner) == token
    file.write_text("wb_forged")
    renewed = accounts.ensure_owner_token(owner)
    assert renewed not in (token, "wb_forged") and accounts.user_of_token(renewed).id == owner.id


def test_a_revoked_token_is_nobodys(accounts):
    owner = accounts.ensure_owner()
    token = accounts.make_token(owner, "laptop")
    assert accounts.user_of_token(token).id == owner.id
    assert accounts.revoke_tokens(owner, "laptop") == 1
    assert accounts.user_of_token(token) is None


def test_a_cookie_names_its_person_and_a_changed_one_nobody(accounts):
    owner = accounts.ensure_owner()
    cookie = accounts.start_session(owner).partition(";")[0]
    assert accounts.user_of_cookies(f"other=1; {cookie}").id == owner.id
    name, _, value = cookie.partition("=")
    assert accounts.user_of_cookies(f"{name}={value[:-2]}xx") is None
    assert accounts.user_of_cookies(f"{name}=") is None
    assert accounts.user_of_cookies(None) is None


def test_a_cookie_copied_before_signing_out_is_worth_nothing_after(accounts):
    owner = accounts.ensure_owner()
    cookie, other = (accounts.start_session(owner).partition(";")[0] for _ in range(2))
    assert accounts.user_of_cookies(cookie).id == owner.id
    accounts.end_session(cookie)
    assert accounts.user_of_cookies(cookie) is None and accounts.cached_user(token=None, cookies=cookie)[1] is None
    assert accounts.user_of_cookies(other).id == owner.id
    accounts.end_sessions(owner)
    assert accounts.user_of_cookies(other) is None


def test_a_new_session_in_a_browser_ends_its_old_one(accounts):
    ada, bob = accounts.add_user("ada"), accounts.add_user("bob")
    first = accounts.start_session(ada).partition(";")[0]
    second = accounts.start_session(bob, cookies=first).partition(";")[0]
    assert accounts.user_of_cookies(first) is None and accounts.user_of_cookies(second).name == "bob"


def test_a_session_expires_on_the_server(accounts):
    cookie = accounts.start_session(accounts.ensure_owner()).partition(";")[0]
    with accounts.database.session() as session:
        session.execute(update(UserSession).values(expires_at=now() - timedelta(seconds=1)))
    assert accounts.user_of_cookies(cookie) is None


def test_a_token_expires_and_shows_its_last_use(accounts):
    owner = accounts.ensure_owner()
    token = accounts.make_token(owner, "laptop", days=7)
    with accounts.database.session() as session:
        row = session.exec(select(ApiToken)).one()
    assert row.last_used_at is None and timedelta(days=6.9) < as_utc(row.expires_at) - now() <= timedelta(days=7)
    assert accounts.user_of_token(token).id == owner.id
    with accounts.database.session() as session:
        row = session.exec(select(ApiToken)).one()
        assert now() - as_utc(row.last_used_at) < timedelta(minutes=1)
        session.execute(update(ApiToken).values(expires_at=now() - timedelta(seconds=1)))
    accounts.forget()
    assert accounts.user_of_token(token) is None


@pytest.mark.parametrize("days", [0, -1, 91])
def test_a_token_is_not_valid_for_longer_than_the_setting(accounts, days):
    with pytest.raises(InvalidInput, match="1 to 90 days"):
        accounts.make_token(accounts.ensure_owner(), "laptop", days=days)


def test_the_owners_token_is_renewed_before_it_expires(accounts):
    owner = accounts.ensure_owner()
    token = accounts.ensure_owner_token(owner)
    for days, same in ((31, True), (29, False)):
        with accounts.database.session() as session:
            session.execute(update(ApiToken).values(expires_at=now() + timedelta(days=days)))
        accounts.forget()
        assert (accounts.ensure_owner_token(owner) == token) is same
    assert accounts.user_of_token(token).id == owner.id  # who has a copy may go on until it expires
    assert accounts.user_of_token(accounts.folder.owner_token.read_text().strip()).id == owner.id


def test_what_was_read_before_a_change_is_not_remembered_after_it(accounts):
    owner = accounts.ensure_owner()
    cookie = accounts.start_session(owner).partition(";")[0]

    def read_and_be_late(session):
        user = session.get(User, owner.id)
        accounts.end_sessions(owner)
        return user

    accounts._cached(f"session:{accounts.sessions.read(cookie)}", read_and_be_late)
    assert accounts.cached_user(token=None, cookies=cookie) == (False, None)
    assert accounts.user_of_cookies(cookie) is None


def test_cookies_are_kept_from_scripts_and_other_sites(accounts):
    header = accounts.sessions.header("someone")
    assert "HttpOnly" in header and "SameSite=Lax" in header and "Secure" not in header


def test_cookies_are_secure_behind_https(settings, accounts):
    secure = settings.model_copy(update={"gateway": settings.gateway.model_copy(update={"public_url": "https://example.org"})})
    assert "; Secure" in Accounts(secure, accounts.database, accounts.folder).sessions.header("someone")


def test_a_new_password_ends_every_session(accounts):
    owner = accounts.ensure_owner()
    cookie = accounts.start_session(owner).partition(";")[0]
    accounts.set_password(owner, "a long enough one")
    assert accounts.user_of_cookies(cookie) is None
    assert accounts.sign_in(owner.name, "a long enough one").id == owner.id


def test_changing_a_password_needs_the_current_one(accounts):
    owner = accounts.set_password(accounts.ensure_owner(), "a long enough one")
    with pytest.raises(NotSignedIn):
        accounts.set_password(owner, "another long one", current="wrong")
    accounts.set_password(owner, "another long one", current="a long enough one")


def test_five_wrong_current_passwords_are_enough(accounts):
    owner = accounts.set_password(accounts.ensure_owner(), "a long enough one")
    for _ in range(5):
        with pytest.raises(NotSignedIn):
            accounts.set_password(owner, "another long one", current="wrong")
    with pytest.raises(TooManyTries):
        accounts.set_password(owner, "another long one", current="a long enough one")


def test_a_device_is_known_for_the_name_that_signed_in_on_it(accounts):
    cookie = accounts.devices.header("ada").partition(";")[0]
    assert accounts.devices.read(f"other=1; {cookie}", "ada")
    assert accounts.devices.read(cookie, "bob") is None and accounts.devices.read(cookie + "x", "ada") is None
    assert accounts.devices.read(None, "ada") is None
    # It signs nobody in.
    assert accounts.user_of_cookies(cookie.replace(accounts.devices.name, accounts.sessions.name)) is None


def test_without_a_password_nobody_signs_in_by_one(accounts):
    owner = accounts.ensure_owner()
    for password in ("", "None", "nobody has this password"):
        with pytest.raises(NotSignedIn):
            accounts.sign_in(owner.name, password)


def test_wrong_names_and_wrong_passwords_get_the_same_sentence(accounts):
    user = accounts.add_user("ada", password="a long enough one")
    with pytest.raises(NotSignedIn) as wrong_password:
        accounts.sign_in(user.name, "nope")
    with pytest.raises(NotSignedIn) as wrong_name:
        accounts.sign_in("nobody", "nope")
    assert wrong_password.value.message == wrong_name.value.message


def test_short_passwords_are_refused_and_verifying_nothing_is_false():
    with pytest.raises(InvalidInput):
        hash_password("short")
    assert not verify_password("anything", None)
    assert not verify_password("anything", "not a hash")


def test_names_are_unique(accounts):
    accounts.add_user("ada")
    with pytest.raises(InvalidInput, match="already"):
        accounts.add_user("ada")


def test_what_people_do_is_recorded(accounts):
    owner = accounts.ensure_owner()
    accounts.use_link(secret_of(accounts.make_link(owner)))
    with pytest.raises(NotSignedIn):
        accounts.sign_in(owner.name, "wrong")
    with accounts.database.session() as session:
        actions = [event.action for event in session.exec(select(AuditEvent).order_by(AuditEvent.id))]
    assert actions == ["user.created", "link.made", "sign_in", "sign_in.failed"]


def test_roles_are_those_of_the_list_and_only_some_may_promote(accounts):
    people = {role: accounts.add_user(role, role=role) for role in ROLES}
    assert [role for role, person in people.items() if may_promote(person)] == ["owner", "promoter"]
    with pytest.raises(InvalidInput, match="Unknown role: 'admin'"):
        accounts.add_user("eve", role="admin")
