"""Do citations stand where they say? Must be 100 %: every citation of every answer, in the stored document and in the PDF itself.

    python -m tests.benchmarks.citations [--data DIR] [--files 6] [--sentences 10]

The smallest FinanceBench PDFs are added; their questions are asked, most of which want a figure and are abstained from, and whether
the documents say what some of their own sentences say; quoted, and written by the language model. A citation is right
where its document and page are stored and the stored text from its start to its end, all on that page, is what it quotes, letter by
letter; and, by a second reading of the PDF page, where the page has these words in this order.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pypdfium2

from infra.settings import load_settings
from knowledge.library import StoredChunks, find_collection
from pipelines.ingestion import open_knowledge
from pipelines.questions import AnswerOptions, Citation
from pipelines.questions.client import ask
from serving.local import local_roles

WRITERS = ("quotes", "model")
_BETWEEN = re.compile(r"[\s\u00ad\u00a0-]+")  # layout: where a line ends, and how a word is parted there
_SENTENCE = re.compile(r"(?<=[.!?]\s)[A-Z][^.!?]{40,250}\.(?=\s)")


def stored(citation: Citation, chunks: StoredChunks) -> bool:
    """Whether the stored document has exactly this text there, on that page."""
    document = chunks.document(citation.found.passage.document)
    page = next((page for page in document.pages if page.number == citation.page), None)
    inside = page is not None and page.start <= citation.start < citation.end <= page.end
    return inside and document.text[citation.start : citation.end] == citation.text


def printed(citation: Citation, folder: Path) -> bool:
    """Whether the page of the PDF has these words, as pdfium gives its text."""
    if citation.page is None:
        return False
    pdf = pypdfium2.PdfDocument(folder / citation.found.passage.document)
    try:
        page = pdf[citation.page - 1].get_textpage().get_text_range()
    finally:
        pdf.close()
    return _BETWEEN.sub("", citation.text) in _BETWEEN.sub("", page)


def own_sentences(chunks: StoredChunks, names: Sequence[str], count: int) -> list[str]:
    """Some sentences of each document, drawn by a fixed seed."""
    rng, found = random.Random(0), []
    for name in names:
        sentences = [" ".join(one.split()) for one in _SENTENCE.findall(chunks.document(name).text)]
        long = [one for one in sentences if 8 <= len(one.split()) <= 30]
        found += rng.sample(long, min(count, len(long)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.citations")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("WORKBENCH_DATA", "../shared/data")) / "rag")
    parser.add_argument("--files", type=int, default=6, help="how many of the PDFs, smallest first")
    parser.add_argument("--sentences", type=int, default=10, help="of each PDF")
    arguments = parser.parse_args()
    folder = arguments.data / "financebench" / "pdfs"
    paths = sorted(folder.glob("*.pdf"), key=lambda path: path.stat().st_size)[: arguments.files]
    if not paths:
        print(f"The development data is not at {arguments.data}: nothing measured.")
        return
    asked = [json.loads(line) for line in (arguments.data / "financebench" / "questions.jsonl").read_text().splitlines()]
    questions = [row["question"] for row in asked if row["doc_name"] in {path.stem for path in paths}]
    with tempfile.TemporaryDirectory(prefix="workbench-bench-") as home:
        settings = load_settings(home=Path(home))
        with open_knowledge(settings, roles=local_roles(settings)) as knowledge:
            knowledge.add(paths, "filings")
            with knowledge.database.session() as session:
                identifier = find_collection(session, knowledge.user_id, "filings").id
            chunks = StoredChunks(knowledge.database, knowledge.store, identifier, raw=settings.storage.buckets.kb_raw)
            questions += own_sentences(chunks, [path.name for path in paths], arguments.sentences)
            print(f"{len(paths)} PDFs, {len(questions)} questions")
            for writer in WRITERS:
                answers = [ask(question, "filings", options=AnswerOptions(writer=writer), knowledge=knowledge) for question in questions]
                cited = [one for answer in answers for sentence in answer.sentences for one in sentence.citations]
                wrong = [one for one in cited if not (stored(one, chunks) and printed(one, folder))]
                for one in wrong:
                    print(f"  wrong: {one.found.passage.document} page {one.page} {one.start}-{one.end}: {one.text[:120]!r}")
                share = 100 * (1 - len(wrong) / len(cited)) if cited else float("nan")
                abstained = sum(answer.abstained for answer in answers)
                print(f"{writer:8} {len(cited)} citations, {share:.1f} % right  (must be 100); {abstained} answers abstained", flush=True)


if __name__ == "__main__":
    main()
