"""Who keeps the collections: the one process that writes their indexes, and how everybody else asks it."""

from pipelines.librarian.contract import Desk

__all__ = ["Desk"]
