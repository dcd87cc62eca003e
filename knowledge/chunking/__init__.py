"""Documents to chunks that know where they stand."""

from knowledge.chunking.chunker import Chunk, ChunkOptions, chunk_document, embedding_text
from knowledge.chunking.sentences import sentence_spans
from knowledge.chunking.tokens import TokenCounter, embedded_tokens

__all__ = ["Chunk", "ChunkOptions", "TokenCounter", "chunk_document", "embedded_tokens", "embedding_text", "sentence_spans"]
