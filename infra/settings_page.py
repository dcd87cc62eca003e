"""Writes SETTINGS.md, the page of all settings, from their own descriptions: ``python -m infra.settings_page``.

A test holds the page to the code, so it is never stale.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from infra.settings import DEFAULT_MODELS, DEFAULT_PROCESSORS, Model, Processor, Settings

PAGE = Path(__file__).parent / "deploy" / "profiles" / "SETTINGS.md"


def page() -> str:
    """The whole page, Markdown."""
    lines = [
        "# Settings",
        "",
        "Precedence: flags, then the environment, then the profile (`local`, `gpu`, `aws`, or a TOML file), then the defaults here.",
        "In the environment a name is `WORKBENCH_` and its path with two underscores between levels:",
        "`gateway.port` is `WORKBENCH_GATEWAY__PORT`. Unknown names are refused, with the nearest known one.",
        "This page is written by `python -m infra.settings_page`.",
        "",
        "| setting | default | meaning |",
        "|---|---|---|",
        *_rows(Settings, ""),
        "",
        "## Models, by role: `models.ROLE.*`",
        "",
        *_table({role: model.model_dump() for role, model in DEFAULT_MODELS.items()}, "role"),
        "",
        *(f"- `{name}`: {field.description}" for name, field in Model.model_fields.items()),
        "",
        "## Processors, by deployment: `processors.DEPLOYMENT.*`",
        "",
        *_table({name: row.model_dump() for name, row in DEFAULT_PROCESSORS.items()}, "deployment"),
        "",
        *(f"- `{name}`: {field.description}" for name, field in Processor.model_fields.items()),
    ]
    return "\n".join(lines) + "\n"


def _rows(model: type[BaseModel], prefix: str) -> list[str]:
    rows = []
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            rows += _rows(annotation, f"{prefix}{name}.")
        else:
            default = "" if field.default in (None, PydanticUndefined) else f"`{field.default}`"
            rows.append(f"| `{prefix}{name}` | {default} | {field.description} |")
    return rows


def _table(rows: dict[str, dict[str, object]], head: str) -> list[str]:
    names = list(next(iter(rows.values())))
    lines = [f"| {head} | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for key, row in rows.items():
        lines.append(f"| `{key}` | " + " | ".join("" if row[name] is None else str(row[name]) for name in names) + " |")
    return lines


if __name__ == "__main__":
    PAGE.write_text(page())
