"""Header scan: every route and page, signed in and not, sends the headers that keep a browser from doing harm with it."""

import re
from collections.abc import Iterator

import httpx
import pytest
from fastapi.routing import APIRoute

from infra.settings import load_settings
from tests.integration.workbench.conftest import Running, free_port, gateway

PAGES = (
    "/",
    "/imaging",
    "/cohorts",
    "/compliance",
    "/requirements",
    "/compliance-dashboard",
    "/knowledge",
    "/ask",
    "/activity",
    "/settings",
    "/people",
)
# Gradio's own routes are mounted; these stand for their kinds.
MOUNTED = (
    "/config",
    "/theme.css",
    "/gradio_api/info",
    "/gradio_api/file=/etc/passwd",
    "/gradio_api/queue/status",
    "/assets/none.js",
    "/nothing",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = load_settings(home=tmp_path_factory.mktemp("home"), gateway={"port": free_port()})
    with gateway(pages=True, settings=settings) as found:
        yield found


def addresses(site: Running) -> list[tuple[str, str]]:
    """Method and address of every route, found from the application, so that a new one is scanned too."""
    found = []
    for route in site.app.routes:
        if isinstance(route, APIRoute):
            path = re.sub(r"\{[^}]*\}", "x", route.path)
            # Those that change something are sent nothing: they refuse, and the refusal has the headers, too.
            found += [(method, path) for method in sorted(route.methods) if path != "/auth/sign-out"]
    pages = [f"/{page[0]}" for page in site.app.routes[-1].app.get_blocks().pages]  # type: ignore[attr-defined]
    assert set(PAGES) <= set(pages)
    return [*found, *(("GET", path) for path in (*pages, *MOUNTED)), ("POST", "/nothing"), ("DELETE", "/jobs/x")]


def complaints(method: str, path: str, answer: httpx.Response) -> list[str]:
    """What the headers of an answer lack."""
    headers, policy = answer.headers, answer.headers.get("content-security-policy", "")
    scripts = re.search(r"script-src ([^;]*)", policy)
    wanted = {
        "content security policy": "default-src" in policy,
        "frame-ancestors": re.search(r"frame-ancestors '(self|none)'", policy),
        "no source elsewhere": not re.search(r"https?:|\*", policy),
        "no inline scripts": not scripts or "'unsafe-inline'" not in scripts[1],
        "nosniff": headers.get("x-content-type-options") == "nosniff",
        "referrer": headers.get("referrer-policy") == "same-origin",
        "frame options": headers.get("x-frame-options") in ("SAMEORIGIN", "DENY"),
        "permissions": "camera=()" in headers.get("permissions-policy", ""),
        "correlation id": headers.get("x-correlation-id"),
        "no foreign origin": "access-control-allow-origin" not in headers,
        "data is not kept": "json" not in headers.get("content-type", "")
        or re.search(r"no-store|private", headers.get("cache-control", "")),
        "cookies": all("HttpOnly" in one and "SameSite=Lax" in one for one in headers.get_list("set-cookie")),
    }
    return [f"{method} {path} ({answer.status_code}): {name}" for name, holds in wanted.items() if not holds]


@pytest.mark.parametrize("who", ["stranger", "owner"])
def test_every_route_and_page_sends_the_security_headers(site: Running, who: str) -> None:
    found, statuses = [], set()
    with site.stranger() if who == "stranger" else site.client() as client:
        for method, path in addresses(site):
            for accept in ("text/html", "application/json"):
                with client.stream(method, path, headers={"Accept": accept}) as answer:  # some streams do not end
                    statuses.add(answer.status_code)
                    found += complaints(method, path, answer)
    assert found == []
    assert {303, 401} <= statuses if who == "stranger" else {200, 404, 422} <= statuses
