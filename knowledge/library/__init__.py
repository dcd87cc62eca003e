"""Collections and their documents, kept in tables, objects and an index."""

from knowledge.library.collections import (
    collection_to_fill,
    create_collection,
    find_collection,
    may_write,
    readable_collections,
    set_member,
)
from knowledge.library.documents import Library
from knowledge.library.rows import FACT_FIELDS, Prepared, Source, state_of
from knowledge.library.states import Listed
from knowledge.library.stored import StoredChunks
from knowledge.library.upkeep import Storage, heal, rebuild, storage

__all__ = [
    "FACT_FIELDS",
    "Library",
    "Listed",
    "Prepared",
    "Source",
    "Storage",
    "StoredChunks",
    "collection_to_fill",
    "create_collection",
    "find_collection",
    "heal",
    "may_write",
    "readable_collections",
    "rebuild",
    "set_member",
    "state_of",
    "storage",
]
