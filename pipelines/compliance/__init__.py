"""A document against policies: as a durable job (``pipeline.PIPELINE``), or as a function that a notebook calls (``inline.comply``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.compliance.inline import comply

__all__ = ["comply"]


def __getattr__(name: str) -> Any:
    # When first asked for: whoever only wants to know the pipeline's plan does not wait for numpy and the reader.
    if name in __all__:
        from pipelines.compliance import inline

        return getattr(inline, name)
    raise AttributeError(name)
