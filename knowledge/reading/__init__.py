"""Documents as they are: pages, structure and text, whatever the file."""

from knowledge.reading.document import Block, Document, Limits, Page, as_kb_read
from knowledge.reading.reader import read_document

__all__ = ["Block", "Document", "Limits", "Page", "as_kb_read", "read_document"]
