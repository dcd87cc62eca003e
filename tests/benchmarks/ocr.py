"""Ten pages of the FinanceBench PDFs as pictures: share of the words that OCR finds (must be >= .95, aim .99), and seconds a page
on two cores (must be <= 6, aim 3).

    python -m tests.benchmarks.ocr [--data DIR] [--pages 10]

Pages are drawn at the reader's own resolution, so what is compared is what people send as scans; the words are those of
the page's text layer. Pages are taken evenly from all documents, those with fewer than 150 words passed over.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pypdfium2 as pdfium

from knowledge.parsing_evaluation import word_recall
from knowledge.reading.ocr import Recogniser, unavailable

FEWEST_WORDS = 150


def pages(folder: Path, count: int) -> Iterator[tuple[str, int, pdfium.PdfPage]]:
    """A page of each document in turn, from its middle on."""
    found = 0
    for path in sorted(folder.glob("*.pdf")):
        document = pdfium.PdfDocument(path)
        for number in range(len(document) // 2, len(document)):
            page = document[number]
            if len(page.get_textpage().get_text_range().split()) >= FEWEST_WORDS:
                yield path.stem, number + 1, page
                found += 1
                break
        if found == count:
            return


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ocr")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("WORKBENCH_DATA", "../shared/data")) / "rag")
    parser.add_argument("--pages", type=int, default=10)
    arguments = parser.parse_args()
    if why := unavailable():
        print(f"Pages cannot be recognised here: {why} Nothing measured.")
        return
    recogniser, recalls, seconds = Recogniser(), [], []
    for name, number, page in pages(arguments.data / "financebench" / "pdfs", arguments.pages):
        if not recalls:
            recogniser.words(page)  # loads the models
        began = time.perf_counter()
        text = " ".join(word.text for word in recogniser.words(page))
        seconds.append(time.perf_counter() - began)
        recalls.append(word_recall(text, page.get_textpage().get_text_range()))
        print(f"{name:40} page {number:4}  recall {recalls[-1]:.3f}  {seconds[-1]:5.1f} s", flush=True)
    if not recalls:
        print(f"The development data is not at {arguments.data}: nothing measured.")
        return
    print(f"word recall, mean of {len(recalls)}: {sum(recalls) / len(recalls):.4f}  (must be >= .95, aim .99)")
    print(f"seconds a page: {sum(seconds) / len(seconds):.2f}, {os.cpu_count()} processors  (must be <= 6, aim 3)")


if __name__ == "__main__":
    main()
