"""PDF files: pages and words by pdfium, metadata and what pdfium cannot open by pypdf, scanned pages by OCR."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from infra.errors import CorruptFile, PasswordProtected, TooLarge
from knowledge.reading.builder import Builder
from knowledge.reading.document import Limits
from knowledge.reading.kinds import PDF, File
from knowledge.reading.layout import lay_out
from knowledge.reading.letters import LIKELY, UNLIKELY, likeness
from knowledge.reading.paragraphs import PageRows, Row, as_row, write_pages
from knowledge.reading.pdf_forms import fields_of, form_of, with_fields
from knowledge.reading.pdf_visibility import seen_words
from knowledge.reading.words import Word

Progress = Callable[[int, int, str], None]
FEW_WORDS = 5
_UNREADABLE = "{} text in a font that does not say which letters it shows; what was read there is probably wrong."


def read_pdf(path: File, limits: Limits, progress: Progress, skip: frozenset[int] = frozenset()) -> dict[str, Any]:
    """Read all pages; ``skip`` names pages (from 1) at which an earlier attempt hung or crashed.

    Raises:
        PasswordProtected, CorruptFile, TooLarge.
    """
    builder = Builder(limits)
    try:
        document = pdfium.PdfDocument(path if isinstance(path, Path) else path.getvalue())
        count = len(document)
    except pdfium.PdfiumError as error:
        if "password" in str(error).lower():
            raise PasswordProtected("The PDF is password-protected. Remove the password and upload it again.") from error
        return _read_by_pypdf(path, limits, progress, builder)
    if count == 0:
        return _read_by_pypdf(path, limits, progress, builder)
    if count > limits.max_pages:
        raise TooLarge(f"The PDF has {count:,} pages; at most {limits.max_pages:,} are read. Split it and upload the parts.")
    _metadata(document, builder)
    form = form_of(document, builder)
    pages = _pages(document, form, path, limits, progress, skip, builder)
    write_pages(pages, builder)
    _conclude(pages, builder)
    return builder.result(PDF, paged=True)


def _pages(
    document: pdfium.PdfDocument,
    form: Any,
    path: File,
    limits: Limits,
    progress: Progress,
    skip: frozenset[int],
    builder: Builder,
) -> list[PageRows]:
    pages: list[PageRows] = []
    pictures: list[int] = []
    unreadable: list[int] = []
    layers: list[int] = []
    count = len(document)
    for number in range(1, count + 1):
        progress(number, count, "reading")
        if number in skip:
            builder.warn(f"Page {number} exceeded the time or memory limit and was skipped.")
            pages.append(PageRows([]))
            continue
        try:
            found = _page(document, number - 1, form, builder)
            rows, picture = found.rows, found.picture
            unreadable += [number] if found.unreadable else []
            layers += [number] if found.layer else []
        except Exception as error:
            rows, picture = _page_by_pypdf(path, number - 1), False
            if not rows:
                builder.warn(f"Page {number} is damaged and was skipped ({type(error).__name__}).")
        pages.append(PageRows(rows))
        if picture:
            pictures.append(number)
    if layers:
        builder.warn(f"{_some_pages(layers)} text that is an invisible layer over a picture, made by text recognition; it may have errors.")
    if unreadable and limits.ocr:
        _recognise(document, pages, unreadable, limits, progress, builder, unreadable=True)
    elif unreadable:
        builder.warn(_UNREADABLE.format(_some_pages(unreadable)))
    if pictures and limits.ocr:
        _recognise(document, pages, pictures, limits, progress, builder)
    elif pictures:
        builder.warn(f"{_some_pages(pictures)} only a picture of text; recognition is switched off.")
    return pages


@dataclass(frozen=True)
class _Found:
    """What was found on a page: its rows, whether it is (mostly) a picture that should be recognised, whether its letters are not
    those that it shows, and whether its text is an invisible layer over a picture."""

    rows: list[Row]
    picture: bool
    unreadable: bool
    layer: bool


def _page(document: pdfium.PdfDocument, index: int, form: Any, builder: Builder) -> _Found:
    page = document[index]
    try:
        fields = fields_of(page, form, builder, index + 1)
        if _has_fields(page) and raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY) == raw.FLATTEN_SUCCESS:
            # Values of form fields and notes written on the page become its text.
            page.close()
            page = document[index]
        seen = seen_words(page)
        for why, words in seen.hidden:
            builder.leave_out(why, words, page=index + 1)
        rows = [as_row(line) for line in lay_out(with_fields(seen.words, fields))]
        text = " ".join(row.text for row in rows)
        unreadable = _unreadable(seen.words)
        return _Found(rows, not unreadable and _is_picture(page, text), unreadable, seen.layer)
    finally:
        page.close()


def _unreadable(words: list[Word]) -> bool:
    """Whether the page's text is not what it shows: its fonts do not say which letters they hold, and the letters are no language's."""
    undecoded = [word.text for word in words if word.undecoded]
    if sum(map(len, undecoded)) >= 20:
        alike = likeness(" ".join(undecoded))
        meaningless = re.findall("[\ufffd\ue000-\uf8ff\x00-\x08\x0e-\x1f\x80-\x9f]", "".join(undecoded))
        return (alike is not None and alike < LIKELY) or (alike is None and len(meaningless) > 10)
    alike = likeness(" ".join(word.text for word in words))
    return alike is not None and len(words) >= 20 and alike < 0.15


def _has_fields(page: pdfium.PdfPage) -> bool:
    for index in range(min(raw.FPDFPage_GetAnnotCount(page), 2000)):
        annotation = raw.FPDFPage_GetAnnot(page, index)
        if annotation:
            subtype = raw.FPDFAnnot_GetSubtype(annotation)
            raw.FPDFPage_CloseAnnot(annotation)
            if subtype in (raw.FPDF_ANNOT_WIDGET, raw.FPDF_ANNOT_FREETEXT, raw.FPDF_ANNOT_STAMP):
                return True
    return False


def _is_picture(page: pdfium.PdfPage, text: str) -> bool:
    """Few words (or characters without meaning) where there are pictures or drawn letters."""
    words = len(re.findall(r"[^\W_]+", text))
    meaningless = len(re.findall("[\ufffd\ue000-\uf8ff\x00-\x08\x0e-\x1f\x80-\x9f]", text))
    if words >= 40 and meaningless < 0.3 * len(text):
        return False
    width, height = page.get_size()
    area, paths = 0.0, 0
    for number, item in enumerate(page.get_objects(max_depth=3)):
        if item.type == raw.FPDF_PAGEOBJ_IMAGE:
            left, bottom, right, top = item.get_bounds()
            area += max(0.0, min(right, width) - max(left, 0.0)) * max(0.0, min(top, height) - max(bottom, 0.0))
        elif item.type == raw.FPDF_PAGEOBJ_PATH:
            paths += 1
        if number > 5000:
            break
    covered = area / max(width * height, 1.0)
    if meaningless >= 0.3 * max(len(text), 1):
        return True
    return covered > 0.5 or (words < FEW_WORDS and (covered > 0.05 or paths >= 20))


def _recognise(
    document: pdfium.PdfDocument,
    pages: list[PageRows],
    numbers: list[int],
    limits: Limits,
    progress: Progress,
    builder: Builder,
    *,
    unreadable: bool = False,
) -> None:
    """Replace the rows of pages by those that text recognition finds, where it finds more (or, of ``unreadable``, likelier letters)."""
    from knowledge.reading.ocr import Recogniser, unavailable

    if reason := unavailable():
        builder.warn(
            _UNREADABLE.format(_some_pages(numbers))
            if unreadable
            else f"{_some_pages(numbers)} only a picture of text, and nothing to recognise it with: {reason}"
        )
        return
    recogniser = Recogniser()
    done: list[int] = []
    for number in numbers[: limits.ocr_pages]:
        progress(number, len(pages), "recognising")
        page = document[number - 1]
        try:
            rows = [as_row(line) for line in lay_out(recogniser.words(page))]
        except Exception as error:
            builder.warn(f"Page {number} is scanned and text recognition failed ({type(error).__name__}).")
            continue
        finally:
            page.close()
        before, after = (sum(len(row.text) for row in some) for some in (pages[number - 1].rows, rows))
        if unreadable:
            read = likeness(" ".join(row.text for row in rows))
            held = likeness(" ".join(row.text for row in pages[number - 1].rows)) or 0.0
            better = after > 0.3 * before and (read is None or (read > UNLIKELY and read > held + 0.1))
        else:
            better = after > 1.2 * before
        if better:
            pages[number - 1] = PageRows(rows, recognised=True)
            done.append(number)
    if unreadable:
        if done:
            builder.warn(
                f"{_some_pages(done)} text in a font that does not say which letters it shows; the text was recognised (OCR) and may have "
                "errors."
            )
        if left := [number for number in numbers if number not in done and likeness(" ".join(r.text for r in pages[number - 1].rows))]:
            builder.warn(_UNREADABLE.format(_some_pages(left)))
    elif done:
        builder.warn(f"{_some_pages(done)} only a picture of text; the text was recognised (OCR) and may have errors.")
    if len(numbers) > limits.ocr_pages:
        builder.warn(
            f"Only the first {limits.ocr_pages} scanned pages were recognised; {len(numbers) - limits.ocr_pages} more have no text."
        )


def _some_pages(numbers: list[int]) -> str:
    listed = ", ".join(map(str, numbers[:10])) + (f" and {len(numbers) - 10} more" if len(numbers) > 10 else "")
    return f"Page {listed} holds" if len(numbers) == 1 else f"Pages {listed} hold"


def _conclude(pages: list[PageRows], builder: Builder) -> None:
    empty = [index + 1 for index, page in enumerate(pages) if not any(row.text.strip() for row in page.rows)]
    if len(empty) == len(pages):
        builder.warn("No text found in the document (it may be blank or a drawing).")
    elif empty:
        builder.warn(f"{_some_pages(empty)} no text.")


def _metadata(document: pdfium.PdfDocument, builder: Builder) -> None:
    try:
        found = document.get_metadata_dict(skip_empty=True)
    except Exception:
        return
    builder.metadata = {key.lower(): " ".join(str(value).split())[:500] for key, value in found.items() if str(value).strip()}
    builder.title = builder.metadata.get("title")
    attachments = document.count_attachments()
    if attachments > 0:
        names = [document.get_attachment(i).get_name() for i in range(min(attachments, 5))]
        builder.metadata["attachments"] = ", ".join(names)[:500]
        builder.warn(f"The PDF has {attachments} attached file(s) that were not read: {', '.join(names)[:200]}.")


def _read_by_pypdf(path: File, limits: Limits, progress: Progress, builder: Builder) -> dict[str, Any]:
    """What pdfium cannot open, pypdf sometimes repairs."""
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    from pypdf import PdfReader

    try:
        reader = PdfReader(path, strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise PasswordProtected("The PDF is password-protected. Remove the password and upload it again.")
        count = len(reader.pages)
    except PasswordProtected:
        raise
    except Exception as error:
        raise CorruptFile(
            "The PDF is damaged: neither its pages nor its structure could be read. Try opening it in a viewer and saving it again."
        ) from error
    if count == 0:
        raise CorruptFile("The PDF is damaged: it has no pages.")
    if count > limits.max_pages:
        raise TooLarge(f"The PDF has {count:,} pages; at most {limits.max_pages:,} are read. Split it and upload the parts.")
    pages = []
    for number, page in enumerate(reader.pages, 1):
        progress(number, count, "reading")
        try:
            pages.append(PageRows(_rows_of(page.extract_text())))
        except Exception as error:
            builder.warn(f"Page {number} is damaged and was skipped ({type(error).__name__}).")
            pages.append(PageRows([]))
    if not any(page.rows for page in pages):
        raise CorruptFile("The PDF is damaged: no text could be recovered.")
    builder.warn("The PDF was damaged and has been repaired; check that nothing is missing.")
    write_pages(pages, builder)
    _conclude(pages, builder)
    return builder.result(PDF, paged=True)


def _page_by_pypdf(path: File, index: int) -> list[Row]:
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    from pypdf import PdfReader

    try:
        return _rows_of(PdfReader(path, strict=False).pages[index].extract_text())
    except Exception:
        return []


def _rows_of(text: str) -> list[Row]:
    return [
        Row([line.strip()], 0.0, 12.0 * index, 7.0 * len(line), 12.0 * index + 10.0, 10.0, False, (0.0, 560.0))
        for index, line in enumerate(text.splitlines())
        if line.strip()
    ]
