"""An address where nothing is: a page for a browser, a problem document for a program."""

from fastapi import FastAPI
from fastapi.testclient import TestClient

from infra.errors import InvalidInput, NotFound
from workbench.api.problems import install_problems, send_problem

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def client() -> TestClient:
    app = FastAPI()
    install_problems(app)

    @app.get("/jobs/{name}")
    async def job(name: str) -> None:
        raise InvalidInput("Not a job.") if name == "bad" else NotFound(f"Job <{name}> not found.")

    @app.middleware("http")
    async def layers(request, call_next):
        return await call_next(request)

    async def below(scope, receive, send):
        await send_problem(NotFound("Nothing exists at this address."), send, scope)

    app.mount("/below", below)
    return TestClient(app)


def test_a_browser_gets_a_page_with_the_way_home() -> None:
    with client() as browser:
        for path in ("/nowhere", "/jobs/x", "/below/y"):
            answer = browser.get(path, headers=BROWSER)
            assert answer.status_code == 404 and answer.headers["content-type"].startswith("text/html"), path
            assert "<title>Page not found" in answer.text and 'href="/"' in answer.text
        assert "Job &lt;x&gt; not found." in browser.get("/jobs/x", headers=BROWSER).text


def test_a_program_gets_a_problem_document() -> None:
    with client() as program:
        for path in ("/nowhere", "/jobs/x", "/below/y"):
            answer = program.get(path)
            assert answer.status_code == 404 and answer.json()["code"] == "not_found", path
        assert program.post("/nowhere", headers=BROWSER).json()["code"] == "not_found"  # no page is asked for
        assert program.get("/jobs/bad", headers=BROWSER).json()["code"] == "invalid_input"
