"""An answer as a trace in OpenTelemetry's JSON; where MLflow is away, nothing is lost but the trace."""

import json

from pipelines.questions import answer
from pipelines.questions.tracing import Traces, spans_of
from serving.mlflow_server import MlflowServer
from tests.running import free_port


async def test_the_spans_nest_and_say_what_was_found(search, roles, calibration):
    found = await answer("Does aspirin thin the blood?", search, roles, calibration=calibration)
    sent = spans_of(found, "ab" * 16, 2_000_000_000_000_000_000, {"mlflow.trace.session": "c1"})
    root, *below = sent["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert [span["name"] for span in (root, *below)] == ["answer", "search", "read", "write"]
    assert {span["traceId"] for span in below} == {"ab" * 16} and {span["parentSpanId"] for span in below} == {root["spanId"]}
    times = [(int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])) for span in (root, *below)]
    assert all(times[0][0] <= start <= end <= times[0][1] for start, end in times)
    told = {one["key"]: json.loads(one["value"]["stringValue"]) for one in root["attributes"]}
    assert told["mlflow.traceRequestId"] == "tr-" + "ab" * 16 and told["mlflow.trace.session"] == "c1"
    assert told["mlflow.spanOutputs"]["sentences"][0]["passages"] and told["mlflow.spanInputs"]["question"]


async def test_an_answer_does_not_need_mlflow(search, roles, calibration):
    found = await answer("Does aspirin thin the blood?", search, roles, calibration=calibration)
    for traces in (Traces(None), Traces(MlflowServer(f"http://127.0.0.1:{free_port()}"))):
        assert await traces.write(found, user="u", conversation="c", response="r") is None
        assert not await traces.judge("tr-1", user="u", value=1)
        assert not await traces.delete(["tr-1"])
