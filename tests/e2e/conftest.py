"""A browser for the pages, and what must hold on every page: no error in the console, no request to another host."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Locator, Page, Request, Response, expect, sync_playwright

from tests.bring_chromium import chromium
from tests.running import House, clean_environment, free_port

# Without these Chromium looks for Google's hosts at every start.
QUIET = (
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = chromium()
    if executable is None:
        pytest.skip("Chromium: could not be had on this machine")
    expect.set_options(timeout=30_000)  # a slow machine's answer is an answer
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(QUIET))
        yield browser
        browser.close()


LEFT = ("signal is aborted without reason", "Connection errored out")
"""What Gradio's client says in the console when a page is left by a link while a request is under way; at other times it is a fault."""
LEAVING_SECONDS = 2.0


@dataclass
class Visitor:
    """A person at a workbench: a browser context that notes what must not happen."""

    context: BrowserContext
    url: str
    complaints: list[str] = field(default_factory=list)
    perhaps_left: list[tuple[float, str]] = field(default_factory=list)
    left: list[float] = field(default_factory=list)

    def page(self) -> Page:
        page = self.context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        page.on("request", self._request)
        page.on("response", self._response)
        return page

    def open(self, path: str = "/") -> Page:
        page = self.page()
        page.goto(self.url + path)
        return page

    def _console(self, message: ConsoleMessage) -> None:
        if message.type != "error":
            return
        complaint = f"console: {message.text} ({message.location})"
        if any(said in message.text for said in LEFT):
            self.perhaps_left.append((time.monotonic(), complaint))
        else:
            self.complaints.append(complaint)

    def faults(self) -> list[str]:
        """What was noted, without what Gradio says of a page at the moment it is left."""
        near = [one for when, one in self.perhaps_left if not any(abs(when - left) < LEAVING_SECONDS for left in self.left)]
        return [*self.complaints, *near]

    def _request(self, request: Request) -> None:
        if request.is_navigation_request() and request.frame.parent_frame is None:
            self.left.append(time.monotonic())
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != urlsplit(self.url).netloc:
            self.complaints.append(f"request to another host: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 500:
            self.complaints.append(f"{response.status} from {response.url}")


NOTICES = """
window.notices = [];  // a notice is gone after some seconds, and a test may wait for longer
new MutationObserver(changes => changes.flatMap(change => [...change.addedNodes]).forEach(node =>
  [node, ...(node.querySelectorAll?.("*") ?? [])].filter(part => part.matches?.(".toast-body")).forEach(part =>
    notices.push(part.textContent.replace(/\\s+/g, " ").trim())))).observe(document, {childList: true, subtree: true});
"""
VISITORS = pytest.StashKey[list["Visitor"]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails tells what its pages said by then: a machine that is not here any more cannot be asked."""
    report = yield
    if report.when == "call" and report.failed:
        for page in (page for visitor in item.stash.get(VISITORS, []) for page in visitor.context.pages):
            try:
                said = page.locator("body").inner_text(timeout=5_000)[-3_000:]
                notices = " | ".join(page.evaluate("window.notices ?? []"))
            except Error as error:
                said = notices = error.message
            report.sections.append((f"page {page.url}", said))
            report.longrepr = f"{page.url} had shown: {notices or 'no notice'}\n{report.longreprtext}"  # first: CI prints the first lines
    return report


def open_section(page: Page, section: str, field: Locator) -> None:
    """Open an accordion and go into a field of it, as a person does. Gradio makes what is inside only now, and forgets what a
    field got before it was wired up, some milliseconds later; a click waits until the field stands still, ``fill`` does not."""
    page.locator(f"{section} button").first.click()
    field.click()


def serious_violations(page: Page) -> list[str]:
    """Serious and critical violations that axe-core finds on the page as it stands: 1440 wide in light, 390 wide in dark."""
    found, before = [], page.viewport_size
    page.add_style_tag(content="*, *::before, *::after { transition: none !important; animation: none !important }")
    screens: tuple[tuple[int, int, Literal["light", "dark"]], ...] = ((1440, 900, "light"), (390, 844, "dark"))
    for width, height, scheme in screens:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(250)
        for rule in Axe().run(page).response["violations"]:
            if rule["impact"] in ("serious", "critical"):
                found += [f"{width} {scheme} {rule['id']}: {_violating(node)}" for node in rule["nodes"][:4]]
    if before:
        page.set_viewport_size(before)
    page.emulate_media(color_scheme="light")
    return found


def _violating(node: dict) -> str:
    """Where an element is, its markup, and what is wrong with it."""
    message = next((check["message"] for kind in ("any", "all", "none") for check in node[kind]), "")
    return f"{node['target']} {node['html'][:160]} ({message})"


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[object]:
    """``visit(url, width=1440, dark=False)`` gives a :class:`Visitor`; all of them are checked at the end."""
    visitors = request.node.stash.setdefault(VISITORS, [])

    def make(url: str, *, width: int = 1440, height: int = 900, dark: bool = False) -> Visitor:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", accept_downloads=True, base_url=url
        )
        context.add_init_script(NOTICES)
        visitors.append(Visitor(context, url))
        return visitors[-1]

    yield make
    # Only what was said before the end counts: closing breaks off requests under way, and Gradio complains of those.
    complaints = [fault for visitor in visitors for fault in visitor.faults()]
    for visitor in visitors:
        visitor.context.close()
    assert not complaints, "\n".join(complaints)


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One real workbench for all tests that need one: a start takes up to a minute on two cores."""
    house = House(tmp_path_factory.mktemp("house") / "home")
    yield house
    house.workbench.stop()


@dataclass
class Harness:
    """The pages over a seeded world, in a process of its own."""

    url: str
    link: str
    home: Path


@pytest.fixture(scope="session")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    home, port = tmp_path_factory.mktemp("harness") / "home", free_port()
    log = home.with_suffix(".log")
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.harness.app", "--port", str(port), "--home", str(home), "--seconds", "0.4"],
            cwd=ROOT,
            env=clean_environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        limit = time.monotonic() + 300
        while True:
            try:
                httpx.get(f"{url}/auth/sign-in", timeout=5)
                break
            except httpx.HTTPError:
                assert process.poll() is None and time.monotonic() < limit, log.read_text()
                time.sleep(0.2)
        yield Harness(url, re.findall(r"http\S+/auth/link\S+", log.read_text())[0], home)
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def signed_in(browser: Browser, harness: Harness) -> dict:
    """The cookies of a person who used the harness's link."""
    context = browser.new_context()
    context.new_page().goto(harness.link)
    state = context.storage_state()
    context.close()
    return dict(state)
