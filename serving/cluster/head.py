"""A Ray head on this machine, made small, and how processes join it.

`ray start` brings a dashboard, an autoscaler's monitor and a log monitor: 170 MB and seconds that a laptop does
not need. Here the head is one child process (``python -m serving.cluster.head``) with Ray's own processes beneath
it. They die with it, however it dies (the kernel sees to that); it ends when one of them does, or its parent.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import logging
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

from infra.datafolder import DataFolder, private_umask, write_private
from infra.errors import Unavailable
from infra.settings import Settings, load_settings

NAMESPACE = "workbench"
START_SECONDS = 120.0

# How long Serve's router waits for a replica to tell its queue's length. A busy laptop needs more than Serve's 0.1 s,
# after which the router warns and asks again.
QUEUE_DEADLINE = ("RAY_SERVE_QUEUE_LENGTH_RESPONSE_DEADLINE_S", "1.0")

# A Unix socket's path has at most 107 characters, and Ray adds this to its folder:
_SOCKET = "/session_2026-01-01_00-00-00_000000_0000000/sockets/plasma_store.0"


@dataclass
class Head:
    """A running head: its process, and the address to join."""

    process: subprocess.Popen[bytes]
    address: str

    def stop(self, *, seconds: float = 15.0) -> None:
        """End it and everything beneath it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def head_command() -> list[str]:
    """What a supervisor runs as its child; with :func:`head_environment`."""
    return [sys.executable, "-m", "serving.cluster.head"]


def head_environment(settings: Settings) -> dict[str, str]:
    """The environment of the head, and through it of every replica."""
    environment = dict(os.environ)
    environment.update(
        WORKBENCH_HOME=str(settings.home.resolve()),
        WORKBENCH_RAY__OBJECT_STORE_MB=str(settings.ray.object_store_mb),
        RAY_USAGE_STATS_ENABLED="0",
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN_PATH=str(token_path(settings)),
        RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0",  # Ray's name for "stay on the loopback": a laptop's address changes
        MALLOC_ARENA_MAX="2",  # glibc keeps an arena a thread otherwise; replicas have dozens of idle ones
    )
    environment.setdefault(*QUEUE_DEADLINE)
    if settings.ray.num_cpus:
        environment["WORKBENCH_RAY__NUM_CPUS"] = str(settings.ray.num_cpus)
    return environment


def start_head(settings: Settings) -> Head:
    """Start a head for this data folder and wait until it can be joined.

    Raises:
        Unavailable: it did not start; the message names its log.
    """
    folder = DataFolder(settings.home).make()
    forget_address(settings)
    folder.logs.mkdir(parents=True, exist_ok=True)
    log = folder.logs / "ray.log"
    with open(log, "ab") as output:
        process = subprocess.Popen(head_command(), env=head_environment(settings), stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    head = Head(process, "")
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if address := read_address(settings):
            head.address = address
            return head
        if process.poll() is not None:
            raise Unavailable(f"Ray did not start on this machine (exit code {process.returncode}). Its log is {log}.")
        time.sleep(0.05)
    head.stop()
    raise Unavailable(f"Ray did not start within {START_SECONDS:.0f} seconds. Its log is {log}.")


def read_address(settings: Settings) -> str | None:
    """The address that this data folder's head wrote when it was ready."""
    try:
        return _address_path(settings).read_text().strip() or None
    except OSError:
        return None


def forget_address(settings: Settings) -> None:
    """Remove an earlier head's address, before a new one starts."""
    _address_path(settings).unlink(missing_ok=True)


def token_path(settings: Settings) -> Path:
    """The secret that processes show to this data folder's Ray (whoever reaches Ray can run code); made at first use."""
    path = DataFolder(settings.home).make().home / "ray-token"
    with contextlib.suppress(FileExistsError):
        write_private(path, secrets.token_hex(32), exclusive=True)
    return path


def join(address: str | None, settings: Settings | None = None) -> None:
    """Connect this process to a cluster (once; joining again is nothing).

    ``settings`` names the data folder whose token opens it, and whose head it is where ``address`` is None; without
    them Ray's own rules hold.

    Raises:
        Unavailable: no cluster answers there.
    """
    if address is None and settings is not None:
        address = read_address(settings)
        if address is None:  # never "whatever Ray runs on this machine": it may be somebody else's
            raise Unavailable(f"No Ray runs for the data folder {settings.home}. Start the workbench with `workbench up`.")
    if settings is not None:
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(token_path(settings)))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault(*QUEUE_DEADLINE)
    logging.getLogger("ray.widgets").setLevel(logging.WARNING)  # in a notebook it asks for ipywidgets while it is imported
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")  # tqdm's, in a notebook without widgets
        import ray

    if ray.is_initialized():
        return
    if address and address.startswith("127.0.0.1:"):
        from ray._private import ray_constants

        ray_constants.ENABLE_RAY_CLUSTER = False  # or Ray would turn the loopback into this machine's outer address
    if settings is not None:
        from ray._raylet import AuthenticationTokenLoader, Config

        Config.initialize("")  # Ray may have read its environment when it was imported
        AuthenticationTokenLoader.instance().reset_cache()
    try:
        ray.init(address=address or "auto", namespace=NAMESPACE, log_to_driver=False, logging_level=logging.WARNING)
    except Exception as error:
        raise Unavailable(
            f"No Ray cluster answers at {address or 'the usual address'}. Start the workbench with `workbench up`."
        ) from error


def keep_replica_private() -> None:
    """Close a starting Serve replica to other users and machines: its files, and the port that Serve would open for it.

    Serve opens a gRPC port on all interfaces of the machine for every replica, and unpickles what anyone sends there. It is
    for handles with ``by_reference=False`` alone; ours go through Ray, which asks for the data folder's token.
    """
    private_umask()
    from ray.serve._private import replica

    replica.add_port_to_grpc_server = lambda server, address: 0


def ray_folder(home: Path) -> Path:
    """Where Ray keeps its session: ``ray`` in the data folder; reached by a short link where sockets' paths would be too long."""
    folder = home.resolve() / "ray"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if len(str(folder)) + len(_SOCKET) <= 107:
        return folder
    link = Path(tempfile.gettempdir()) / f"wb-{os.getuid()}-{hashlib.sha256(str(folder).encode()).hexdigest()[:10]}"
    with contextlib.suppress(FileExistsError):
        link.symlink_to(folder)
    if link.is_symlink() and link.readlink() == folder and link.lstat().st_uid == os.getuid():
        return link
    raise Unavailable(f"{link} is in the way: Ray needs it as a short name for {folder}. Remove it, or choose a shorter data folder.")


def _address_path(settings: Settings) -> Path:
    return settings.home.resolve() / "ray-address"


def run_head(settings: Settings) -> int:
    """Start Ray's processes beneath this one, write the address, and stay until a signal or the end of one of them."""
    # Only Ray's internal classes leave the dashboard and its monitors out; tests/integration/serving holds this.
    from ray._private.node import Node
    from ray._private.parameter import RayParams

    class SmallNode(Node):
        def start_api_server(self, *, include_dashboard: bool | None, raise_on_failure: bool) -> None:
            self._webui_url = ""

    folder = ray_folder(settings.home)
    parameters = RayParams(
        node_ip_address="127.0.0.1",
        gcs_server_port=0,
        num_cpus=int(settings.ray.num_cpus) if settings.ray.num_cpus else None,
        object_store_memory=settings.ray.object_store_mb << 20,
        temp_dir=str(folder),
        include_dashboard=False,
        include_log_monitor=False,  # pyright: ignore[reportArgumentType] - declared as text, used as a truth value
        no_monitor=True,
        _system_config={  # pyright: ignore[reportArgumentType] - Ray writes it as JSON
            "enable_worker_prestart": False,
            "prestart_worker_first_driver": False,
        },
    )
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, frame: stopping.append(got))
    node = SmallNode(parameters, head=True, shutdown_at_exit=False, spawn_reaper=True)
    write_private(_address_path(settings), node.gcs_address)
    parent = os.getppid()
    try:
        while not stopping and os.getppid() == parent:  # another parent: the one that started this is gone
            time.sleep(0.5)
            if dead := node.dead_processes():
                print(f"Ray's {dead[0][0]} ended by itself.", file=sys.stderr)
                return 1
        return 0
    finally:
        _address_path(settings).unlink(missing_ok=True)
        node.kill_all_processes(check_alive=False, allow_graceful=True)
        if folder.is_symlink():
            folder.unlink()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A small Ray head on this machine.")
    parser.add_argument("--home", type=Path, help="Data folder.")
    chosen = parser.parse_args()
    private_umask()
    sys.exit(run_head(load_settings(home=chosen.home)))
