"""Open pages: whose each is, and what Gradio keeps for it until it is closed.

A browser names its page by a hash that it makes up (Gradio's ``session_hash``). Gradio gives the events and messages of a
page to anyone who knows its hash, and frees what it keeps for a page only when ten thousand others have come. Here the hash
belongs to the person who used it first, and everything kept for it goes when the page is closed or gives way to newer ones.
"""

from __future__ import annotations

import re
import sys
from collections import OrderedDict
from copy import copy
from typing import Any

import gradio as gr
from gradio.caching import clear_session_caches
from gradio.routes import App
from gradio.state_holder import SessionState, StateHolder

from infra.database.tables import User
from infra.errors import InvalidInput, NotAllowed, NotFound

MOST = 1000
MOST_A_PERSON = 50
ANOTHERS = "This page was opened by another user. Reload it."


class PageSessions:
    """The open pages of all people.

    Args:
        app: the mounted Gradio application; what it keeps for pages is managed from now on.
        most: how many pages are kept; beyond, the one that was used longest ago is closed.
        most_a_person: the same, for one person.
    """

    def __init__(self, app: App, *, most: int = MOST, most_a_person: int = MOST_A_PERSON) -> None:
        self.blocks: gr.Blocks = app.get_blocks()
        self.most = most
        self.most_a_person = most_a_person
        self._owners: OrderedDict[str, str] = OrderedDict()  # in the order of their last use
        self._states = _States(self._owners)
        self._states.set_blocks(self.blocks)
        app.state_holder = self._states
        # After every event Gradio computes statistics of the last ten thousand events, for a dashboard that is off.
        queue = self.blocks._queue
        queue.ANALYTICS_MAX_EVENTS, queue.ANAYLTICS_CACHE_FREQUENCY = 1, sys.maxsize

    def __len__(self) -> int:
        return len(self._owners)

    async def enter(self, user: User, session: Any) -> str:
        """The hash ``session``, which is this person's from now on if it was nobody's.

        Raises:
            InvalidInput: it is no hash of a page.
            NotAllowed: it is another person's.
        """
        if not isinstance(session, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", session):
            raise InvalidInput("The request has no session.")
        if session not in self._owners:
            mine = [known for known, owner in self._owners.items() if owner == user.id]
            if len(mine) >= self.most_a_person:
                await self.close(self._idle_first(mine))
            elif len(self._owners) >= self.most:
                await self.close(self._idle_first(list(self._owners)))
            self._owners[session] = user.id
        return self.require(user, session)

    def require(self, user: User, session: Any, event: Any = None) -> str:
        """The hash ``session``, if it is an open page of this person (and ``event`` none of another page).

        Raises:
            NotFound: no such page is open, or the event is not one of this page.
            NotAllowed: it is another person's.
        """
        owner = self._owners.get(session) if isinstance(session, str) else None
        if owner is None:
            raise NotFound("This page has expired. Reload it.")
        if owner != user.id:
            raise NotAllowed(ANOTHERS)
        known = self.blocks._queue.event_ids_to_events.get(event) if isinstance(event, str) else None
        if known is not None and known.session_hash != session:
            raise NotFound("Unknown event of this page.")
        self._owners.move_to_end(session)
        return session

    async def close(self, session: str) -> None:
        """Free everything that is kept for a page; its events that have not begun are dropped."""
        queue = self.blocks._queue
        await queue.clean_events(session_hash=session)
        self._owners.pop(session, None)
        self._states.session_data.pop(session, None)
        self._states.time_last_used.pop(session, None)
        queue.pending_messages_per_session.pop(session, None)
        queue.pending_event_ids_session.pop(session, None)
        self.blocks.pending_streams.pop(session, None)
        self.blocks.pending_diff_streams.pop(session, None)
        clear_session_caches(session)
        for paths in self.blocks.temp_file_sets:
            paths.clear()  # names of uploads, for a removal by Gradio that is off (page_files.py removes them)

    def _idle_first(self, sessions: list[str]) -> str:
        busy = self.blocks._queue.pending_event_ids_session
        return next((session for session in sessions if not busy.get(session)), sessions[0])


class _States(StateHolder):
    """Gradio's states of pages, each without the part that is kept for deep links alone; none for a page that was closed."""

    def __init__(self, owners: OrderedDict[str, str]) -> None:
        super().__init__()
        self._owners = owners

    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self._owners:
            return _State(self.blocks)
        if session_id not in self.session_data:
            self.session_data[session_id] = _State(self.blocks)
        return self.session_data[session_id]


class _State(SessionState):
    """What Gradio keeps for one page: the components that events have changed.

    Gradio's own also copies the description of every component of every page, half a megabyte, so that a deep link could show
    the page as it was; deep links are closed (:mod:`workbench.ui.access.route_guard`).
    """

    def __init__(self, blocks: gr.Blocks) -> None:
        # What SessionState.__init__ does, without ``config_values``.
        self.blocks_config = copy(blocks.default_config)
        self.config_values: dict[int, Any] = {}
        self.state_data: dict[int, Any] = {}
        self._state_ttl: dict[int, Any] = {}
        self.is_closed = False
        self.STATE_TTL_WHEN_CLOSED = 3600

    def __setitem__(self, key: int, value: Any) -> None:
        super().__setitem__(key, value)
        self.config_values.clear()

    def _update_config(self, key: int) -> None:
        pass

    def _update_value_in_config(self, key: int, value: Any) -> None:
        pass
