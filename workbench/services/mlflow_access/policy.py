"""The table: each of MLflow's addresses with its rule. An address that is not in it is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator

from infra.errors import NotAllowed
from workbench.services.mlflow_access import artifacts, rules, traces
from workbench.services.mlflow_access.asked import Asked, Rule, Sent
from workbench.services.mlflow_access.graphql import graphql

_closed = rules.nobody("This part of MLflow is not available in the workbench.")
_spawns = rules.nobody("This part of MLflow runs programs or models on the server and is not available.")
_local = rules.nobody("Presigned URLs and multipart uploads are not available: artifacts are stored in the workbench's data folder.")
_old = rules.nobody("This endpoint was replaced in MLflow. Use a newer client.")
_written = rules.nobody("Traces are written only by the workbench. You can log runs, metrics and files.")
_telemetry = rules.nobody("MLflow's telemetry is off in this workbench.")
_linked = rules.nobody("Traces are private and cannot be added to shared records.")

# Addresses below /api and /ajax-api stand here once, without either.
_TABLE: tuple[tuple[Rule, str], ...] = (
    (rules.read, "GET / | GET /health | GET /version | GET /static-files/<path>"),
    (rules.read, "GET 3.0/mlflow/server-info | GET 3.0/mlflow/ui-telemetry"),
    (_telemetry, "POST 3.0/mlflow/ui-telemetry"),
    (graphql, "POST /graphql"),
    (_closed, "GET /graphql"),
    # Experiments
    (rules.read, "GET 2.0/mlflow/experiments/get | GET 2.0/mlflow/experiments/get-by-name"),
    (rules.read, "GET 2.0/mlflow/experiments/search | POST 2.0/mlflow/experiments/search"),
    (rules.read, "POST 2.0/mlflow/experiments/search-datasets"),
    (rules.create_experiment, "POST 2.0/mlflow/experiments/create"),
    (rules.owner, "POST 2.0/mlflow/experiments/delete | POST 2.0/mlflow/experiments/restore | POST 2.0/mlflow/experiments/update"),
    (rules.owner, "POST 2.0/mlflow/experiments/set-experiment-tag | POST 2.0/mlflow/experiments/delete-experiment-tag"),
    # Runs
    (rules.read, "GET 2.0/mlflow/runs/get | POST 2.0/mlflow/runs/search | GET 2.0/mlflow/metrics/get-history"),
    (rules.read, "GET 2.0/mlflow/metrics/get-history-bulk | GET 2.0/mlflow/metrics/get-history-bulk-interval"),
    (rules.create_run, "POST 2.0/mlflow/runs/create"),
    (rules.change_run(), "POST 2.0/mlflow/runs/update | POST 2.0/mlflow/runs/delete | POST 2.0/mlflow/runs/restore"),
    (rules.change_run(), "POST 2.0/mlflow/runs/log-metric | POST 2.0/mlflow/runs/log-parameter | POST 2.0/mlflow/runs/log-batch"),
    (rules.change_run(), "POST 2.0/mlflow/runs/log-inputs | POST 2.0/mlflow/runs/outputs | POST 2.0/mlflow/runs/log-model"),
    (rules.change_run(tag=True), "POST 2.0/mlflow/runs/set-tag | POST 2.0/mlflow/runs/delete-tag"),
    (_spawns, "POST 2.0/mlflow/runs/create-promptlab-run"),
    # Logged models
    (rules.read, "GET 2.0/mlflow/logged-models/<model_id> | POST 2.0/mlflow/logged-models/search"),
    (rules.create_model, "POST 2.0/mlflow/logged-models"),
    (rules.change_model, "PATCH 2.0/mlflow/logged-models/<model_id> | DELETE 2.0/mlflow/logged-models/<model_id>"),
    (rules.change_model, "POST 2.0/mlflow/logged-models/<model_id>/params | PATCH 2.0/mlflow/logged-models/<model_id>/tags"),
    (rules.change_model, "DELETE 2.0/mlflow/logged-models/<model_id>/tags/<tag_key>"),
    # Files
    (artifacts.of_run, "GET /get-artifact | GET 2.0/mlflow/artifacts/list"),
    (artifacts.of_version, "GET /model-versions/get-artifact"),
    (artifacts.of_model, "GET 2.0/mlflow/logged-models/<model_id>/artifacts/directories"),
    (artifacts.of_model, "GET 2.0/mlflow/logged-models/<model_id>/artifacts/files"),
    (artifacts.upload, "POST 2.0/mlflow/upload-artifact"),
    (artifacts.list_served, "GET 2.0/mlflow-artifacts/artifacts"),
    (artifacts.read_served, "GET 2.0/mlflow-artifacts/artifacts/<path:artifact_path>"),
    (artifacts.write_served, "PUT 2.0/mlflow-artifacts/artifacts/<path:artifact_path>"),
    (artifacts.write_served, "DELETE 2.0/mlflow-artifacts/artifacts/<path:artifact_path>"),
    (_local, "POST 2.0/mlflow-artifacts/mpu/create/<path> | POST 2.0/mlflow-artifacts/mpu/complete/<path>"),
    (_local, "POST 2.0/mlflow-artifacts/mpu/abort/<path> | GET 2.0/mlflow-artifacts/presigned/<path>"),
    (_local, "POST 2.0/mlflow/artifacts/presigned-download-url | POST 2.0/mlflow/artifacts/presigned-upload-url"),
    # Registry
    (rules.read, "GET 2.0/mlflow/registered-models/get | GET 2.0/mlflow/registered-models/search"),
    (rules.read, "GET 2.0/mlflow/registered-models/get-latest-versions | POST 2.0/mlflow/registered-models/get-latest-versions"),
    (rules.read, "GET 2.0/mlflow/registered-models/alias | GET 2.0/mlflow/model-versions/get"),
    (rules.read, "GET 2.0/mlflow/model-versions/search | GET 2.0/mlflow/model-versions/get-download-uri"),
    (rules.promote, "POST 2.0/mlflow/registered-models/alias | DELETE 2.0/mlflow/registered-models/alias"),
    (rules.promote, "PATCH 2.0/mlflow/registered-models/update | PATCH 2.0/mlflow/model-versions/update"),
    (rules.promote, "POST 2.0/mlflow/model-versions/transition-stage"),
    (rules.register, "POST 2.0/mlflow/registered-models/create | POST 2.0/mlflow/model-versions/create"),
    (rules.owner, "DELETE 2.0/mlflow/registered-models/delete | POST 2.0/mlflow/registered-models/rename"),
    (rules.owner, "POST 2.0/mlflow/registered-models/set-tag | DELETE 2.0/mlflow/registered-models/delete-tag"),
    (rules.owner, "DELETE 2.0/mlflow/model-versions/delete"),
    (rules.owner, "POST 2.0/mlflow/model-versions/set-tag | DELETE 2.0/mlflow/model-versions/delete-tag"),
    (rules.owner, "GET 2.0/mlflow/webhooks | POST 2.0/mlflow/webhooks | GET 2.0/mlflow/webhooks/<webhook_id>"),
    (rules.owner, "PATCH 2.0/mlflow/webhooks/<webhook_id> | DELETE 2.0/mlflow/webhooks/<webhook_id>"),
    (rules.owner, "POST 2.0/mlflow/webhooks/<webhook_id>/test"),
    # Traces
    (traces.search, "POST 3.0/mlflow/traces/search"),
    (traces.batch, "GET 3.0/mlflow/traces/batchGet | POST 3.0/mlflow/traces/batchGetInfos"),
    (traces.get, "GET 3.0/mlflow/traces/get"),
    (traces.artifact, "GET 2.0/mlflow/get-trace-artifact | GET 3.0/mlflow/get-trace-artifact"),
    (traces.delete, "POST 2.0/mlflow/traces/delete-traces | POST 3.0/mlflow/traces/delete-traces"),
    (traces.metrics, "POST 3.0/mlflow/traces/metrics"),
    (traces.one, "GET 3.0/mlflow/traces/<trace_id>"),
    (traces.one, "PATCH 2.0/mlflow/traces/<trace_id>/tags | DELETE 2.0/mlflow/traces/<trace_id>/tags"),
    (traces.one, "PATCH 3.0/mlflow/traces/<trace_id>/tags | DELETE 3.0/mlflow/traces/<trace_id>/tags"),
    (traces.one, "POST 3.0/mlflow/traces/<trace_id>/assessments"),
    (traces.one, "GET 3.0/mlflow/traces/<trace_id>/assessments/<assessment_id>"),
    (traces.one, "PATCH 3.0/mlflow/traces/<trace_id>/assessments/<assessment_id>"),
    (traces.one, "DELETE 3.0/mlflow/traces/<trace_id>/assessments/<assessment_id>"),
    (_written, "POST 3.0/mlflow/traces | POST /v1/traces | POST 2.0/mlflow/traces | PATCH 2.0/mlflow/traces/<trace_id>"),
    (_old, "GET 2.0/mlflow/traces | GET 2.0/mlflow/traces/<trace_id>/info"),
    (_old, "GET 2.0/mlflow/get-online-trace-details | GET 2.0/mlflow/unified-traces | POST 2.0mlflow/experiments/search-datasets"),
    (_linked, "POST 3.0/mlflow/traces/calculate-filter-correlation | POST 2.0/mlflow/traces/link-to-run"),
    (_linked, "POST 2.0/mlflow/traces/link-prompts"),
    # Evaluation: data sets, scorers, label schemas
    (rules.read, "GET 3.0/mlflow/datasets/<dataset_id> | GET 3.0/mlflow/datasets/<dataset_id>/experiment-ids"),
    (rules.read, "GET 3.0/mlflow/datasets/<dataset_id>/records"),
    (rules.read, "GET 3.0/mlflow/datasets/search | POST 3.0/mlflow/datasets/search"),
    (rules.owner, "POST 3.0/mlflow/datasets/create | DELETE 3.0/mlflow/datasets/<dataset_id>"),
    (rules.owner, "POST 3.0/mlflow/datasets/<dataset_id>/add-experiments | POST 3.0/mlflow/datasets/<dataset_id>/remove-experiments"),
    (rules.owner, "POST 3.0/mlflow/datasets/<dataset_id>/records | DELETE 3.0/mlflow/datasets/<dataset_id>/records"),
    (rules.owner, "PATCH 3.0/mlflow/datasets/<dataset_id>/tags | DELETE 3.0/mlflow/datasets/<dataset_id>/tags/<key>"),
    (rules.read, "GET 3.0/mlflow/scorers/get | GET 3.0/mlflow/scorers/list | GET 3.0/mlflow/scorers/versions"),
    (rules.read, "GET 3.0/mlflow/scorers/online-configs"),
    (rules.owner, "POST 3.0/mlflow/scorers/register | DELETE 3.0/mlflow/scorers/delete"),
    (rules.read, "GET 3.0/mlflow/label-schemas/get | GET 3.0/mlflow/label-schemas/get-by-name | GET 3.0/mlflow/label-schemas/list"),
    (rules.owner, "POST 3.0/mlflow/label-schemas/create | DELETE 3.0/mlflow/label-schemas/delete | PATCH 3.0/mlflow/label-schemas/update"),
    # What would run programs, call models elsewhere, or spread traces
    (_spawns, "PUT 3.0/mlflow/scorers/online-config | POST 3.0/mlflow/scorer/invoke | POST 3.0/mlflow/genai/evaluate/invoke"),
    (_spawns, "POST 3.0/mlflow/issues/invoke | POST 3.0/mlflow/demo/generate | POST 3.0/mlflow/demo/delete"),
    (_spawns, "GET 3.0/mlflow/jobs/<job_id> | PATCH 3.0/mlflow/jobs/cancel/<job_id>"),
    (_spawns, "POST 3.0/jobs/ | POST 3.0/jobs/search | GET 3.0/jobs/<job_id> | PATCH 3.0/jobs/cancel/<job_id>"),
    (_spawns, "GET 3.0/mlflow/prompt-optimization/jobs/<job_id> | DELETE 3.0/mlflow/prompt-optimization/jobs/<job_id>"),
    (_spawns, "POST 3.0/mlflow/prompt-optimization/jobs | POST 3.0/mlflow/prompt-optimization/jobs/<job_id>/cancel"),
    (_spawns, "GET 3.0/mlflow/prompt-optimization/jobs/search | POST 3.0/mlflow/prompt-optimization/jobs/search"),
    (_linked, "POST 3.0/mlflow/issues | GET 3.0/mlflow/issues/<issue_id> | PATCH 3.0/mlflow/issues/<issue_id>"),
    (_linked, "POST 3.0/mlflow/issues/search"),
)
# Whole families, by how their addresses begin.
_FAMILIES: tuple[tuple[Rule, str], ...] = (
    (_spawns, "3.0/mlflow/assistant/"),
    (_closed, "3.0/mlflow/gateway/"),
    (_closed, "2.0/mlflow/gateway-proxy"),
    (_closed, "/gateway/"),
    (_closed, "3.0/mlflow/mcp-servers"),
    (_closed, "3.0/mlflow/workspaces"),
    (_linked, "3.0/mlflow/review-queues/"),
)


def _rows() -> Iterator[tuple[str, str, Rule]]:
    for rule, addresses in _TABLE:
        for address in addresses.split(" | "):
            method, _, template = address.partition(" ")
            yield method, template, rule


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"(<[^>]*>)", template)
    return re.compile("".join(_part(part) for part in parts))


def _part(part: str) -> str:
    if not part.startswith("<"):
        return re.escape(part)
    kind, _, name = part[1:-1].rpartition(":")
    many = kind == "path" or name == "path"
    return f"(?P<{name}>{'.+' if many else '[^/]+'})"


_EXACT = {(method, template): rule for method, template, rule in _rows() if "<" not in template}
_PATTERNS = [(method, _pattern(template), rule) for method, template, rule in _rows() if "<" in template]


def rule_of(method: str, path: str) -> tuple[Rule, dict[str, str]] | None:
    """The rule of an address below MLflow's prefix, with the values of its variable parts; None where the table has none."""
    method = "GET" if method == "HEAD" else method
    key = re.sub(r"^/(?:ajax-)?api/", "", path)
    if (rule := _EXACT.get((method, key))) is not None:
        return rule, {}
    for wanted, pattern, rule in _PATTERNS:
        if wanted == method and (found := pattern.fullmatch(key)):
            return rule, found.groupdict()
    for rule, beginning in _FAMILIES:
        if key.startswith(beginning):
            return rule, {}
    return None


async def decide(asked: Asked) -> Sent:
    """What is sent on to MLflow.

    Raises:
        NotAllowed: the person may not, or the address is not in the table.
        NotFound: it is another person's.
        InvalidInput: what was sent is not clear enough to be decided on.
    """
    found = rule_of(asked.method, asked.path)
    if found is None:
        raise NotAllowed(f"MLflow endpoint not available: {asked.method} {asked.path[:100]}")
    rule, asked.parts = found
    return await rule(asked)
