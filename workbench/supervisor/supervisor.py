"""The supervisor behind ``workbench up``.

Children: Ray's head, a short-lived one that prepares the folder and deploys the application, the gateway, MLflow's
server. What dies is started again, after a growing pause; when the supervisor ends, in whatever way, they end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from infra.datafolder import DataFolder, Running
from infra.errors import Conflict, Unavailable, WorkbenchError, from_dict
from infra.settings import Settings
from serving.cluster.head import forget_address, read_address
from workbench.supervisor.child import Child
from workbench.supervisor.commands import bootstrap_child, gateway_child, mlflow_child, ray_child
from workbench.supervisor.ports import listen
from workbench.supervisor.processes import end_marked
from workbench.supervisor.small_http import ask

Say = Callable[[str], None]
LONGEST_PAUSE = 30.0
STEADY_SECONDS = 60.0  # a child that ran so long has recovered: its next fall is a first one
HUNG_PROBES = 4
PROBE_SECONDS = 10.0


class Supervisor:
    """Runs one workbench on one data folder until told to stop.

    Args:
        settings: the program's; ``settings.home`` is the data folder.
        say: gets progress as lines for a person.
        banner: awaited once the workbench is ready (the first sample, the address).
        primer: whether to index the neuroradiology primer after that, where it is not indexed yet.
    """

    def __init__(self, settings: Settings, *, say: Say, banner: Callable[[Supervisor], Any] | None = None, primer: bool = False) -> None:
        self.settings = settings
        self.folder = DataFolder(settings.home)
        self.say = say
        self.link = ""
        self.ready_after: float | None = None
        self._banner = banner
        self._primer = primer
        self._began = time.monotonic()
        self._children: dict[str, Child] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._failure: WorkbenchError | None = None
        self._bootstrap: Child | None = None
        self._deployed = asyncio.Event()
        self._socket: socket.socket | None = None
        self._running = Running(os.getpid(), settings.url, None, None, datetime.now(UTC).isoformat())

    @property
    def address(self) -> tuple[str, int]:
        """Host and port at which the supervisor itself reaches the gateway."""
        host = self.settings.gateway.host
        return ("127.0.0.1" if host in ("0.0.0.0", "::", "") else host), self.settings.gateway.port  # noqa: S104 # nosec B104

    async def run(self) -> None:
        """Start everything, watch it, and stop it when told to (SIGTERM, SIGINT).

        Raises:
            Conflict: the port or the data folder is taken.
            WorkbenchError: the application cannot be deployed.
        """
        with contextlib.ExitStack() as stack:
            await self._take_folder(stack)
            self._socket = stack.enter_context(listen(self.settings.gateway.host, self.settings.gateway.port))
            end_marked(self.folder.home, say=self.say)
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._asked_to_stop)
            try:
                bootstrap = asyncio.create_task(self._open())
                stopped = asyncio.create_task(self._stopping.wait())
                await asyncio.wait({bootstrap, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if bootstrap.done() and not self._stopping.is_set():
                    bootstrap.result()
                    await self._stopping.wait()
                bootstrap.cancel()
                if self._failure:
                    raise self._failure
            finally:
                await self._stop()

    # -- starting

    async def _take_folder(self, stack: contextlib.ExitStack) -> None:
        for attempt in range(5):
            try:
                stack.enter_context(self.folder.lock())
                return
            except Conflict:
                # Someone who only looks holds the lock for an instant; someone who runs a workbench keeps it.
                if attempt == 4:
                    raise
                await asyncio.sleep(0.05)

    async def _open(self) -> None:
        if self.settings.ray.address is None:
            self._start_ray()
        self._note()
        steps = await self._start_bootstrap("prepare", "deploy")
        prepared = await self._step(steps, "prepare")
        self.link = prepared["link"]
        self.say(f"Database, owner {prepared['owner']}: {self._seconds()}")
        self._keep_gateway()
        self._watch(self._probe())
        await self._deploy(steps)
        self.say(f"Ray, models and pipelines: {self._seconds()}")
        await self._until_ready()
        self.ready_after = time.monotonic() - self._began
        self.say(f"Ready in {self.ready_after:.1f} s: {self.settings.url}")
        self._watch(self._after_ready())

    async def _deploy(self, steps: Child) -> None:
        """The start's own deployment; where Ray falls meanwhile, the one that follows its restart takes its place."""
        self._bootstrap = steps
        try:
            await self._step(steps, "deploy")
        except WorkbenchError:
            if self._bootstrap is not None:
                raise
            await self._deployed.wait()
        self._bootstrap = None
        self._note()

    async def _after_ready(self) -> None:
        # MLflow last: a start needs its processor, and nobody needs MLflow to serve.
        mlflow = asyncio.create_task(self._start_mlflow())
        self._tasks.add(mlflow)
        if self._banner is not None:
            await self._banner(self)
        if self._primer:
            await self._index_primer()

    async def _index_primer(self) -> None:
        """After all else, at low priority: whoever waits for a sample's report does not wait for it."""
        try:
            said = await self._step(await self._start_bootstrap("primer", nice=10, log="primer"), "primer")
        except WorkbenchError as error:
            self.say(f"The neuroradiology primer could not be indexed: {error.message}")
            return
        if said["job"]:
            self.say("The neuroradiology primer is being indexed in the background (collection neuroradiology-primer)")

    async def _start_mlflow(self) -> None:
        try:
            await self._step(await self._start_bootstrap("register", nice=10, log="register"), "register")
        except WorkbenchError as error:
            self.say(f"The embedded models could not be registered in MLflow: {error.message}")
        if self.settings.mlflow.start and self.settings.mlflow.tracking_uri is None:
            socket_path = self.folder.socket_path("mlflow")
            self._keep(mlflow_child(self.settings, socket_path), self._child_died)
            self._note(mlflow_socket=str(socket_path))

    async def _start_bootstrap(self, *steps: str, nice: int = 0, log: str = "bootstrap") -> Child:
        child = bootstrap_child(self.settings, steps, nice=nice, log=log)
        await child.start()
        self._children[child.name] = child
        return child

    async def _step(self, child: Child, step: str) -> dict[str, Any]:
        """The line in which a short-lived child tells the end of ``step``. Raises the error it tells."""
        assert child.process is not None and child.process.stdout is not None
        while line := await child.process.stdout.readline():
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                if isinstance(said, dict) and said.get("step") == step:
                    if "error" in said:
                        raise from_dict(said["error"])
                    return said
        await child.process.wait()
        raise Unavailable(f"The start failed at '{step}': the process {child.ended_how()}. Its log is {child.log}.\n{child.last_words()}")

    async def _until_ready(self) -> None:
        told: set[str] = set()
        while True:
            status, said = await ask(*self.address, "/health/ready", seconds=5)
            if status == 200:
                return
            for name in (said or {}).get("waiting_for", []):
                if name not in told and time.monotonic() - self._began > 30:
                    told.add(name)
                    self.say(f"Still waiting for {name} (`workbench status` says more)")
            await asyncio.sleep(0.2)

    # -- watching

    def _keep(self, child: Child, died: Callable[[Child], Any]) -> None:
        """Start ``child`` and call ``died`` whenever it ends unasked."""
        self._children[child.name] = child

        async def watch() -> None:
            pause = 0.2
            while not self._stopping.is_set():
                await child.start()
                assert child.process is not None
                await child.process.wait()
                if self._stopping.is_set() or self._children.get(child.name) is not child:
                    return
                child.kill()  # what it had started itself, and what may still hold its port (MLflow's worker)
                pause = 0.2 if child.age > STEADY_SECONDS else min(pause * 2, LONGEST_PAUSE)
                self.say(f"{child.name} {child.ended_how()}; restarting in {pause:.1f} s (log: {child.log})")
                await asyncio.sleep(pause)
                if await died(child) is False:
                    return

        self._watch(watch())

    def _start_ray(self) -> None:
        forget_address(self.settings)
        self._keep(ray_child(self.settings), self._ray_died)

    def _keep_gateway(self) -> None:
        assert self._socket is not None
        child = gateway_child(self.settings, self._socket.fileno())
        self._keep(child, self._child_died)

    async def _child_died(self, child: Child) -> bool:
        return True

    async def _ray_died(self, child: Child) -> bool:
        """Ray's head is gone, and every replica with it: a new one, the application on it, and a gateway that knows it."""
        self._children.pop(child.name, None)
        if self._bootstrap:  # it waits for what is gone; two that deploy at once would be in each other's way
            bootstrap, self._bootstrap = self._bootstrap, None
            bootstrap.kill()
        gateway = self._children.pop("gateway", None)
        if gateway:
            await gateway.stop(grace=1)
        child.kill()
        self._start_ray()
        if not self.link:
            return False  # the start is not there yet: it will find the new one
        self._keep_gateway()
        self._watch(self._deploy_again())
        return False

    async def _deploy_again(self) -> None:
        pause = 1.0
        while not self._stopping.is_set():
            try:
                await self._step(await self._start_bootstrap("deploy"), "deploy")
                self._note()
                self.say("Ray, models and pipelines are back")
                self._deployed.set()
                return
            except WorkbenchError as error:
                self.say(f"The models could not be deployed again: {error.message}")
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    async def _probe(self) -> None:
        """Kill a gateway that lives and does not answer; its watcher starts it again."""
        failures = 0
        while not self._stopping.is_set():
            await asyncio.sleep(PROBE_SECONDS)
            gateway = self._children.get("gateway")
            if gateway is None or not gateway.running or gateway.age < 60:
                failures = 0
                continue
            status, _ = await ask(*self.address, "/health/live", seconds=PROBE_SECONDS)
            failures = 0 if status == 200 else failures + 1
            if failures >= HUNG_PROBES:
                self.say("The gateway is not responding; restarting it")
                gateway.kill()
                failures = 0

    def _watch(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error if isinstance(error, WorkbenchError) else WorkbenchError(f"The supervisor failed: {error!r}")
            self._stopping.set()

    # -- stopping

    def _asked_to_stop(self) -> None:
        if self._stopping.is_set():  # asked twice: no more patience
            for child in self._children.values():
                child.kill()
            return
        self.say("Stopping")
        self._stopping.set()

    async def _stop(self) -> None:
        self._stopping.set()
        for task in list(self._tasks):
            task.cancel()
        gateway = self._children.pop("gateway", None)
        if gateway:
            await gateway.stop(grace=5)
        await asyncio.gather(*(child.stop(grace=6) for child in self._children.values()))
        await asyncio.to_thread(end_marked, self.folder.home, grace=1.0)
        for path in (self.folder.home / "running.json", *filter(None, [self._running.mlflow_socket])):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        if (place := self._running.mlflow_socket) and not place.startswith(str(self.folder.home)):
            with contextlib.suppress(OSError):
                os.rmdir(os.path.dirname(place))

    # -- telling

    def _seconds(self) -> str:
        return f"{time.monotonic() - self._began:.1f} s"

    def _note(self, *, mlflow_socket: str | None = None) -> None:
        """Leave word in the data folder of where everything is, as far as it is known now."""
        ray_address = self.settings.ray.address or read_address(self.settings)
        self._running = replace(self._running, ray_address=ray_address, mlflow_socket=mlflow_socket or self._running.mlflow_socket)
        self.folder.write_running(self._running)
