"""The sign-in and password pages: own small HTML, since a stranger gets nothing of the workbench's pages."""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template

TEMPLATE = Path(__file__).parent / "pages" / "sign_in.html"


def sign_in_page(*, next_path: str = "/", name: str = "", problem: str = "", notice: str = "") -> str:
    """HTML with a form for name and password, and how to get a link instead."""
    form = f"""<form method="post" action="/auth/sign-in">
      <input type="hidden" name="next" value="{escape(next_path)}">
      <label for="name">Name</label>
      <input id="name" name="name" value="{escape(name)}" autocomplete="username" required>
      <label for="password">Password</label>
      <input id="password" name="password" type="password" autocomplete="current-password" required>
      <button type="submit">Sign in</button>
    </form>"""
    footer = "No password yet? Run <code>workbench login</code> on the machine that runs the workbench, and open the link it prints."
    return _page("Sign in to continue.", form, problem=problem, notice=notice, footer=footer)


def password_page(*, name: str, has_password: bool, problem: str = "", notice: str = "") -> str:
    """HTML with a form that sets or changes the password of the person who is signed in."""
    current = """<label for="current">Current password</label>
      <input id="current" name="current" type="password" autocomplete="current-password" required>"""
    form = f"""<form method="post" action="/auth/password">
      {current if has_password else ""}
      <label for="password">New password</label>
      <input id="password" name="password" type="password" autocomplete="new-password" minlength="10" required>
      <button type="submit">{"Change" if has_password else "Set"} password</button>
    </form>"""
    footer = '<a href="/">Back to the workbench</a>'
    return _page(f"Password of {escape(name)}", form, problem=problem, notice=notice, footer=footer, title="Password")


def replace_session_page(*, secret: str, next_path: str, here: str, wanted: str) -> str:
    """HTML that asks whether a one-time link of another account is to replace the session."""
    form = f"""<p>You are signed in as <b>{escape(here)}</b>. This link signs in <b>{escape(wanted)}</b>.
      Continue only if you expected a link for {escape(wanted)}.</p>
    <form method="post" action="/auth/link">
      <input type="hidden" name="secret" value="{escape(secret)}">
      <input type="hidden" name="next" value="{escape(next_path)}">
      <button type="submit">Sign in as {escape(wanted)}</button>
    </form>"""
    footer = f'<a href="/">Stay signed in as {escape(here)}</a>'
    return _page("Switch account?", form, problem="", notice="", footer=footer)


def not_found_page(detail: str) -> str:
    """HTML for an address where nothing is."""
    form = f"""<p style="margin:0 0 16px">{escape(detail)}</p><p style="margin:0"><a href="/">Go to the home page</a></p>"""
    return _page("Page not found", form, problem="", notice="", footer="Error 404", title="Page not found")


def safe_next(path: str | None) -> str:
    """``path`` where it stays on this site, else the home page: a sign-in must not send people elsewhere."""
    if not path or not path.startswith("/") or path.startswith("//") or "\\" in path or any(ord(c) < 32 for c in path):
        return "/"
    return "/" if path.startswith("/auth/") and not path.startswith("/auth/password") else path


def _page(lead: str, form: str, *, problem: str, notice: str, footer: str, title: str = "Sign in") -> str:
    note = ""
    if problem:
        note = f'<p class="note bad" role="alert">{escape(problem)}</p>'
    elif notice:
        note = f'<p class="note good" role="status">{escape(notice)}</p>'
    return Template(TEMPLATE.read_text()).substitute(title=title, lead=lead, note=note, form=form, footer=footer)
