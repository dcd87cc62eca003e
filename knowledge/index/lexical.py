"""Words: a Tantivy index with one field a language, each stemmed its own way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tantivy

from knowledge.chunking.folding import folded
from knowledge.index.contract import Entry, Hit, Where

STEMMERS = {
    "ar": "arabic", "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish", "fi": "finnish", "fr": "french",
    "hu": "hungarian", "it": "italian", "nb": "norwegian", "nn": "norwegian", "nl": "dutch", "no": "norwegian", "pt": "portuguese",
    "ro": "romanian", "ru": "russian", "sv": "swedish", "ta": "tamil", "tr": "turkish",
}  # fmt: skip
UNSPACED = {"zh", "ja", "ko", "th"}  # words are not separated by spaces: pairs of characters stand for them
WRITER_BYTES = 64 << 20
MOST_TERMS = 512


def field_of(language: str | None) -> str:
    """The field that texts of a language are indexed in."""
    if language in UNSPACED:
        return "body_pairs"
    return f"body_{STEMMERS[language]}" if language in STEMMERS else "body_plain"


FIELDS = sorted({*(f"body_{stemmer}" for stemmer in STEMMERS.values()), "body_plain", "body_pairs"})


def plain_words(query: str) -> str:
    """``query`` without anything that a query language could take for syntax."""
    return " ".join(re.sub(r"[^\w]+|_", " ", folded(query).lower()).split()[:MOST_TERMS])


class Words:
    """The lexical half of the embedded index. Changes are visible after ``commit``."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        builder = tantivy.SchemaBuilder()
        builder.add_unsigned_field("id", stored=True, indexed=True, fast=True)
        builder.add_text_field("tags", stored=False, tokenizer_name="raw", index_option="basic")
        builder.add_text_field("language", stored=False, tokenizer_name="raw", index_option="basic")
        for name in FIELDS:
            builder.add_text_field(name, stored=False, tokenizer_name=name, index_option="freq")
        self._schema = builder.build()
        self._index = tantivy.Index(self._schema, path=str(folder))
        self._analyzers = {name: _analyzer(name) for name in FIELDS}
        for name, analyzer in self._analyzers.items():
            self._index.register_tokenizer(name, analyzer)
        self._searcher = self._index.searcher()
        self._fields = self._used_fields()

    def change(self, removed: Iterable[int], added: Sequence[Entry]) -> None:
        """Remove, then add; all of it in one commit."""
        writer = self._index.writer(WRITER_BYTES, 1)
        try:
            for identifier in {*removed, *(entry.id for entry in added)}:
                writer.delete_documents_by_query(tantivy.Query.term_query(self._schema, "id", identifier))
            for entry in added:
                document = tantivy.Document()
                document.add_unsigned("id", entry.id)
                name = field_of(entry.language)
                document.add_text(name, entry.text)
                document.add_text("language", name)
                for tag in entry.tags:
                    document.add_text("tags", tag)
                writer.add_document(document)
            writer.commit()
            writer.wait_merging_threads()
        except BaseException:
            writer.rollback()
            raise
        self.reload()

    def reload(self) -> None:
        self._index.reload()
        self._searcher = self._index.searcher()
        self._fields = self._used_fields()

    def search(self, query: str, k: int, where: Where) -> list[Hit]:
        words = plain_words(query)
        if not words or not self._fields:
            return []
        # Terms, not a parsed query: nothing is syntax, and pairs of characters need no phrase.
        terms = [
            (tantivy.Occur.Should, tantivy.Query.term_query(self._schema, name, term, "freq"))
            for name in self._fields
            for term in dict.fromkeys(self._analyzers[name].analyze(words))
        ]
        if not terms:
            return []
        query_of_terms = tantivy.Query.boolean_query(terms)
        if where:
            query_of_terms = tantivy.Query.boolean_query(
                [(tantivy.Occur.Must, query_of_terms), *((tantivy.Occur.Must, self._any(group)) for group in where)]
            )
        found = self._searcher.search(query_of_terms, k, count=False)
        return [Hit(int(self._searcher.doc(address)["id"][0]), float(score)) for score, address in found.hits]

    def count(self) -> int:
        return self._searcher.num_docs

    def _any(self, group: tuple[str, ...]) -> Any:
        terms = [(tantivy.Occur.Should, tantivy.Query.term_query(self._schema, "tags", tag)) for tag in group]
        return tantivy.Query.const_score_query(tantivy.Query.boolean_query(terms), 0.0)

    def _used_fields(self) -> list[str]:
        """Only fields that hold something are asked: twenty empty ones cost time for nothing."""
        used = []
        for name in FIELDS:
            query = tantivy.Query.term_query(self._schema, "language", name)
            if self._searcher.search(query, 1, count=False).hits:
                used.append(name)
        return used


def _analyzer(name: str) -> Any:
    if name == "body_pairs":
        return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.ngram(1, 2, False)).filter(tantivy.Filter.lowercase()).build()
    builder = (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple()).filter(tantivy.Filter.remove_long(64)).filter(tantivy.Filter.lowercase())
    )
    stemmer = name.removeprefix("body_")
    return builder.filter(tantivy.Filter.stemmer(stemmer)).build() if stemmer != "plain" else builder.build()
