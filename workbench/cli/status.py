"""``workbench status``, ``down`` and ``logs``."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.cli.output import AsJson, Home, refusals, show

DOWN_SECONDS = 30


def add_to(app: typer.Typer) -> None:
    app.command("status")(status)
    app.command("down")(down)
    app.command("logs")(logs)


def status(home: Home = None, as_json: AsJson = False) -> None:
    """How the running workbench is: its parts, its address, its memory. Exit code 1 where none runs."""
    with refusals(as_json):
        from datetime import UTC, datetime

        from infra.datafolder import DataFolder
        from infra.errors import Unavailable
        from infra.settings import load_settings
        from workbench.cli.running import find_running
        from workbench.supervisor.processes import marked, measure

        settings = load_settings(home=home)
        client = find_running(settings)
        if client is None:
            raise Unavailable(f"No workbench runs on {settings.home.resolve()}. Start one: workbench up")
        said: dict[str, Any] = {"url": client.url}
        running = DataFolder(settings.home).running()
        if running:
            started = datetime.fromisoformat(running.started_at)
            said["uptime_seconds"] = round((datetime.now(UTC) - started).total_seconds())
            processes = measure([running.pid, *marked(settings.home)])
            said["memory_pss_mb"] = round(sum(process.pss_mb or 0 for process in processes))
            said["processes"] = [{"pid": p.pid, "name": p.name, "pss_mb": round(p.pss_mb or 0, 1)} for p in processes]
        said |= client.get("/health/components")
        if as_json:
            show(said)
            return
        print(f"{client.url}  {said['state'].replace('_', ' ')}" + (f", up for {_time(said['uptime_seconds'])}" if running else ""))
        for part in said["components"]:
            print(f"  {part['name']:<14}{part['state']:<10}{part['sentence']}")
        if running:
            print(f"  memory        {said['memory_pss_mb']} MB in {len(said['processes'])} processes (proportional set size)")
            for process in said["processes"]:
                print(f"    {process['pss_mb']:>7.0f} MB  {process['name']}")


def down(home: Home = None) -> None:
    """Stop the running workbench. Jobs at work go on at its next start."""
    with refusals():
        from infra.datafolder import DataFolder
        from infra.errors import Timeout, Unavailable
        from infra.settings import load_settings

        settings = load_settings(home=home)
        folder = DataFolder(settings.home)
        running = folder.running()
        if running is None:
            raise Unavailable(f"No workbench runs on {settings.home.resolve()}.")
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGTERM)
        began = time.monotonic()
        while folder.locked():
            if time.monotonic() - began > DOWN_SECONDS:
                raise Timeout(f"The workbench (process {running.pid}) has not stopped after {DOWN_SECONDS} s. See `workbench logs`.")
            time.sleep(0.1)
        print(f"Stopped after {time.monotonic() - began:.1f} s.")


def logs(
    component: Annotated[str | None, typer.Argument(help="gateway, ray, mlflow, bootstrap or a replica (default: all).")] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Follow the logs.")] = False,
    lines: Annotated[int, typer.Option("-n", help="Number of lines to show of each log.")] = 20,
    home: Home = None,
) -> None:
    """Show what the parts of the workbench have logged."""
    with refusals():
        from infra.datafolder import DataFolder
        from infra.errors import NotFound
        from infra.settings import load_settings

        folder = DataFolder(load_settings(home=home).home)
        files = log_files(folder.logs, component)
        if not files:
            known = ", ".join(sorted({file.stem for file in log_files(folder.logs, None)})) or "none yet"
            raise NotFound(f"There is no log of '{component or 'anything'}' in {folder.logs}. There are: {known}.")
        places = {file: _print_end(file, lines, name=len(files) > 1) for file in files}
        while follow:
            time.sleep(0.3)
            for file in log_files(folder.logs, component):
                places[file] = _print_from(file, places.get(file, 0), name=len(files) > 1)


def log_files(folder: Path, component: str | None) -> list[Path]:
    """The logs of a component (those whose name begins so), or all."""
    found = sorted(file for file in folder.rglob("*.log") if file.is_file())
    return [file for file in found if component is None or file.stem.startswith(component)]


def _print_end(file: Path, lines: int, *, name: bool) -> int:
    size = file.stat().st_size
    with open(file, "rb") as opened:
        opened.seek(max(0, size - 400 * max(lines, 1)))
        text = opened.read(size - opened.tell()).decode("utf-8", "replace").splitlines()
    _print(file, text[-lines:] if lines else [], name=name)
    return size


def _print_from(file: Path, place: int, *, name: bool) -> int:
    size = file.stat().st_size
    if size < place:
        place = 0  # the log was begun anew
    if size > place:
        with open(file, "rb") as opened:
            opened.seek(place)
            _print(file, opened.read(size - place).decode("utf-8", "replace").splitlines(), name=name)
    return size


def _print(file: Path, lines: list[str], *, name: bool) -> None:
    for line in lines:
        print(f"{file.stem}: {line}" if name else line, flush=True)


def _time(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s" if minutes else f"{left} s"
