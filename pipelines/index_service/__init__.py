"""Who keeps the collections: the one process that writes their indexes, and how everybody else asks it."""

from pipelines.index_service.interface import IndexService

__all__ = ["IndexService"]
