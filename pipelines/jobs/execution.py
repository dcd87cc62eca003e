"""Running one stage in this process: its folder, the JSON it may return, its errors. Used by jobs and inline runs alike."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from infra.errors import ConfigurationError, StorageFull, WorkbenchError
from infra.telemetry import logger
from pipelines.jobs.definition import Pipeline, Stage, StageContext, State

log = logger(__name__)

STATE_LIMIT = 1_000_000  # characters of JSON; files and arrays belong in the object store


async def run_stage(pipeline: Pipeline, name: str, context: StageContext, state: State) -> State:
    """What the stage adds to ``state``, as plain JSON values. ``context.workdir`` is the folder to make its own folder in.

    Raises:
        ConfigurationError: this program does not know the stage (any more).
        WorkbenchError: returned something that is not small JSON.
        Exception: whatever the stage raised.
    """
    stage = find_stage(pipeline, name)
    with work_folder(context.workdir) as folder:
        added = await stage.run(replace(context, workdir=folder), dict(state))
    return checked(name, added)


def find_stage(pipeline: Pipeline, name: str) -> Stage:
    """The stage of that name, planned or retired. Raises ConfigurationError."""
    try:
        return pipeline.stage(name)
    except KeyError as error:
        raise ConfigurationError(
            f"This version of the program has no stage '{name}' in the pipeline {pipeline.name}. Start a new job.",
            pipeline=pipeline.name,
        ) from error


def checked(name: str, added: State | None) -> State:
    """``added`` as it would come back from the database: what works inline then works as a job."""
    try:
        text = json.dumps(added or {}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise WorkbenchError(f"The stage '{name}' returned something that is not JSON ({error}). This is a bug.") from error
    if len(text) > STATE_LIMIT:
        raise WorkbenchError(f"The stage '{name}' returned {len(text):,} characters of JSON; {STATE_LIMIT:,} are allowed. This is a bug.")
    return json.loads(text)


@contextlib.contextmanager
def work_folder(root: Path) -> Iterator[Path]:
    """An empty folder under ``root``, removed at the end. Its name begins with this process's number."""
    folder = root / f"{os.getpid()}-{secrets.token_hex(6)}"
    try:
        folder.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise StorageFull(f"A working folder cannot be made under {root}: {error.strerror}.") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # a thread that a cancel left behind may still write: swept at the next start


def sweep_work_folders(root: Path) -> None:
    """Remove the folders of processes that are gone (killed ones clean up nothing)."""
    for folder in root.glob("*-*"):
        pid = folder.name.partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists() and not _alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
