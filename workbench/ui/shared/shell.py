"""What every page has: the bar at the top, the line at the bottom, who asks, and how an error is told."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import gradio as gr

from infra.database.tables import User
from infra.errors import NotSignedIn, WorkbenchError
from infra.telemetry import correlation_id, logger
from workbench.api.identity import user_of
from workbench.ui.shared.formatting import escape

log = logger(__name__)

Updates = dict[Any, Any]
"""What an event changes: components to their new value, or to themselves with other properties."""
HIDDEN: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""How the events of a page are made that draws its own progress, and that are nobody's API."""

# Only pages that exist stand here: (name, address).
PAGES = (
    ("Home", "/"),
    ("Imaging", "/imaging"),
    ("Cohorts", "/cohorts"),
    ("Compliance", "/compliance"),
    ("Knowledge", "/knowledge"),
    ("Ask", "/ask"),
    ("Activity", "/activity"),
)


BELL = (
    '<svg viewBox="0 0 24 24" width="20" height="20" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" '
    'stroke-linejoin="round" aria-hidden="true"><path d="M6 9a6 6 0 0 1 12 0c0 6 2.5 7.5 2.5 7.5h-17S6 15 6 9"/>'
    '<path d="M10 20a2.2 2.2 0 0 0 4 0"/></svg>'
)


def person(request: gr.Request) -> User:
    """The person behind an event of a page.

    Raises:
        NotSignedIn: the session has ended meanwhile.
    """
    user = user_of(request.request) if request and request.request else None
    if user is None:
        raise NotSignedIn("You are signed out. Reload the page to sign in.")
    return user


def html(value: str = "", **options: Any) -> gr.HTML:
    """An HTML component in our own styles, without Gradio's for prose."""
    return gr.HTML(value, apply_default_css=False, padding=False, **options)


def top_bar(active: str) -> gr.HTML:
    """The bar with the pages; ``active`` is the name of the one that is shown."""
    links = "".join(f'<a href="{address}"{" aria-current=page" if name == active else ""}>{name}</a>' for name, address in PAGES)
    return html(
        f"""<a class="wb-skip" href="#content">Skip to content</a>
        <header class="wb-bar"><a class="wb-brand" href="/">Workbench</a><nav aria-label="Pages">{links}</nav>
        <details class="wb-menu wb-news" data-news>
        <summary aria-label="Notifications" title="Notifications">{BELL}<b data-unread hidden></b></summary>
        <div data-notices><p>No notifications</p></div></details>
        <details class="wb-menu"><summary data-me>Account</summary><div>
        <button type="button" data-theme-toggle>Light or dark</button>
        <a href="/settings">Settings</a><a href="/people" data-owner hidden>People</a><a href="/docs">API</a>
        <a href="/mlflow/#/models">MLflow</a>
        <form method="post" action="/auth/sign-out"><button type="submit">Sign out</button></form>
        </div></details></header><span id="content" tabindex="-1"></span>""",
        elem_classes="wb-top",
    )


def bottom_line() -> gr.HTML:
    return html('<footer class="wb-foot">For research use only. Not a medical device; not for diagnosis.</footer>')


def told(handler: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """An event handler whose errors a person can read: ours by their sentence, others by where to look."""

    @functools.wraps(handler)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return await handler(*args, **kwargs)
        except WorkbenchError as error:
            raise gr.Error(escape(error.message), title="Error", duration=12, print_exception=False) from error
        except gr.Error:
            raise
        except Exception as error:
            log.error("a page's handler failed", handler=handler.__name__, exc_info=error)
            raise gr.Error(
                f"Unexpected error. Details are in the gateway's log (correlation ID {correlation_id()}).",
                title="Internal error", duration=12, print_exception=False,
            ) from error  # fmt: skip

    return wrapped


def chip(text: str, kind: str = "plain", title: str = "") -> str:
    """A small label; ``kind`` is plain, good, limited, bad or live."""
    hint = f' title="{escape(title)}"' if title else ""
    return f'<span class="wb-chip {kind}"{hint}>{escape(text)}</span>'


def panel(title: str, body: str, *, aside: str = "") -> str:
    """A titled card."""
    return f'<section class="wb-card"><div class="wb-card-head"><h2>{escape(title)}</h2>{aside}</div>{body}</section>'


def progress_bar(label: str, fraction: float, kind: str = "") -> str:
    """A bar; ``kind`` is a class beside ``wb-progress``."""
    percent = round(100 * fraction)
    return (
        f'<div class="wb-progress {kind}" role="progressbar" aria-label="{escape(label)}" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}"><i style="width:{percent}%"></i></div>'
    )


def empty(title: str, text: str) -> str:
    """What stands where there is nothing yet: what to do first."""
    return f'<div class="wb-empty"><strong>{escape(title)}</strong><p>{text}</p></div>'
