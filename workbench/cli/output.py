"""How every command talks: results on standard output, the rest on standard error, refusals with their codes."""

from __future__ import annotations

import contextlib
import json
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

Home = Annotated[Path | None, typer.Option("--home", help="Data folder (by default ./.workbench, or WORKBENCH_HOME).", show_default=False)]
Profile = Annotated[str | None, typer.Option("--profile", help="local, gpu, aws, or a TOML file.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]


def note(line: str) -> None:
    """A line about what is going on."""
    print(line, file=sys.stderr, flush=True)


def show(value: Any) -> None:
    """A result as JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str), flush=True)


@contextlib.contextmanager
def refusals(as_json: bool = False) -> Iterator[None]:
    """Tell an error as this command line does, and end with its exit code: 1 the work failed, 130 interrupted."""
    from infra.errors import WorkbenchError, find_workbench_error
    from infra.telemetry import correlated, correlation_id

    with correlated(None):
        try:
            yield
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except KeyboardInterrupt:
            note("Interrupted.")
            raise typer.Exit(130) from None
        except BrokenPipeError:
            sys.stderr.close()
            raise typer.Exit(1) from None
        except Exception as caught:
            error = find_workbench_error(caught)
            if error is None:
                traceback.print_exc()
                error = WorkbenchError(f"Unexpected error: {type(caught).__name__}: {caught}")
            identifier = error.details.get("correlation_id") or correlation_id()
            if as_json:
                show({"error": {"code": error.code, "message": error.message, "correlation_id": identifier}})
            else:
                note(f"error: {error.message} [{error.code}]")
            raise typer.Exit(1) from None
