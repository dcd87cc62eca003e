"""What `workbench pipelines show` prints."""

import json

import pytest

from infra.settings import Jobs
from pipelines.jobs.show import as_mermaid, as_text, describe
from tests.integration.pipelines.trial import NEW


@pytest.fixture
def shown():
    return describe(NEW, Jobs(attempts=3, backoff_seconds=0.5, stage_timeout_seconds=60))


def test_json_names_stages_errors_and_retries(shown):
    assert json.loads(json.dumps(shown)) == shown
    assert [(stage["step"], stage["name"], stage["share"]) for stage in shown["stages"]] == [
        (1, "inserted", 0.2),
        (2, "first", 0.2),
        (3, "middle", 0.4),
        (4, "last", 0.2),
    ]
    assert {"code": "unavailable", "retryable": True} in shown["stages"][0]["errors"]
    assert {"code": "corrupt_file", "retryable": False} in shown["stages"][0]["errors"]
    assert shown["retries"]["waits_seconds"] == [0.5, 1.0]
    assert {"timeout", "unavailable"} <= set(shown["retries"]["retryable"])
    assert shown["retired"] == ["removed"] and shown["version"] == NEW.version


def test_text_is_for_people(shown):
    text = as_text(shown)
    assert "1. inserted  Doing inserted   20%  fails with corrupt_file" in text
    assert "tried 3 times, waiting 0.5 s, 1 s; a try may take 60 s" in text
    assert "older version: removed" in text
    assert max(map(len, text.splitlines())) < 140


def test_mermaid_draws_every_way_out(shown):
    drawn = as_mermaid(shown)
    assert drawn.startswith("flowchart TD")
    assert "queued --> s1_inserted" in drawn and "s4_last --> done" in drawn
    assert 's3_middle -. "unavailable, timeout: up to 3 tries" .-> s3_middle' in drawn
    assert 's3_middle -- "corrupt_file, internal" --> failed' in drawn
    assert "cancelled" in drawn
