"""A page of a PDF as a picture, with a quotation marked on it. Rendered in a process of its own, within limits.

What parses a stranger's file does it where it can hurt nothing; see :mod:`knowledge.reading.child`.
"""

from __future__ import annotations

import difflib
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.confined import confine, run_confined
from infra.errors import CorruptFile, NotFound, Timeout

if TYPE_CHECKING:
    from knowledge.reading.words import Word

WIDTH = 1100
"""Pixels."""
SECONDS = 20
MEMORY_MB = 1024
MARK = (255, 196, 0, 96)
NO_PAGE = 3  # exit code


def page_picture(path: Path, page: int, quote: str = "", *, width: int = WIDTH) -> bytes:
    """PNG of a page (from 1), with the words of ``quote`` marked where they stand on it. Blocks.

    Raises:
        NotFound: the document has no such page.
        CorruptFile: it cannot be shown.
        Timeout: it takes too long.
    """
    try:
        done = run_confined("knowledge.reading.picture:main", str(path), str(page), str(width), seconds=SECONDS, given=quote.encode())
    except Timeout as error:
        raise Timeout(f"Rendering page {page} timed out.") from error
    if done.status == NO_PAGE:
        raise NotFound(f"The document has no page {page}.")
    if done.status or not done.output.startswith(b"\x89PNG"):
        raise CorruptFile(f"Page {page} cannot be shown.")
    return done.output


def marked(words: list[Word], quote: str) -> list[int]:
    """Which of a page's words the quotation is: its longest runs of the same words, wherever the page's order puts them."""
    ours, theirs = [_plain(word.text) for word in words], [_plain(text) for text in quote.split()]
    theirs = [text for text in theirs if text]
    if not theirs:
        return []
    matcher = difflib.SequenceMatcher(None, ours, theirs, autojunk=False)
    runs = matcher.get_matching_blocks()
    least = min(3, len(theirs))  # shorter runs are words that stand everywhere
    return [at for run in runs if run.size >= least for at in range(run.a, run.a + run.size)]


def _plain(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


def main() -> None:
    """The child: draws, and writes the PNG to its standard output."""
    confine(memory_mb=MEMORY_MB, seconds=SECONDS)
    path, page, width = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    quote = sys.stdin.buffer.read().decode("utf-8", "replace")
    channel = os.dup(1)
    os.dup2(2, 1)
    drawn = _draw(path, page, quote, width)
    if drawn is None:
        os._exit(NO_PAGE)
    with os.fdopen(channel, "wb") as output:
        output.write(drawn)
    os._exit(0)  # no finalisers: pdfium's of a broken document may crash after all is said


def _draw(path: Path, number: int, quote: str, width: int) -> bytes | None:
    import pypdfium2 as pdfium
    from PIL import Image, ImageDraw

    from knowledge.reading.pdf_visibility import seen_words

    document = pdfium.PdfDocument(path)
    if not 1 <= number <= len(document):
        return None
    page = document[number - 1]
    scale = min(4.0, width / max(1.0, page.get_width()))
    picture: Any = page.render(scale=scale, may_draw_forms=False)  # pyright: ignore[reportArgumentType] - its annotation says int
    picture = picture.to_pil().convert("RGB")
    words = seen_words(page).words
    marks = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(marks)
    for row in marked(words, quote):
        left, top, right, bottom = (scale * value for value in words[row].box)
        pen.rectangle((left - 2, top - 1, right + 2, bottom + 1), fill=MARK)
    picture = Image.alpha_composite(picture.convert("RGBA"), marks).convert("RGB")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
