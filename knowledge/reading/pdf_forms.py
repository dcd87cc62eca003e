"""Form fields and notes of a PDF page: what is filled in or ticked is read where it stands, notes are told."""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from knowledge.reading.builder import Builder
from knowledge.reading.words import Frame, Word

Box = tuple[float, float, float, float]
_HIDDEN = 2 | 32  # annotation flags: hidden, not on a screen
_PASSWORD = 1 << 13
_PLAIN = (raw.FPDF_FORMFIELD_TEXTFIELD, raw.FPDF_FORMFIELD_COMBOBOX, raw.FPDF_FORMFIELD_LISTBOX)
_TICKED = (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON)
_NOTES = (
    raw.FPDF_ANNOT_TEXT, raw.FPDF_ANNOT_HIGHLIGHT, raw.FPDF_ANNOT_UNDERLINE, raw.FPDF_ANNOT_SQUIGGLY, raw.FPDF_ANNOT_STRIKEOUT,
    raw.FPDF_ANNOT_CARET, raw.FPDF_ANNOT_SQUARE, raw.FPDF_ANNOT_CIRCLE, raw.FPDF_ANNOT_INK,
)  # fmt: skip
MOST = 2000  # annotations of a page


@dataclass(frozen=True)
class Filled:
    """A form field: where it stands on the page as shown, and what it shows."""

    box: Box
    text: str
    ticks: bool


def form_of(document: pdfium.PdfDocument, builder: Builder) -> Any:
    """The document's form, to be opened before its pages are; None where it has none. XFA forms are named."""
    kind = raw.FPDF_GetFormType(document)
    if kind in (raw.FORMTYPE_XFA_FULL, raw.FORMTYPE_XFA_FOREGROUND):
        builder.warn("The PDF holds an XFA form, whose own fields were not read. Print it to a new PDF and upload that.")
    if kind == raw.FORMTYPE_NONE:
        return None
    try:
        document.init_forms()
    except pdfium.PdfiumError:
        builder.warn("The PDF's form could not be opened: the values of its fields may be missing.")
    return document.formenv


def fields_of(page: pdfium.PdfPage, form: Any, builder: Builder, number: int) -> list[Filled]:
    """What the page's form fields show. Hidden values and the notes in the margins go to the builder's warnings."""
    found: list[Filled] = []
    frame = Frame(page)
    rectangle = raw.FS_RECTF()
    for index in range(min(raw.FPDFPage_GetAnnotCount(page), MOST)):
        annotation = raw.FPDFPage_GetAnnot(page, index)
        if not annotation:
            continue
        kind = raw.FPDFAnnot_GetSubtype(annotation)
        if kind == raw.FPDF_ANNOT_WIDGET and form is not None:
            if raw.FPDFAnnot_GetRect(annotation, rectangle):
                edges = (rectangle.left, min(rectangle.bottom, rectangle.top), rectangle.right, max(rectangle.bottom, rectangle.top))
                _add_field(found, annotation, form, frame.shown(edges), builder, number)
        elif kind in _NOTES:
            builder.leave_out("a comment on the page", _string(raw.FPDFAnnot_GetStringValue, annotation, b"Contents"), page=number)
        raw.FPDFPage_CloseAnnot(annotation)
    return found


def _add_field(found: list[Filled], annotation: Any, form: Any, box: Box, builder: Builder, number: int) -> None:
    kind = raw.FPDFAnnot_GetFormFieldType(form, annotation)
    flags = raw.FPDFAnnot_GetFormFieldFlags(form, annotation)
    if kind in _TICKED:
        ticked = bool(raw.FPDFAnnot_IsChecked(form, annotation))
        if not raw.FPDFAnnot_GetFlags(annotation) & _HIDDEN:
            found.append(Filled(box, "☑" if ticked else "☐", True))
    elif kind in _PLAIN and not (kind == raw.FPDF_FORMFIELD_TEXTFIELD and flags & _PASSWORD):
        value = _string(raw.FPDFAnnot_GetFormFieldValue, form, annotation)
        if raw.FPDFAnnot_GetFlags(annotation) & _HIDDEN:
            builder.leave_out("a hidden form field", value, page=number)
        elif value.strip():
            found.append(Filled(box, value, False))


def _string(call: Any, *arguments: Any) -> str:
    length = call(*arguments, None, 0)
    if not 2 < length < 1 << 20:
        return ""
    buffer = (ctypes.c_ushort * (length // 2 + 1))()
    call(*arguments, buffer, length)
    return bytes(buffer)[: length - 2].decode("utf-16-le", "replace")


def with_fields(words: list[Word], fields: list[Filled]) -> list[Word]:
    """Words with the fields that they do not show yet: boxes as signs in the place of their glyphs, values in their places."""
    out = list(words)
    line = max((word.line for word in words), default=0)
    for field in fields:
        left, top, _, bottom = field.box
        inside = [word for word in out if _within(word.box, field.box)]
        if field.ticks:
            if any(len(word.text) > 2 for word in inside):
                continue
            out = [word for word in out if word not in inside]
        elif _letters(field.text) in _letters(" ".join(word.text for word in inside)) or inside:
            continue
        lines = [part for part in re.split(r"[\r\n]+", field.text) if part.strip()]
        height = min(12.0, (bottom - top) / max(1, len(lines)))
        for position, part in enumerate(lines):
            line += 1
            at = left
            y = (top + bottom) / 2 - height / 2 if len(lines) == 1 else top + position * height
            for text in part.split():
                width = 0.5 * height * len(text)
                box = (at, y, at + width, y + height)
                out.append(Word(text, *box, height, False, box, line))
                at += width + 0.3 * height
    return out


def _within(inner: Box, outer: Box) -> bool:
    x, y = (inner[0] + inner[2]) / 2, (inner[1] + inner[3]) / 2
    return outer[0] - 1 <= x <= outer[2] + 1 and outer[1] - 1 <= y <= outer[3] + 1


def _letters(text: str) -> str:
    return re.sub(r"\s+", "", text)
