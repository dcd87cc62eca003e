"""The role ``llm``: messages in, a stream of text out."""
