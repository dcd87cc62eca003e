"""Settings: a person's own profile, password, sessions and API tokens."""

from __future__ import annotations

import asyncio
from datetime import datetime

import gradio as gr

from infra.database.tables import User
from workbench.accounts import people
from workbench.accounts.people import TokenView
from workbench.services.context import Services
from workbench.ui.account.people import COPY_ON_CLICK, copied_html
from workbench.ui.shared.formatting import escape, moment
from workbench.ui.shared.shell import HIDDEN, Updates, bottom_line, html, panel, person, told, top_bar

LEAD = '<div class="wb-lead"><h1>Settings</h1><p>Your account, and API tokens for scripts and other programs.</p></div>'
DAYS = (7, 30, 90)
ON_REVOKE = """element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-token]');
  if (!button || !confirm(button.dataset.ask)) return;
  button.disabled = true;
  trigger('submit', { id: button.dataset.token });
});"""


def settings_page(services: Services, blocks: gr.Blocks) -> None:
    """Lay out the page in the current Blocks."""
    accounts = services.accounts
    most = accounts.settings.gateway.token_days
    top_bar("Settings")
    html(LEAD)
    profile = html()
    with gr.Row(elem_classes="wb-form wb-narrow"):
        name = gr.Textbox(
            "", show_label=False, container=False, placeholder="What a new token is for, for example laptop", max_lines=1, max_length=80,
            label="What a new token is for", elem_id="token-name", scale=1, min_width=200,
        )  # fmt: skip
        days = gr.Dropdown(
            [(f"{one} days", one) for one in sorted({*(one for one in DAYS if one < most), most})], value=most, show_label=False,
            container=False, label="How long the new token is valid", elem_id="token-days", scale=0, min_width=130,
        )  # fmt: skip
        add = gr.Button("Make a token", variant="primary", elem_id="add-token", size="md", scale=0, min_width=140)
    made = html(js_on_load=COPY_ON_CLICK, elem_id="made-token")
    table = html(js_on_load=ON_REVOKE, elem_id="tokens")
    html(panel("How to use a token", use_html(services.settings.url)))
    bottom_line()

    async def show(user: User) -> str:
        return tokens_html(await asyncio.to_thread(people.list_tokens, accounts, user))

    @told
    async def open_page(request: gr.Request) -> Updates:
        user = person(request)
        return {profile: profile_html(user), table: await show(user)}

    @told
    async def add_one(wanted: str, valid: int, request: gr.Request) -> Updates:
        user = person(request)
        token, secret = await asyncio.to_thread(people.add_token, accounts, user, wanted, int(valid))
        return {name: "", made: made_html(token, secret), table: await show(user)}

    @told
    async def revoke(request: gr.Request, event: gr.EventData) -> Updates:
        user = person(request)
        await asyncio.to_thread(people.revoke_token, accounts, user, str(event.id))
        return {made: "", table: await show(user)}

    blocks.load(open_page, None, [profile, table], **HIDDEN)
    for event in (add.click, name.submit):
        event(add_one, [name, days], [name, made, table], **HIDDEN)
    table.submit(revoke, None, [made, table], **HIDDEN)


def profile_html(user: User) -> str:
    """Name, role, and the ways to the password page and out."""
    password = "Change the password" if user.password_hash else "Set a password"
    body = (
        f"<p>{escape(user.name)}, {escape(user.role)}, added {moment(user.created_at)}.</p>"
        f'<div><a class="wb-button" href="/auth/password">{password}</a><form method="post" action="/auth/sign-out?everywhere=true">'
        '<button type="submit" class="wb-button">Sign out everywhere</button></form></div>'
    )
    return panel("Profile", f'<div class="wb-prose wb-profile">{body}</div>')


def tokens_html(found: list[TokenView]) -> str:
    """The table of valid tokens."""
    if not found:
        text = "You have no tokens. Create one per program or machine, so that each can be revoked separately."
        return panel("Tokens", f'<p class="wb-quiet">{text}</p>')
    head = "".join(f"<th>{name}</th>" for name in ("Token", "Last use", "Made", "Valid", '<span class="wb-hidden">What to do</span>'))
    rows = "".join(_row(one) for one in found)
    return panel("Tokens", f'<table class="wb-table wb-jobs"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>')


def _row(one: TokenView) -> str:
    used = f"used {moment(one.last_used_at)}" if one.last_used_at else "never used"
    ask = escape(f"Revoke {one.name}? Programs that use it will lose access.")
    return (
        f'<tr data-name="{escape(one.name)}"><th scope="row">{escape(one.name)}</th><td>{used}</td>'
        f'<td class="wb-when">made {moment(one.created_at)}</td><td class="wb-when">until {_day(one.expires_at)}</td>'
        f'<td class="wb-actions"><button type="button" class="wb-link" data-token="{one.id}" data-ask="{ask}">Revoke</button></td></tr>'
    )


def made_html(token: TokenView, secret: str) -> str:
    """A new token, shown this once."""
    text = f'<p class="wb-quiet">Valid until {_day(token.expires_at)}. Copy it now; it is shown only once.</p>'
    return panel(f"The token {token.name}", text + copied_html(secret, f"The token {token.name}"))


def use_html(url: str) -> str:
    """How a token is used on the command line, in Python and over HTTP."""
    shell = f"export WORKBENCH_URL={url}\nexport WORKBENCH_TOKEN=wb_...\nworkbench jobs list"
    python = 'from serving import connect\n\nwb = connect()  # reads WORKBENCH_URL and WORKBENCH_TOKEN\nwb.embed(["a text"]).vectors'
    http = f'curl -H "Authorization: Bearer $WORKBENCH_TOKEN" {url}/jobs'
    parts = (("Command line", shell), ("Python", python), ("HTTP", http))
    return "".join(
        f'<h3>{title}</h3><pre class="wb-pre" tabindex="0" role="region" aria-label="{title} example">{escape(text)}</pre>'
        for title, text in parts
    )


def _day(when: datetime) -> str:
    return f"{when.day} {when:%B %Y}"
