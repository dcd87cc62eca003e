"""Traces in the MLflow database of a data folder, where no MLflow server runs: for the command line and notebooks."""

from __future__ import annotations

import base64
import copy
from collections.abc import Sequence
from typing import Any

from infra.settings import Settings
from serving.registry.mlflow_registry import open_client


def write_spans(settings: Settings, experiment: str, sent: dict[str, Any]) -> None:
    """Store one trace.

    Args:
        sent: in OpenTelemetry's JSON, as a server is sent it.

    Raises:
        Unavailable: MLflow's database cannot be opened.
    """
    client = open_client(settings)

    from google.protobuf.json_format import ParseDict
    from mlflow.entities.span import Span
    from mlflow.tracing.client import TracingClient
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    found = client.get_experiment_by_name(experiment)
    # For a plain database we have to say where artifacts go, or they land in ./mlruns.
    place = settings.mlflow_artifacts_path.as_uri()
    identifier = found.experiment_id if found else client.create_experiment(experiment, artifact_location=place)
    request = ParseDict(_with_base64(sent), ExportTraceServiceRequest())
    spans = [
        Span.from_otel_proto(span, resource=part.resource)
        for part in request.resource_spans
        for scope in part.scope_spans
        for span in scope.spans
    ]
    TracingClient(settings.mlflow_uri).log_spans(identifier, spans)


def delete_traces(settings: Settings, experiment: str, traces: Sequence[str]) -> None:
    """Delete traces with their spans and assessments; those that are not there are passed over.

    Raises:
        Unavailable: MLflow's database cannot be opened.
    """
    client = open_client(settings)
    found = client.get_experiment_by_name(experiment)
    for start in range(0, len(traces) if found else 0, 100):
        client.delete_traces(found.experiment_id, trace_ids=list(traces[start : start + 100]))


def _with_base64(sent: dict[str, Any]) -> dict[str, Any]:
    """OpenTelemetry writes ids in hexadecimal; protobuf's own JSON expects them in base64."""
    said = copy.deepcopy(sent)
    for part in said["resourceSpans"]:
        for scope in part["scopeSpans"]:
            for span in scope["spans"]:
                for field in ("traceId", "spanId", "parentSpanId"):
                    if field in span:
                        span[field] = base64.b64encode(bytes.fromhex(span[field])).decode("ascii")
    return said
