"""Where MLflow's server answers, and how to talk to it over HTTP.

The workbench's own server listens on a Unix socket that only the person who runs the workbench can reach; people reach
it through the gateway, which checks their rights. MLflow itself is not imported here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from infra.datafolder import DataFolder
from infra.settings import Settings

PREFIX = "/mlflow"


@dataclass(frozen=True)
class MlflowServer:
    """One MLflow server.

    Attributes:
        url: with its prefix and without a slash at the end.
        socket: the Unix socket it listens on; None where it is reached by its address.
    """

    url: str
    socket: Path | None = None

    @property
    def own(self) -> bool:
        """Whether the workbench runs it, on its data folder."""
        return self.socket is not None

    def client(self, *, seconds: float = 10.0) -> httpx.AsyncClient:
        """A client whose relative addresses start at the server's prefix."""
        # trust_env: a proxy in the environment must not see these requests.
        transport = httpx.AsyncHTTPTransport(uds=str(self.socket)) if self.socket else None
        timeout = httpx.Timeout(seconds, connect=5)
        return httpx.AsyncClient(base_url=self.url, transport=transport, timeout=timeout, trust_env=False)


def lies_inside(location: str, root: Path) -> bool:
    """Whether artifacts at a location of MLflow's lie in the folder ``root``, which ``mlflow-artifacts:/`` stands for."""
    parsed = urlsplit(location)
    path = unquote(parsed.path)
    if parsed.netloc or ".." in path.split("/"):
        return False
    if parsed.scheme == "mlflow-artifacts":
        return path.startswith("/")
    return parsed.scheme in ("", "file") and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def find_server(settings: Settings) -> MlflowServer | None:
    """The server that the settings name, else that of the workbench running on the data folder; None where there is neither."""
    uri = settings.mlflow.tracking_uri
    if uri is not None:
        return MlflowServer(uri.rstrip("/")) if uri.startswith("http") else None
    running = DataFolder(settings.home).running()
    if running is None or running.mlflow_socket is None:
        return None
    return MlflowServer(f"http://localhost{PREFIX}", Path(running.mlflow_socket))
