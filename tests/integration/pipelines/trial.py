"""A small pipeline whose stages leave marks in a file, so that what ran, and how often, can be seen.

``input``: ``marks`` (the file), ``seconds`` (stage to how long it works), ``fail`` (stage to ``[code, times]``),
``kill`` (stage to times that its process kills itself).
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

from infra.errors import CorruptFile, Unavailable
from pipelines.jobs.definition import Pipeline, Stage, StageContext, State

LIMITED = 3.0
"""Seconds that a try of the stage "removed" may take."""


def mark(context: StageContext, stage: str, what: str) -> None:
    with open(context.input["marks"], "a") as file:
        file.write(f"{stage} {what} {os.getpid()} {time.time():.3f}\n")


def marks(path: Path | str, what: str = "begin") -> list[str]:
    """The stages that began (or ended, or ...), in order."""
    lines = Path(path).read_text().splitlines() if Path(path).exists() else []
    return [line.split()[0] for line in lines if line.split()[1] == what]


def stage(name: str, limit: float | None = None) -> Stage:
    async def run(context: StageContext, state: State) -> State:
        given: dict[str, Any] = dict(context.input)
        mark(context, name, "begin")
        tries = marks(given["marks"]).count(name)
        (context.workdir / "scratch").write_text("x")
        code, times = given.get("fail", {}).get(name, ("", 0))
        if tries <= times:
            if code == "unavailable":
                raise Unavailable("The trial's service is away. Try again.")
            if code == "corrupt_file":
                raise CorruptFile("The trial's file is broken. Choose another.")
            raise KeyError("something the program did not expect")
        if tries <= given.get("kill", {}).get(name, 0):
            os.kill(os.getpid(), signal.SIGKILL)
        seconds = given.get("seconds", {}).get(name, 0.0)
        began = time.monotonic()
        try:
            while (passed := time.monotonic() - began) < seconds:
                context.progress(passed / seconds, f"{name} at work")
                await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            mark(context, name, "cancelled")
            raise
        mark(context, name, "end")
        added: State = {name: context.version("segmentation") or "champion", "seen": [*state.get("seen", []), name]}
        if name == "last":
            added["summary"] = {"seen": added["seen"]}
            added["artifacts"] = {"report.json": {"bucket": "b", "key": context.job_id}}
            added["models"] = [{"role": "segmentation", "version": added[name]}]
            added["notification"] = f"{context.title} went well."
        return added

    return Stage(name, f"Doing {name}", run, weight=2.0 if name == "middle" else 1.0, errors=("unavailable", "corrupt_file"), seconds=limit)


OLD = Pipeline("trial", "Trial", (stage("first"), stage("middle"), stage("removed", LIMITED), stage("last")))
NEW = Pipeline(
    "trial", "Trial", (stage("inserted"), stage("first"), stage("middle"), stage("last")), retired={"removed": stage("removed", LIMITED)}
)
