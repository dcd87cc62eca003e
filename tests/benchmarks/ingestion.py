"""Adding the FinanceBench PDFs, over the bare embedding of the very same chunks; must be <= 1.3, aim 1.1 (two cores).

    python -m tests.benchmarks.ingestion [--data DIR] [--files 22] [--paths FILE ...]

Both are measured in this process with the embedded model, loaded before: reading, chunking, tables, store and index are
what the pipeline adds to the embedding. The files are added twice, before the bare embedding and after it, and the mean
counts: so a machine whose speed drifts favours neither.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from sqlmodel import col, select

from infra.database.tables_knowledge import KbChunk, KbDocument
from infra.settings import load_settings
from knowledge.library.rows import text_to_embed
from pipelines.ingestion import KnowledgeClient, open_knowledge
from serving.local import local_roles

MUST, AIM = 1.3, 1.1


def stored_texts(knowledge: KnowledgeClient) -> list[str]:
    """What was embedded, chunk by chunk."""
    with knowledge.database.session() as session:
        query = select(KbDocument, KbChunk).join(KbChunk, col(KbChunk.document_id) == col(KbDocument.id))
        return [text_to_embed(document, chunk) for document, chunk in session.exec(query)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ingestion")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("WORKBENCH_DATA", "../shared/data")) / "rag")
    parser.add_argument("--files", type=int, default=22, help="how many of the PDFs, smallest first")
    parser.add_argument("--paths", type=Path, nargs="*", default=[], help="other files in their place")
    arguments = parser.parse_args()
    paths = arguments.paths or sorted((arguments.data / "financebench" / "pdfs").glob("*.pdf"), key=lambda p: p.stat().st_size)
    paths = paths[: arguments.files] if not arguments.paths else paths
    if not paths:
        print(f"The development data is not at {arguments.data}: nothing measured.")
        return
    with tempfile.TemporaryDirectory(prefix="workbench-bench-") as folder:
        settings = load_settings(home=Path(folder))
        roles = local_roles(settings)
        role = roles.require("embedding")
        with open_knowledge(settings, roles=roles) as knowledge:

            def embed(texts: list[str]) -> float:
                # Sorted as the pipeline does: the bare embedding at its best.
                began = time.perf_counter()
                knowledge._loop.run(role.embed(sorted(texts, key=len)))
                return time.perf_counter() - began

            embed(["The model is loaded by its first call."])
            began = time.perf_counter()
            added = knowledge.add(paths, "bench")
            seconds = time.perf_counter() - began
            texts = stored_texts(knowledge)
            bare = embed(texts)
            began = time.perf_counter()
            knowledge.add(paths, "again")
            second = time.perf_counter() - began
    ready = [said for said in added["documents"] if said["state"] == "ready"]
    pages = sum(said["pages"] or 0 for said in ready)
    print(f"{len(ready)} of {len(paths)} files, {pages} pages, {len(texts)} chunks, {os.cpu_count()} processors")
    print(f"added in {seconds:.1f} s and {second:.1f} s; bare embedding {bare:.1f} s ({len(texts) / bare:.0f} chunks/s)")
    print(f"ratio {(seconds + second) / 2 / bare:.3f}  (must be <= {MUST}, aim {AIM})")


if __name__ == "__main__":
    main()
