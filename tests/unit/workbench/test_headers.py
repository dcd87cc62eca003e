import re

import pytest
from starlette.datastructures import MutableHeaders

from workbench.api import headers
from workbench.api.headers import add_safe_headers, page_policy, policy_of


@pytest.mark.parametrize(
    ("path", "media_type", "policy"),
    [
        ("/jobs", "application/json", headers.NOTHING),
        ("/objects/uploads-raw/a.svg", "image/svg+xml", headers.NOTHING),
        ("/imaging/analysis/a/files/report.pdf", "application/pdf", headers.PDF),
        ("/auth/sign-in", "text/html; charset=utf-8", headers.PLAIN_PAGE),
        ("/mlflow/", "text/html", headers.MLFLOW),
        ("/mlflow/static-files/index.js", "text/javascript", headers.MLFLOW),
        ("/mlflow/get-artifact", "text/html", headers.UNTRUSTED),
        ("/mlflow/ajax-api/2.0/mlflow/get-artifact", "text/html", headers.UNTRUSTED),
        ("/mlflow/model-versions/get-artifact", "image/svg+xml", headers.UNTRUSTED),
        ("/mlflowish", "text/html", headers.PLAIN_PAGE),
    ],
)
def test_the_policy_of_a_response_that_sets_none(path, media_type, policy):
    assert policy_of(path, media_type) == policy


def test_what_a_response_says_itself_stays():
    given = MutableHeaders(
        {"content-security-policy": "default-src 'self'", "content-type": "application/json", "cache-control": "private"}
    )
    add_safe_headers(given, "/viewer/a")
    assert given["content-security-policy"] == "default-src 'self'" and given["cache-control"] == "private"
    assert given["x-content-type-options"] == "nosniff" and given["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    "policy", [headers.NOTHING, headers.PLAIN_PAGE, headers.PDF, headers.VIEWER, headers.UNTRUSTED, page_policy(["'sha256-a'"])]
)
def test_policies_run_no_script_that_they_do_not_name_and_load_nothing_from_elsewhere(policy):
    assert policy.removeprefix("sandbox; ").startswith("default-src 'none'")
    assert "frame-ancestors" in policy and "base-uri" in policy
    scripts = re.search(r"script-src ([^;]*)", policy)
    assert not scripts or "unsafe-inline" not in scripts[1]
    assert not re.search(r"https?:|\*", policy)
