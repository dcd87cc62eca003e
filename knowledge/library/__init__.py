"""Collections and their documents, kept in tables, objects and an index."""

from knowledge.library.collections import create_collection, find_collection, may_write, readable_collections, set_member
from knowledge.library.documents import Library, Source
from knowledge.library.stored import StoredChunks

__all__ = ["Library", "Source", "StoredChunks", "create_collection", "find_collection", "may_write", "readable_collections", "set_member"]
