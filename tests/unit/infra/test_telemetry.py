import io
import json
import logging

from infra.telemetry import configure_logging, correlated, correlation_id, logger, new_correlation_id


def test_every_line_is_json_with_the_correlation_id():
    stream = io.StringIO()
    configure_logging(stream=stream)
    with correlated("abc-1"):
        logger("test").info("stage finished", stage="see", seconds=1.5)
        logging.getLogger("library").warning("from the standard library")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first["event"] == "stage finished" and first["stage"] == "see" and first["level"] == "info"
    assert {first["correlation_id"], second["correlation_id"]} == {"abc-1"}
    assert correlation_id() is None


def test_an_exception_is_one_line():
    stream = io.StringIO()
    configure_logging(stream=stream)
    try:
        raise ValueError("x")
    except ValueError:
        logger("test").exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert "ValueError: x" in json.loads(line)["exception"]


def test_a_proposed_id_must_be_a_plain_token():
    assert new_correlation_id("ok-1.2_3") == "ok-1.2_3"
    assert new_correlation_id('x"\n{"event": "forged"}') != 'x"\n{"event": "forged"}'
