"""What documents are, and which of them a question names."""

from knowledge.metadata.facts import Facts, extract_facts, squash
from knowledge.metadata.inference import Catalog, Named

__all__ = ["Catalog", "Facts", "Named", "extract_facts", "squash"]
