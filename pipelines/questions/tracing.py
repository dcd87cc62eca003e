"""Each answer as an MLflow trace, by its server's OpenTelemetry address: MLflow itself is imported only where no server runs."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Sequence
from typing import Any

import httpx

from infra.settings import Settings
from infra.telemetry import logger
from pipelines.questions.contract import Answer
from serving.mlflow_server import MlflowServer, find_server

log = logger(__name__)

EXPERIMENT = "workbench-answers"
AT_ONCE = 100  # traces deleted by one request


class Traces:
    """Writes traces and feedback to one MLflow, and deletes them.

    What cannot be written is logged and changes nothing: an answer does not wait for MLflow, nor fail with it.

    Args:
        server: None where there is none.
        file: settings of a data folder whose MLflow has no server now: its database is written to, by MLflow itself.
    """

    def __init__(self, server: MlflowServer | None, *, file: Settings | None = None) -> None:
        self._server, self._file = server, file

    async def write(self, answer: Answer, *, user: str, conversation: str, response: str) -> str | None:
        """The trace's id, or None where it was not written."""
        if self._server is None and self._file is None:
            return None
        trace = secrets.token_hex(16)
        # MLflow makes its metadata mlflow.trace.user and mlflow.trace.session of these two: whose trace it is goes by them.
        tags = {"user.id": user, "session.id": conversation, "workbench.response": response}
        said = spans_of(answer, trace, time.time_ns(), tags)
        try:
            if self._server is not None:
                await _send(self._server, said)
            else:
                from pipelines.questions.trace_file import write_spans

                assert self._file is not None
                await asyncio.to_thread(write_spans, self._file, EXPERIMENT, said)
        except Exception as error:  # httpx's, SQLAlchemy's and MLflow's own have no base of their own
            log.warning("the answer's trace could not be written", error=f"{type(error).__name__}: {str(error)[:200]}")
            return None
        return f"tr-{trace}"

    async def judge(self, trace: str | None, *, user: str, value: int, comment: str = "") -> bool:
        """A thumb, as an assessment of the trace; whether it was written."""
        if self._server is None or trace is None:
            return False
        made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        assessment = {
            "assessment_name": "thumb",
            "trace_id": trace,
            "source": {"source_type": "HUMAN", "source_id": user},
            "feedback": {"value": value > 0},
            "rationale": comment,
            "create_time": made,
            "last_update_time": made,
        }
        try:
            async with self._server.client() as client:
                sent = await client.post(f"/api/3.0/mlflow/traces/{trace}/assessments", json={"assessment": assessment})
                sent.raise_for_status()
        except httpx.HTTPError as error:
            log.warning("the feedback could not be written", error=f"{type(error).__name__}: {str(error)[:200]}")
            return False
        return True

    async def delete(self, traces: Sequence[str]) -> bool:
        """Delete traces with their spans and assessments; whether they are gone (those that were not there are)."""
        if not traces:
            return True
        if self._server is None and self._file is None:
            return False
        try:
            if self._server is not None:
                async with self._server.client() as client:
                    experiment = await _experiment(client)
                    for start in range(0, len(traces), AT_ONCE):
                        asked = {"experiment_id": experiment, "request_ids": list(traces[start : start + AT_ONCE])}
                        (await client.post("/api/3.0/mlflow/traces/delete-traces", json=asked)).raise_for_status()
            else:
                from pipelines.questions.trace_file import delete_traces

                assert self._file is not None
                await asyncio.to_thread(delete_traces, self._file, EXPERIMENT, traces)
        except Exception as error:
            log.warning("traces could not be deleted", traces=len(traces), error=f"{type(error).__name__}: {str(error)[:200]}")
            return False
        return True


def traces_of(settings: Settings) -> Traces:
    """Where this data folder's answers are traced: the server that the settings name, that of the running workbench, else the
    folder's own MLflow database; nowhere before a workbench has made one."""
    server = find_server(settings)
    if server is not None:
        return Traces(server)
    if settings.mlflow.tracking_uri is not None:
        return Traces(None, file=settings)
    return Traces(None, file=settings if (settings.home / "mlflow.sqlite").exists() else None)


def spans_of(answer: Answer, trace: str, ended: int, tags: dict[str, str]) -> dict[str, Any]:
    """The trace in OpenTelemetry's JSON: the answer, and below it search, reading and writing.

    Args:
        trace: 32 hexadecimal digits.
        ended: nanoseconds.
        tags: of the trace.
    """
    said, seconds = answer.as_dict(), answer.seconds
    began = ended - int(1e9 * seconds.get("total", 0.0))
    searched = began + int(1e9 * seconds.get("search", 0.0))
    read = searched + int(1e9 * seconds.get("read", 0.0))
    outputs = {name: said[name] for name in ("answer", "abstained", "confidence", "sentences")}
    root = secrets.token_hex(8)
    documents = [{"page_content": one["text"], "metadata": {k: v for k, v in one.items() if k != "text"}} for one in said["passages"]]
    facts = {**tags, "workbench.models": said["models"]}
    spans = [
        _span(trace, root, None, "answer", "CHAIN", (began, ended), {"question": answer.question, "asked": answer.asked}, outputs, facts),
        _span(trace, secrets.token_hex(8), root, "search", "RETRIEVER", (began, searched), {"query": answer.asked}, documents, {}),
        _span(trace, secrets.token_hex(8), root, "read", "RERANKER", (searched, read), {"passages": len(documents)},
              {"confidence": answer.confidence}, {}),
        _span(trace, secrets.token_hex(8), root, "write", "CHAIN", (read, ended), {}, {"answer": answer.answer}, {}),
    ]  # fmt: skip
    return {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"scope": {"name": "workbench"}, "spans": spans}]}]}


def _span(
    trace: str,
    span: str,
    parent: str | None,
    name: str,
    kind: str,
    times: tuple[int, int],
    inputs: Any,
    outputs: Any,
    attributes: dict[str, Any],
) -> dict[str, Any]:
    told = {
        "mlflow.traceRequestId": f"tr-{trace}",
        "mlflow.spanType": kind,
        "mlflow.spanInputs": inputs,
        "mlflow.spanOutputs": outputs,
        **attributes,
    }
    made = {
        "traceId": trace,
        "spanId": span,
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(times[0]),
        "endTimeUnixNano": str(max(times)),
        "status": {"code": 1},
        # MLflow keeps every attribute as JSON.
        "attributes": [{"key": key, "value": {"stringValue": json.dumps(value)}} for key, value in told.items()],
    }
    return made if parent is None else {**made, "parentSpanId": parent}


async def _send(server: MlflowServer, spans: dict[str, Any]) -> None:
    async with server.client() as client:
        sent = await client.post(
            "/v1/traces",
            content=json.dumps(spans),
            headers={"content-type": "application/json", "x-mlflow-experiment-id": await _experiment(client)},
        )
        sent.raise_for_status()


async def _experiment(client: httpx.AsyncClient) -> str:
    """The id of our experiment; made where it is not there yet."""
    found = await client.get("/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": EXPERIMENT})
    if found.status_code == 404:
        made = await client.post("/api/2.0/mlflow/experiments/create", json={"name": EXPERIMENT})
        if made.is_success:
            return str(made.json()["experiment_id"])
        found = await client.get("/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": EXPERIMENT})  # made meanwhile
    found.raise_for_status()
    return str(found.json()["experiment"]["experiment_id"])
