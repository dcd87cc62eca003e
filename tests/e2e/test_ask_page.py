"""The Ask page in a browser: an answer's sentence opens its page with the passage marked; history, feedback, abstaining."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import expect
from reportlab.pdfgen.canvas import Canvas

from infra.database import Database, migrate
from infra.settings import load_settings
from pipelines.index_service.local import LocalIndexService
from pipelines.ingestion import open_knowledge
from pipelines.questions import NOT_HERE, answering
from pipelines.questions.evidence import Evidence
from serving.loop import LoopThread
from serving.roles import Roles
from tests.e2e.conftest import Visitor, serious_violations
from tests.embedders import WordsEmbedding
from tests.running import free_port
from tests.unit.pipelines.questions.conftest import Script, SharedStems, calibration
from workbench.gateway import build_gateway
from workbench.services.context import make_services

THINS = "Does aspirin thin the blood and prevent clots?"
calibrated = calibration


@pytest.fixture
def asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calibrated) -> Iterator[tuple[str, str]]:
    """A gateway with pages and a collection of one PDF: its address, and a link that signs in."""
    monkeypatch.setattr(answering, "shipped", lambda: calibrated)
    settings = load_settings(gateway={"port": free_port()})
    migrate(Database(settings.database_url))
    services = make_services(settings)
    written = Script("Aspirin prevents clots in the arteries. The moon is made of green cheese.")
    roles = Roles(embedding=WordsEmbedding(), entailment=SharedStems(), llm=written)
    canvas = Canvas(str(tmp_path / "heart.pdf"))
    canvas.drawString(60, 700, "This booklet is about the heart and how it pumps the blood.")
    canvas.showPage()
    canvas.drawString(60, 600, "Aspirin thins the blood and prevents clots in the arteries.")
    canvas.save()
    (tmp_path / "brain.txt").write_text("Brains\n\nThe hippocampus stores memories of places and of people.\n")
    with open_knowledge(settings, roles=roles) as knowledge:
        knowledge.add([tmp_path / "heart.pdf", tmp_path / "brain.txt"], "notes")
    services.connected = roles
    services.index_client = LocalIndexService(settings, services.database, services.store, roles)
    server = uvicorn.Server(uvicorn.Config(build_gateway(services), port=settings.gateway.port, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, name="gateway")
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.05)
    yield settings.url, services.accounts.make_link(services.accounts.ensure_owner(), url=settings.url)
    server.should_exit = True
    thread.join(20)
    loop = LoopThread("closing")  # the browser's own loop is running in this thread
    loop.run(services.index_client.close())
    loop.close()


def test_an_answer_opens_its_page_beside_it(asking: tuple[str, str], visit: Callable[..., Visitor]) -> None:
    url, link = asking
    visitor = visit(url)
    page = visitor.page()
    page.goto(link)
    page.goto(f"{url}/ask")
    page.locator("#question textarea").fill(THINS)
    page.locator("#send").click()
    said = page.locator(".wb-turn", has_text=THINS)
    expect(said).to_contain_text("Aspirin thins the blood and prevents clots in the arteries.")
    said.get_by_role("button", name="heart").first.click()
    picture = page.locator("#viewer-beside img")
    expect(picture).to_have_attribute("alt", "Page 2 of heart.pdf")
    page.wait_for_function("document.querySelector('#viewer-beside img').naturalWidth > 500")
    assert "conversation=" in page.url
    # the chat stays where it is, and the chosen source is marked
    expect(said.get_by_role("button", name="heart").first).to_have_attribute("aria-current", "true")
    assert page.evaluate("scrollY") == 0
    said.get_by_role("button", name="Helpful", exact=True).click()
    expect(page.locator(".wb-turn")).to_contain_text("Marked helpful")
    page.locator("#question textarea").fill("Where do the memories of places and of people get stored: in the hippocampus?")
    page.locator("#send").click()
    brain = page.locator(".wb-turn", has_text="Where do the memories")
    brain.get_by_role("button", name="brain").first.click()
    expect(page.locator("#viewer-beside mark")).to_contain_text("hippocampus stores memories")
    page.locator("#question textarea").fill("Which quarterly dividend was declared in Toronto?")
    page.locator("#send").click()
    expect(page.locator(".wb-turn", has_text="Toronto")).to_contain_text(NOT_HERE)
    # the model may write: what no passage says is marked, what one says opens it
    page.get_by_text("Written by the language model, checked").click()
    page.locator("#question textarea").fill("Does aspirin prevent clots in the arteries?")
    page.locator("#send").click()
    wrote = page.locator(".wb-turn", has_text="Does aspirin prevent").locator("li")
    expect(wrote).to_have_count(2)
    expect(wrote.first.get_by_role("button", name="heart")).to_be_visible()
    expect(wrote.last).to_contain_text("not supported")
    # only one document of the collection is searched where one is chosen
    page.get_by_text("Quotes from the documents").click()
    page.locator("#documents input").click()
    page.get_by_role("option", name="brain.txt").click()
    page.keyboard.press("Escape")
    page.locator("#question textarea").fill("Does aspirin thin the blood?")
    page.locator("#send").click()
    expect(page.locator(".wb-turn", has_text="Does aspirin thin the blood?").last).to_contain_text(NOT_HERE)
    # the address brings the whole conversation back; the narrow page fits
    address = page.url
    narrow = visit(url, width=390, dark=True)
    narrow.context.add_cookies(visitor.context.cookies())  # pyright: ignore[reportArgumentType]
    page = narrow.open(address.removeprefix(url))
    expect(page.locator(".wb-turn")).to_have_count(5)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    # it opens at its end; a source is a sheet over the chat, which goes again and can be opened again
    expect(page.locator(".wb-turn").last).to_be_in_viewport()
    source = page.locator(".wb-turn").first.get_by_role("button", name="heart").first
    for _ in range(2):
        source.click()
        sheet = page.get_by_role("region", name="Source")
        expect(sheet).to_be_in_viewport()
        assert page.evaluate("document.querySelector('.wb-cited').getBoundingClientRect().bottom - innerHeight") <= 1
        sheet.get_by_role("button", name="Close").click()
        expect(sheet).to_be_hidden()
    assert serious_violations(page) == []


def test_an_answer_can_be_stopped_and_a_click_meanwhile_counts(
    asking: tuple[str, str], visit: Callable[..., Visitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, link = asking
    visitor = visit(url)
    page = visitor.page()
    page.goto(link)
    page.goto(f"{url}/ask")
    page.locator("#question textarea").fill(THINS)
    page.locator("#send").click()
    said = page.locator(".wb-turn", has_text=THINS)
    expect(said.get_by_role("button", name="heart").first).to_be_visible()
    read = answering.read_evidence

    async def slowly(*args: Any) -> Evidence:
        await asyncio.sleep(60)
        return await read(*args)

    monkeypatch.setattr(answering, "read_evidence", slowly)
    page.locator("#question textarea").fill("What pumps the blood?")
    page.locator("#send").click()
    expect(page.locator("[data-live]")).to_contain_text("Reading")
    page.locator("#question textarea").fill("And the brain?")
    page.locator("#question textarea").press("Enter")
    expect(page.locator("[data-live]")).to_contain_text("An answer is in progress. Wait for it, or select Stop.")
    said.get_by_role("button", name="heart").first.click()
    expect(page.locator("#viewer-beside img")).to_have_attribute("alt", "Page 2 of heart.pdf")
    page.locator("#stop").click()
    expect(page.locator("#send")).to_be_visible()
    expect(page.locator(".wb-turn")).to_have_count(1)
    expect(page.locator("#question textarea")).to_have_value("And the brain?")  # what was typed meanwhile stays
