"""A collection as a LangChain retriever."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document as LangChainDocument
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, Field

from knowledge.search import FAST, Passage, SearchConfig, Searcher


class KnowledgeRetriever(BaseRetriever):
    """``retriever.invoke("question")`` gives passages as LangChain documents, best first.

    The text is the passage's, verbatim; the metadata hold where it stands: document, title, page, start, end, headings, score.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    searcher: Searcher = Field(description="Of the collection.")
    k: int = Field(10, ge=1, description="Passages given.")
    filters: dict[str, Any] = Field(default_factory=dict, description="Tag names to allowed values, for example {'year': 2018}.")
    config: SearchConfig = Field(default=FAST, description="How to search.")

    async def _aget_relevant_documents(self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun) -> list[LangChainDocument]:
        return [_document(passage) for passage in await self.searcher.search(query, self.k, self.filters, self.config)]

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[LangChainDocument]:
        # A thread of its own: the caller may stand in a running event loop (a notebook does).
        with ThreadPoolExecutor(1) as thread:
            found = thread.submit(asyncio.run, self.searcher.search(query, self.k, self.filters, self.config)).result()
        return [_document(passage) for passage in found]


def _document(passage: Passage) -> LangChainDocument:
    metadata = {key: value for key, value in passage.as_dict().items() if key != "text"}
    return LangChainDocument(page_content=passage.text, metadata=metadata | {"headings": list(passage.headings)})
