import pytest
from starlette.datastructures import Headers

from workbench.accounts.page import safe_next, sign_in_page
from workbench.api.identity import Guard, wants_page


@pytest.mark.parametrize(
    ("headers", "same"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:8000", "host": "127.0.0.1:8000"}, True),
        ({"origin": "http://127.0.0.1:8000", "host": "127.0.0.1:8000"}, True),
        ({"origin": "http://evil.example", "host": "127.0.0.1:8000"}, False),
        ({"origin": "http://127.0.0.1:9999", "host": "127.0.0.1:8000"}, False),
        ({"origin": "null", "host": "127.0.0.1:8000"}, False),
        ({"origin": "https://lab.example", "host": "10.1.2.3:8000"}, True),
        ({"host": "127.0.0.1:8000"}, True),
    ],
)
def test_whether_a_request_comes_from_our_own_pages(headers, same):
    guard = Guard(None, accounts=None, public_url="https://lab.example")
    assert guard.same_site(Headers(headers)) is same


@pytest.mark.parametrize(
    ("method", "path", "accept", "page"),
    [
        ("GET", "/", "text/html,application/xhtml+xml", True),
        ("GET", "/", "*/*", True),
        ("GET", "/imaging", "", True),
        ("GET", "/imaging/analysis/abc/files/report.pdf", "text/html", True),
        ("GET", "/imaging/analysis/abc", "application/json", False),
        ("GET", "/jobs", "*/*", False),
        ("GET", "/theme.css", "text/css,*/*;q=0.1", False),
        ("GET", "/assets/index.js", "*/*", False),
        ("POST", "/", "text/html", False),
    ],
)
def test_who_gets_the_sign_in_page_and_who_a_problem(method, path, accept, page):
    assert wants_page(method, path, accept) is page


@pytest.mark.parametrize(
    "path", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "", None, "/auth/sign-in", "/a\nb"]
)
def test_after_signing_in_nobody_is_sent_elsewhere(path):
    assert safe_next(path) == "/"


def test_a_page_of_ours_is_kept():
    assert safe_next("/imaging?job=abc") == "/imaging?job=abc"


def test_what_people_type_is_escaped():
    page = sign_in_page(next_path='/"><script>', name='"><script>alert(1)</script>', problem="<b>no</b>")
    assert "<script>" not in page and "<b>no</b>" not in page
