"""Which pipelines there are. A definition is imported when it is first asked for: it may bring heavy libraries."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.errors import NotFound

if TYPE_CHECKING:
    from pipelines.jobs.definition import Pipeline


@dataclass(frozen=True)
class Catalog:
    """Pipelines by name; each entry says where its definition stands, as ``module:ATTRIBUTE``."""

    entries: Mapping[str, str]

    def names(self) -> list[str]:
        return list(self.entries)

    def pipeline(self, name: str) -> Pipeline:
        """The definition.

        Raises:
            NotFound: there is no such pipeline.
        """
        if name not in self.entries:
            raise NotFound(f"Unknown pipeline '{name}'. Available: {', '.join(self.entries)}.")
        module, _, attribute = self.entries[name].partition(":")
        return getattr(importlib.import_module(module), attribute)


CATALOG = Catalog(
    {
        "imaging": "pipelines.imaging.pipeline:PIPELINE",
        "ingestion": "pipelines.ingestion.pipeline:PIPELINE",
        "compliance": "pipelines.compliance.pipeline:PIPELINE",
    }
)


def names() -> list[str]:
    """The names of the program's pipelines."""
    return CATALOG.names()


def pipeline(name: str) -> Pipeline:
    """One of the program's pipelines. Raises NotFound."""
    return CATALOG.pipeline(name)
