"""The signed cookie that keeps a person signed in."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

from itsdangerous import BadSignature, URLSafeTimedSerializer

from infra.settings import Settings


class Sessions:
    """Makes and reads session cookies: a user's id and session epoch, signed and dated, nothing else.

    Raising the user's epoch in the database ends every session of that person.
    """

    def __init__(self, settings: Settings, secret: str) -> None:
        self._signer = URLSafeTimedSerializer(secret, salt="session")
        self._seconds = settings.gateway.session_hours * 3600
        self._secure = settings.url.startswith("https://")
        # Cookies do not know ports: two workbenches on one machine must not sign each other's people out.
        self.name = f"workbench_session_{settings.gateway.port}"

    def header(self, user_id: str, epoch: int) -> str:
        """The value of ``Set-Cookie`` that signs a person in."""
        return self._cookie(self._signer.dumps([user_id, epoch]), self._seconds)

    def clearing_header(self) -> str:
        """The value of ``Set-Cookie`` that signs out."""
        return self._cookie("", 0)

    def read(self, cookies: str | None) -> tuple[str, int] | None:
        """User id and epoch from a ``Cookie`` header; None where there is no session, or it is forged or too old."""
        if not cookies or self.name not in cookies:
            return None
        try:
            morsel = SimpleCookie(cookies).get(self.name)
            user_id, epoch = self._signer.loads(morsel.value if morsel else "", max_age=self._seconds)
        except (BadSignature, CookieError, ValueError, TypeError):
            return None
        return str(user_id), int(epoch)

    def _cookie(self, value: str, seconds: int) -> str:
        secure = "; Secure" if self._secure else ""
        return f"{self.name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
