"""The signed cookies: one keeps a person signed in, one says that a device is known."""

from __future__ import annotations

import secrets
from http.cookies import CookieError, SimpleCookie

from itsdangerous import BadSignature, URLSafeTimedSerializer

from infra.settings import Settings


class Sessions:
    """Makes and reads session cookies: the id of a row of ``user_sessions``, signed and dated, nothing else.

    The row decides whether the session holds: a cookie that somebody copied ends with it.
    """

    def __init__(self, settings: Settings, secret: str) -> None:
        self._signer = URLSafeTimedSerializer(secret, salt="session")
        self.seconds = settings.gateway.session_hours * 3600
        self._secure = settings.url.startswith("https://")
        # Cookies do not know ports: two workbenches on one machine must not sign each other's people out.
        self.name = f"workbench_session_{settings.gateway.port}"

    def header(self, session_id: str) -> str:
        """The value of ``Set-Cookie`` that signs a person in."""
        return _set_cookie(self.name, self._signer.dumps(session_id), "/", self.seconds, self._secure)

    def clearing_header(self) -> str:
        """The value of ``Set-Cookie`` that removes the cookie."""
        return _set_cookie(self.name, "", "/", 0, self._secure)

    def read(self, cookies: str | None) -> str | None:
        """The session's id from a ``Cookie`` header; None where there is none, or it is forged or too old."""
        try:
            session_id = self._signer.loads(_value(cookies, self.name), max_age=self.seconds)
        except (BadSignature, ValueError, TypeError):
            return None
        return session_id if isinstance(session_id, str) else None


class Devices:
    """Makes and reads the cookie of a device on which a person has signed in: a name and a random id, signed.

    It signs nobody in. The limits on sign-in attempts (:mod:`workbench.accounts.limits`) let the device try, whatever
    strangers have tried for that name or from that address.
    """

    DAYS = 400  # the most that browsers keep a cookie

    def __init__(self, settings: Settings, secret: str) -> None:
        self._signer = URLSafeTimedSerializer(secret, salt="device")
        self._secure = settings.url.startswith("https://")
        self.name = f"workbench_device_{settings.gateway.port}"

    def header(self, name: str) -> str:
        """The value of ``Set-Cookie`` after ``name`` has signed in."""
        value = self._signer.dumps([name, secrets.token_hex(8)])
        return _set_cookie(self.name, value, "/auth/", self.DAYS * 86_400, self._secure)

    def read(self, cookies: str | None, name: str) -> str | None:
        """The id of the device, if ``name`` was the last to sign in on it; else None."""
        try:
            known, device = self._signer.loads(_value(cookies, self.name), max_age=self.DAYS * 86_400)
        except (BadSignature, ValueError, TypeError):
            return None
        return str(device) if known == name else None


def _value(cookies: str | None, name: str) -> str:
    """Of a ``Cookie`` header the value of one, empty where it is not there."""
    if not cookies or name not in cookies:
        return ""
    try:
        morsel = SimpleCookie(cookies).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _set_cookie(name: str, value: str, path: str, seconds: int, secure: bool) -> str:
    return f"{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")
