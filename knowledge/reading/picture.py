"""A page of a PDF as a picture, with a quotation marked on it. Rendered in a process of its own, within limits.

What parses a stranger's file does it where it can hurt nothing; see :mod:`knowledge.reading.child`.
"""

from __future__ import annotations

import difflib
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.errors import CorruptFile, NotFound, Timeout

if TYPE_CHECKING:
    from knowledge.reading.words import Word

ROOT = Path(__file__).resolve().parents[2]
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
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from knowledge.reading.picture import main; main()"
    with tempfile.TemporaryDirectory(prefix="picture-") as folder:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-B", "-c", code, str(path), str(page), str(width)],
                input=quote.encode(),
                capture_output=True,
                timeout=SECONDS,
                cwd=folder,
                env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": folder, "TMPDIR": folder, "MALLOC_ARENA_MAX": "2"},
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Timeout(f"Page {page} takes too long to draw.") from error
    if done.returncode == NO_PAGE:
        raise NotFound(f"The document has no page {page}.")
    if done.returncode or not done.stdout.startswith(b"\x89PNG"):
        raise CorruptFile(f"Page {page} cannot be shown.")
    return done.stdout


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
    _confine()
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

    from knowledge.reading.words import page_words

    document = pdfium.PdfDocument(path)
    if not 1 <= number <= len(document):
        return None
    page = document[number - 1]
    scale = min(4.0, width / max(1.0, page.get_width()))
    picture: Any = page.render(scale=scale, may_draw_forms=False)  # pyright: ignore[reportArgumentType] - its annotation says int
    picture = picture.to_pil().convert("RGB")
    words = page_words(page)
    marks = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(marks)
    for row in marked(words, quote):
        left, top, right, bottom = (scale * value for value in words[row].box)
        pen.rectangle((left - 2, top - 1, right + 2, bottom + 1), fill=MARK)
    picture = Image.alpha_composite(picture.convert("RGBA"), marks).convert("RGB")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _confine() -> None:
    try:
        import resource
    except ImportError:
        return
    for name, limit in (("RLIMIT_DATA", MEMORY_MB << 20), ("RLIMIT_FSIZE", 0), ("RLIMIT_CORE", 0), ("RLIMIT_CPU", SECONDS)):
        if (number := getattr(resource, name, None)) is not None:
            ceiling = resource.getrlimit(number)[1]
            limit = limit if ceiling == resource.RLIM_INFINITY else min(limit, ceiling)
            resource.setrlimit(number, (limit, limit))
