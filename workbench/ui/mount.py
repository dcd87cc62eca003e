"""Mount the pages and the viewer on the gateway."""

from __future__ import annotations

import os
import warnings

import gradio as gr
from fastapi import FastAPI, Request
from starlette.middleware import Middleware

from workbench.api.identity import user_of
from workbench.services.context import Services
from workbench.ui.access.page_files import PageFiles
from workbench.ui.access.page_policy import PagePolicy
from workbench.ui.theme import FAVICON, SCRIPT, STYLES, head, theme
from workbench.ui.viewer.routes import viewer_routes


def mount_pages(app: FastAPI, services: Services) -> PageFiles:
    """Put the pages at ``/`` of ``app`` (call it last: what was added before goes first) and the viewer below ``/viewer``.

    Returns:
        The files that people upload to pages; the host keeps them swept.
    """
    # Gradio reads both when it is asked for the first time: nothing is sent out, and uploads lie in the data folder.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    files = PageFiles(services.folder.cache / "gradio")
    os.environ["GRADIO_TEMP_DIR"] = str(files.root)
    from workbench.ui.access.page_sessions import PageSessions
    from workbench.ui.access.route_guard import RouteGuard
    from workbench.ui.app import build_pages

    app.include_router(viewer_routes(services))

    def signed_in(request: Request) -> str | None:
        user = user_of(request)
        return user.name if user else None

    pages = build_pages(services)
    with warnings.catch_warnings():
        # It says that several pages are not rendered on the server, which nobody asked for.
        warnings.filterwarnings("ignore", message="SSR mode")
        gr.mount_gradio_app(
            app,
            pages,
            path="/",
            auth_dependency=signed_in,
            theme=theme(),
            css_paths=[STYLES],
            head=head(),
            favicon_path=str(FAVICON),
            footer_links=[],
            run_history=False,
            max_file_size=f"{services.settings.gateway.max_upload_mb}mb",
            show_error=True,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            enable_monitoring=False,
        )
    # A mounted Blocks counts as not launched, and then Gradio checks no path of a file that an event receives, and serves every
    # SVG that somebody uploads to everybody, as a page of ours.
    pages.has_launched = pages.is_running = True
    mounted = app.routes[-1].app  # type: ignore[attr-defined]
    mounted.add_middleware(RouteGuard, blocks=pages, files=files, sessions=PageSessions(mounted), cookie=services.accounts.sessions.name)
    mounted.user_middleware.append(Middleware(PagePolicy, scripts=(SCRIPT.read_text(),)))  # the innermost: before compression
    return files
