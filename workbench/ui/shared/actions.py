"""Buttons in the HTML of pages, and what the browser does with them."""

from __future__ import annotations

from workbench.ui.shared.formatting import escape

# A button in our HTML says what is to be done and with what; a question is asked before what cannot be undone. It is given
# back after a while: where the handler fails, the HTML stays as it is.
ON_CLICK = """element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-do]');
  if (!button || (button.dataset.ask && !confirm(button.dataset.ask))) return;
  button.disabled = true;
  setTimeout(() => { button.disabled = false; }, 4000);
  const words = button.closest('[data-words]')?.querySelector('textarea')?.value ?? '';
  trigger('submit', { action: button.dataset.do, id: button.dataset.id ?? '', words });
});"""

# Leaves for another address, a moment later: Gradio complains of answers that nobody waits for any more.
GO = "(where) => { if (where) setTimeout(() => { location.href = where; }, 200); }"


def button(text: str, action: str, identifier: str = "", *, ask: str = "", title: str = "") -> str:
    """A button for :data:`ON_CLICK`."""
    asked = f' data-ask="{escape(ask)}"' if ask else ""
    hint = f' aria-label="{escape(title)}"' if title else ""
    return f'<button type="button" class="wb-link" data-do="{action}" data-id="{escape(identifier)}"{asked}{hint}>{escape(text)}</button>'
