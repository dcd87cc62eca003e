"""What the supervisor's children are: their commands, environments and priorities."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.datafolder import DataFolder
from infra.settings import Settings
from serving.cluster.head import head_command, head_environment, token_path
from serving.mlflow_server import PREFIX
from workbench.supervisor.child import Child
from workbench.supervisor.processes import MARK


def environment(settings: Settings) -> dict[str, str]:
    """A child's environment: this process's, the flags of ``up`` as variables, and the data folder's mark."""
    return {
        **os.environ,
        MARK: str(settings.home.resolve()),
        "WORKBENCH_HOME": str(settings.home.resolve()),
        "WORKBENCH_PROFILE": settings.profile,
        "WORKBENCH_GATEWAY__HOST": settings.gateway.host,
        "WORKBENCH_GATEWAY__PORT": str(settings.gateway.port),
        "PYTHONUNBUFFERED": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "GRADIO_ANALYTICS_ENABLED": "False",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        "MALLOC_ARENA_MAX": "2",  # glibc keeps an arena a thread otherwise, and Ray's drivers have dozens of idle threads
        **_ray_token(settings),
    }


def _ray_token(settings: Settings) -> dict[str, str]:
    """What opens this data folder's own Ray: this process may have been given that of another."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token_path(settings))} if settings.ray.address is None else {}


def ray_child(settings: Settings) -> Child:
    """Ray's head on this machine; ready when its address stands in the data folder."""
    return Child("ray", head_command(), head_environment(settings) | environment(settings), _log(settings, "ray"))


def bootstrap_child(settings: Settings, steps: Sequence[str], *, nice: int, log: str) -> Child:
    """A short-lived process that runs steps of a start."""
    command = [sys.executable, "-m", "workbench.supervisor.bootstrap", *steps]
    return Child(log, command, environment(settings), _log(settings, log), nice=nice, reads_output=True)


def gateway_child(settings: Settings, descriptor: int) -> Child:
    """The gateway on the supervisor's socket."""
    command = [sys.executable, "-m", "workbench.gateway_process", "--fd", str(descriptor)]
    return Child("gateway", command, environment(settings), _log(settings, "gateway"), descriptors=(descriptor,))


def mlflow_child(settings: Settings, socket_path: Path) -> Child:
    """MLflow's server on a Unix socket, one worker, without its job machinery (which takes a gigabyte at rest).

    Artifacts that come over HTTP lie in the data folder: clients are told ``mlflow-artifacts:/...`` and never a path.
    """
    folder = DataFolder(settings.home)
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--uvicorn-opts", f"--uds {shlex.quote(str(socket_path))}", "--workers", "1"),
        *("--static-prefix", PREFIX, "--backend-store-uri", settings.mlflow_uri, "--serve-artifacts"),
        *("--artifacts-destination", settings.mlflow_artifacts_path.as_uri(), "--default-artifact-root", "mlflow-artifacts:/"),
    ]
    # Neither may run programs or call models elsewhere for whoever reaches it.
    closed = ("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "MLFLOW_ENABLE_REMOTE_ASSISTANT", "MLFLOW_ENABLE_AI_GATEWAY")
    variables = environment(settings) | dict.fromkeys(closed, "false")
    return Child("mlflow", command, variables, folder.logs / "mlflow.log", nice=10)


def _log(settings: Settings, name: str) -> Path:
    return DataFolder(settings.home).logs / f"{name}.log"
