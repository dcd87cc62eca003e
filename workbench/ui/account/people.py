"""People, for owners: who may use this workbench, and links to hand over to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import gradio as gr

from infra.database.people import MEMBER, ROLES, is_owner
from infra.database.tables import User
from workbench.accounts import people
from workbench.accounts.people import Person
from workbench.services.context import Services
from workbench.ui.shared.formatting import capital, escape, moment, plural
from workbench.ui.shared.shell import HIDDEN, Updates, bottom_line, chip, empty, html, panel, person, told, top_bar

LEAD = """<div class="wb-lead"><h1>People</h1><p>Users of this workbench. When you add or reset a user, you get a one-time
sign-in link to pass on.</p></div>"""
MEANINGS = """<p class="wb-quiet">Members see their own results and what is shared with them. Promoters can
also change which model versions are served. Owners have full access, including all results.</p>"""
FOR_OWNERS = 'Ask an owner to add users or change roles. Your own account is in <a href="/settings">Settings</a>.'

# A control in a row says what to do with whom. COPY_ON_CLICK copies the field beside a button; without a clipboard it is marked.
COPY_ON_CLICK = """element.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-copy]');
  if (!button) return;
  const field = button.parentElement.querySelector('input');
  field.select();
  try { await navigator.clipboard.writeText(field.value); button.textContent = 'Copied'; } catch { /* it is marked */ }
});"""
ON_PERSON = """element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-do]');
  if (!button || (button.dataset.ask && !confirm(button.dataset.ask))) return;
  button.disabled = true;
  trigger('submit', { action: button.dataset.do, id: button.dataset.id, role: '' });
});
element.addEventListener('change', (event) => {
  const select = event.target.closest('select[data-id]');
  if (select) trigger('submit', { action: 'role', id: select.dataset.id, role: select.value });
});"""


def people_page(services: Services, blocks: gr.Blocks) -> None:
    """Lay out the page in the current Blocks."""
    accounts = services.accounts
    top_bar("People")
    html(LEAD)
    with gr.Column(visible=False) as view:
        with gr.Row(elem_classes="wb-form wb-narrow"):
            name = gr.Textbox(
                "", show_label=False, container=False, placeholder="Name of a new person", max_lines=1, max_length=80,
                label="Name of a new person", elem_id="person-name", scale=1, min_width=200,
            )  # fmt: skip
            role = gr.Dropdown(
                [(capital(one), one) for one in ROLES], value=MEMBER, label="Role of the new person", show_label=False, container=False,
                elem_id="person-role", min_width=130, scale=0,
            )  # fmt: skip
            add = gr.Button("Add", variant="primary", elem_id="add-person", size="md", scale=0, min_width=100)
        link = html(js_on_load=COPY_ON_CLICK, elem_id="link")
        table = html(js_on_load=ON_PERSON, elem_id="people")
        html(MEANINGS)
    refused = html(visible=False)
    bottom_line()

    async def show(user: User) -> str:
        return people_html(await asyncio.to_thread(people.list_people, accounts, user), user.id)

    @told
    async def open_page(request: gr.Request) -> Updates:
        user = person(request)
        if not is_owner(user):
            return {refused: gr.HTML(empty("Only owners manage people", FOR_OWNERS), visible=True)}
        return {view: gr.Column(visible=True), table: await show(user)}

    @told
    async def add_one(wanted: str, its_role: str, request: gr.Request) -> Updates:
        user = person(request)
        made, address = await asyncio.to_thread(people.add_person, accounts, user, wanted, its_role)
        return {name: "", link: link_html(made, address), table: await show(user)}

    @told
    async def act(request: gr.Request, event: gr.EventData) -> Updates:
        user, action, named = person(request), str(event.action), str(event.id)
        said: Any = ""
        try:
            if action == "role":
                await asyncio.to_thread(people.change_role, accounts, user, named, str(event.role))
            elif action == "reset":
                said = link_html(*await asyncio.to_thread(people.reset, accounts, user, named))
            elif action in _ACTIONS:
                await asyncio.to_thread(_ACTIONS[action], accounts, user, named)
        finally:
            shown = await show(user)
        return {link: said, table: shown}

    blocks.load(open_page, None, [view, table, refused], **HIDDEN)
    for event in (add.click, name.submit):
        event(add_one, [name, role], [name, link, table], **HIDDEN)
    table.submit(act, None, [link, table], **HIDDEN)


_ACTIONS: dict[str, Callable[..., Person]] = {"disable": people.disable, "end": people.end_persons_sessions}


def link_html(to: Person, address: str) -> str:
    """The link to hand over, with a button that copies it."""
    return panel(
        f"Link for {to.name}",
        f'<p class="wb-quiet">Hand it over to {escape(to.name)} over a private channel. The link works once and is shown only once.</p>'
        f"{copied_html(address, f'Link for {to.name}')}",
    )


def copied_html(value: str, label: str) -> str:
    """A value that is shown once, and a button that copies it."""
    return (
        f'<div class="wb-copy"><input readonly value="{escape(value)}" aria-label="{escape(label)}">'
        '<button type="button" class="wb-button" data-copy>Copy</button></div>'
    )


def people_html(found: list[Person], own_id: str) -> str:
    """The table of people; on one's own row there is nothing to do."""
    rows = "".join(_row(one, own=one.id == own_id) for one in found)
    return (
        '<section class="wb-card"><table class="wb-table wb-jobs"><thead><tr><th>Name</th><th>Role</th><th>State</th><th>Open</th>'
        f'<th>Added</th><th><span class="wb-hidden">What to do</span></th></tr></thead><tbody>{rows}</tbody></table></section>'
    )


def _row(one: Person, *, own: bool) -> str:
    if one.disabled_at:
        state = chip("Disabled", "bad")
    else:
        state = chip("Password", "good") if one.has_password else chip("No password", "plain", "No password; signs in by link")
    opened = ", ".join(plural(count, word) for count, word in ((one.sessions, "session"), (one.tokens, "token")) if count)
    options = "".join(f'<option value="{role}"{" selected" if role == one.role else ""}>{capital(role)}</option>' for role in ROLES)
    role = f'<select data-id="{one.id}" aria-label="Role of {escape(one.name)}">{options}</select>'
    return (
        f'<tr data-person="{escape(one.name)}"><th scope="row">{escape(one.name)}{" <small>(you)</small>" if own else ""}</th>'
        f'<td>{capital(one.role) if own or one.disabled_at else role}</td><td>{state}</td><td class="wb-number">{opened}</td>'
        f'<td class="wb-when">{moment(one.created_at)}</td><td class="wb-actions">{"" if own else _actions(one)}</td></tr>'
    )


def _actions(one: Person) -> str:
    reset = (
        f"Reset {one.name}? The password is removed, all sessions end and all tokens are revoked. You get a new sign-in link."
        if not one.disabled_at
        else f"Enable {one.name}? You get a new sign-in link to pass on."
    )
    buttons = [_button("reset", "Enable" if one.disabled_at else "Reset", one, reset)]
    if one.sessions:
        buttons.insert(0, _button("end", "End sessions", one))
    if not one.disabled_at:
        buttons.append(_button("disable", "Disable", one, f"Disable {one.name}? They can no longer sign in. Their results are kept."))
    return "".join(buttons)


def _button(action: str, label: str, one: Person, ask: str = "") -> str:
    asked = f' data-ask="{escape(ask)}"' if ask else ""
    return f'<button type="button" class="wb-link" data-do="{action}" data-id="{one.id}"{asked}>{label}</button>'
