"""Each answer as an MLflow trace, by its server's OpenTelemetry address: MLflow itself is imported only where no server runs."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import Any

import httpx

from infra.datafolder import DataFolder
from infra.settings import Settings
from infra.telemetry import logger
from pipelines.questions.contract import Answer

log = logger(__name__)

EXPERIMENT = "workbench-answers"
TIMEOUT = 10.0


class Traces:
    """Writes traces and feedback to one MLflow.

    What cannot be written is logged and changes nothing: an answer does not wait for MLflow, nor fail with it.

    Args:
        address: of its server, with its prefix; None where there is no server.
        file: settings of a data folder whose MLflow has no server now: its database is written to, by MLflow itself.
    """

    def __init__(self, address: str | None, *, file: Settings | None = None) -> None:
        self._address, self._file = address, file

    async def write(self, answer: Answer, *, user: str, conversation: str, response: str) -> str | None:
        """The trace's id, or None where it was not written."""
        if self._address is None and self._file is None:
            return None
        trace = secrets.token_hex(16)
        tags = {"mlflow.trace.user": user, "mlflow.trace.session": conversation, "workbench.response": response}
        said = spans_of(answer, trace, time.time_ns(), tags)
        try:
            if self._address is not None:
                await _send(self._address, said)
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
        if self._address is None or trace is None:
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
            async with httpx.AsyncClient(base_url=self._address, timeout=TIMEOUT, trust_env=False) as client:
                sent = await client.post(f"/api/3.0/mlflow/traces/{trace}/assessments", json={"assessment": assessment})
                sent.raise_for_status()
        except httpx.HTTPError as error:
            log.warning("the feedback could not be written", error=f"{type(error).__name__}: {str(error)[:200]}")
            return False
        return True


def traces_of(settings: Settings) -> Traces:
    """Where this data folder's answers are traced: the server that the settings name, that of the running workbench, else the
    folder's own MLflow database; nowhere before a workbench has made one."""
    uri = settings.mlflow.tracking_uri
    if uri is not None and uri.startswith("http"):
        return Traces(uri.rstrip("/"))
    if uri is not None:
        return Traces(None, file=settings)
    running = DataFolder(settings.home).running()
    if running is not None and running.mlflow_url:
        return Traces(f"{running.mlflow_url}/mlflow")
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


async def _send(address: str, spans: dict[str, Any]) -> None:
    async with httpx.AsyncClient(base_url=address, timeout=TIMEOUT, trust_env=False) as client:
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
