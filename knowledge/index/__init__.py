"""Where chunks are found: by meaning and by words, embedded or in OpenSearch, behind one contract."""

from knowledge.index.contract import Entry, Hit, Index, Where
from knowledge.index.make import open_index

__all__ = ["Entry", "Hit", "Index", "Where", "open_index"]
