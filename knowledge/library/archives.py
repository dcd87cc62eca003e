"""Texts, and vectors, of many documents in one object: ten thousand records would else be twenty thousand files.

An archive is a zip with one member per document, named by the document's id, so one document is read without the others.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from infra.errors import IntegrityError
from knowledge.reading import Document, Page
from knowledge.reading.document import with_paths

MEDIA_TYPE = "application/zip"


def text_archive(documents: Mapping[str, Document]) -> bytes:
    """What was read of each document, by id: text by page, and blocks (their headings are found again)."""
    return _zipped(
        {f"{identifier}.json": json.dumps(_content(document)).encode() for identifier, document in documents.items()}, zipfile.ZIP_DEFLATED
    )


def vector_archive(vectors: Mapping[str, np.ndarray]) -> bytes:
    """Each document's vectors, float32 ``(chunks, dimensions)``, by id."""
    return _zipped({f"{identifier}.npy": _saved(array) for identifier, array in vectors.items()}, zipfile.ZIP_STORED)


def read_document_archive(archive: bytes, identifier: str, *, name: str, media_type: str) -> Document:
    """The document as it was read.

    Raises:
        IntegrityError: the archive does not hold it.
    """
    content: dict[str, Any] = json.loads(_member(archive, f"{identifier}.json"))
    pages = tuple(Page(*page) for page in content["pages"])
    document = Document(
        name,
        media_type,
        pages,
        (),
        content["paged"],
        content["title"],
        content["language"],
        content["metadata"],
        tuple(content["warnings"]),
    )
    blocks = [tuple(block) for block in content["blocks"]]
    cells = dict(content.get("cells", ()))  # packs of earlier versions have none
    return replace(document, blocks=with_paths(blocks, document.text, cells))


def read_vector_archive(archive: bytes, identifier: str) -> np.ndarray:
    """The document's vectors, float32 ``(chunks, dimensions)``. Raises IntegrityError."""
    return np.load(io.BytesIO(_member(archive, f"{identifier}.npy")), allow_pickle=False)


def without(archive: bytes, gone: Collection[str]) -> bytes:
    """The archive less some documents."""
    with zipfile.ZipFile(io.BytesIO(archive)) as members:
        kept = {item.filename: members.read(item) for item in members.infolist() if item.filename.rpartition(".")[0] not in gone}
        way = members.infolist()[0].compress_type
    return _zipped(kept, way)


def _content(document: Document) -> dict[str, Any]:
    return {
        "pages": [[page.number, page.start, page.text, page.recognised] for page in document.pages],
        "blocks": [[block.kind, block.start, block.end, block.page, block.level] for block in document.blocks],
        "cells": [
            [position, [[c.row, c.column, c.rows, c.columns, c.start, c.end, int(c.header)] for c in block.cells]]
            for position, block in enumerate(document.blocks)
            if block.cells
        ],
        "paged": document.paged,
        "title": document.title,
        "language": document.language,
        "metadata": document.metadata,
        "warnings": list(document.warnings),
    }


def _zipped(members: Mapping[str, bytes], way: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", way, compresslevel=4) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, way)  # a fixed date: the same content gives the same bytes
    return buffer.getvalue()


def _member(archive: bytes, name: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as members:
            return members.read(name)
    except (KeyError, zipfile.BadZipFile) as error:
        raise IntegrityError("The stored data of this document is missing. Upload it again.") from error


def _saved(vectors: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(vectors, np.float32), allow_pickle=False)
    return buffer.getvalue()
