"""Which words of a PDF page a reader sees. What cannot be told from the words alone is looked for on the page as it is drawn."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from knowledge.reading.words import Frame, Word, all_words

SMALLEST = 2.0  # points
NEARLY_WHITE = 232  # of 255
CONTRAST = 28  # of 255, between the lightest and the darkest point of a word that is seen
MOST_OBJECTS, MOST_COVERS = 4000, 300
LONGEST_SIDE = 2400  # pixels
INVISIBLE = "drawn invisibly"
STRUCK = "struck through"
Box = tuple[float, float, float, float]


@dataclass
class Seen:
    """Words of a page.

    Attributes:
        words: those that a reader sees, in pdfium's order.
        hidden: the others, ``(why, words)``.
        layer: whether its text is an invisible layer over a picture (made by text recognition), which is read.
    """

    words: list[Word]
    hidden: list[tuple[str, str]] = field(default_factory=list)
    layer: bool = False


def seen_words(page: pdfium.PdfPage) -> Seen:
    """Words of ``page``, divided into those that a reader sees and the others."""
    textpage = page.get_textpage()
    try:
        words = all_words(page, textpage)
        if not words:
            return Seen([])
        return _divided(page, words)
    finally:
        textpage.close()


def _divided(page: pdfium.PdfPage, words: list[Word]) -> Seen:
    width, height = page.get_size()
    drawn = _Drawn(page)
    reasons: list[str] = [""] * len(words)
    doubtful: list[int] = []
    layer = False
    kinds: dict[int, tuple[str, bool]] = {}
    for number, word in enumerate(words):
        left, top, right, bottom = word.box
        x, y = (left + right) / 2, (top + bottom) / 2
        if not (-1 <= x <= width + 1 and -1 <= y <= height + 1):
            reasons[number] = "outside the page"
        elif min(bottom - top, right - left) < SMALLEST and max(bottom - top, right - left) < 1.2 * len(word.text) + 2:
            reasons[number] = "too small to see"
        else:
            if word.made not in kinds:
                kinds[word.made] = _drawn_how(word.made, drawn)
            how, doubt = kinds[word.made]
            if how == INVISIBLE:
                if drawn.pictured(x, y):
                    layer = True
                else:
                    reasons[number] = INVISIBLE
            elif doubt or drawn.covered(word.made, word.box):
                doubtful.append(number)
    if doubtful:
        for number in _not_on_the_picture(page, words, doubtful):
            reasons[number] = "not visible on the page (in the colour of its background, covered, or on a layer that is off)"
    for number in _struck(page, words, drawn):
        reasons[number] = reasons[number] or STRUCK
    hidden: list[tuple[str, str]] = []
    for number, (word, why) in enumerate(zip(words, reasons, strict=True)):
        if not why:
            continue
        if hidden and number and reasons[number - 1] == why:
            hidden[-1] = (why, f"{hidden[-1][1]} {word.text}")
        else:
            hidden.append((why, word.text))
    return Seen([word for word, why in zip(words, reasons, strict=True) if not why], hidden, layer)


def _drawn_how(made: int, drawn: _Drawn) -> tuple[str, bool]:
    """Whether a text object is drawn invisibly, and whether the page must be looked at to tell if it is seen."""
    if not made:
        return "", False
    item = ctypes.cast(made, raw.FPDF_PAGEOBJECT)
    mode = raw.FPDFTextObj_GetTextRenderMode(item)
    if mode in (raw.FPDF_TEXTRENDERMODE_INVISIBLE, raw.FPDF_TEXTRENDERMODE_CLIP):
        return INVISIBLE, False
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    if raw.FPDFPageObj_GetFillColor(item, red, green, blue, alpha) and (
        min(red.value, green.value, blue.value) >= NEARLY_WHITE or alpha.value < 16
    ):
        return "", True
    if not raw.FPDFFont_GetIsEmbedded(raw.FPDFTextObj_GetFont(item)) and made not in drawn.place:
        return "", False  # a font that this machine may not have leaves no trace either
    if made not in drawn.place:
        return "", True  # inside a form of its own, which may be on a layer that is off
    return "", _on_a_layer(item)


def _on_a_layer(item: Any) -> bool:
    buffer = (ctypes.c_ushort * 16)()
    length = ctypes.c_ulong()
    for number in range(min(8, max(0, raw.FPDFPageObj_CountMarks(item)))):
        mark = raw.FPDFPageObj_GetMark(item, number)
        if raw.FPDFPageObjMark_GetName(mark, buffer, 32, length) and length.value == 6 and bytes(buffer)[:4] == "OC".encode("utf-16-le"):
            return True
    return False


class _Drawn:
    """What is drawn on a page: places of its objects in the order of drawing, surfaces and thin lines."""

    def __init__(self, page: pdfium.PdfPage) -> None:
        self.page = page
        self.place: dict[int, int] = {}
        self.lines: list[Box] = []
        self._covers: list[tuple[int, Box]] = []
        self._pictures: list[Box] | None = None
        frame = Frame(page)
        count = raw.FPDFPage_CountObjects(page)
        for number in range(count if count <= MOST_OBJECTS else 0):
            item = raw.FPDFPage_GetObject(page, number)
            kind = raw.FPDFPageObj_GetType(item)
            if kind == raw.FPDF_PAGEOBJ_TEXT:
                self.place[ctypes.cast(item, ctypes.c_void_p).value or 0] = number
            elif kind in (raw.FPDF_PAGEOBJ_PATH, raw.FPDF_PAGEOBJ_IMAGE) and (bounds := _bounds(item)) is not None:
                left, top, right, bottom = frame.shown(bounds)
                if kind == raw.FPDF_PAGEOBJ_PATH and bottom - top < 2.2 and right - left > 3:
                    self.lines.append((left, top, right, bottom))
                elif right - left > 4 and bottom - top > 4 and (kind == raw.FPDF_PAGEOBJ_IMAGE or _filled(item)):
                    self._covers.append((number, (left, top, right, bottom)))
        if count > MOST_OBJECTS:  # too many to look at each: no word is taken to be in a form of its own
            self.place = _Everywhere()
        self._covers = self._covers[-MOST_COVERS:]

    def covered(self, made: int, box: Box) -> bool:
        """Whether something opaque may be drawn over ``box`` after the text object."""
        if not self._covers:
            return False
        x, y, place = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, self.place.get(made, -1)
        return any(number > place >= 0 and c[0] <= x <= c[2] and c[1] <= y <= c[3] for number, c in self._covers)

    def pictured(self, x: float, y: float) -> bool:
        """Whether a picture stands at a point of the page as shown."""
        if self._pictures is None:
            frame = Frame(self.page)
            found = self.page.get_objects(filter=(raw.FPDF_PAGEOBJ_IMAGE,), max_depth=3)
            self._pictures = [frame.shown(item.get_bounds()) for item, _ in zip(found, range(200), strict=False)]
        return any(left <= x <= right and top <= y <= bottom for left, top, right, bottom in self._pictures)


class _Everywhere(dict[int, int]):
    def __contains__(self, key: object) -> bool:
        return True


_edges = tuple(ctypes.c_float() for _ in range(4))
_fill, _stroke = ctypes.c_int(), ctypes.c_int()


def _bounds(item: Any) -> Box | None:
    left, bottom, right, top = _edges
    return (left.value, bottom.value, right.value, top.value) if raw.FPDFPageObj_GetBounds(item, left, bottom, right, top) else None


def _filled(item: Any) -> bool:
    return bool(raw.FPDFPath_GetDrawMode(item, _fill, _stroke)) and _fill.value != raw.FPDF_FILLMODE_NONE


def _not_on_the_picture(page: pdfium.PdfPage, words: list[Word], doubtful: list[int]) -> Iterator[int]:
    """Which of the doubtful words leave no trace on the page as it is drawn."""
    width, height = page.get_size()
    scale = min(2.0, LONGEST_SIDE / max(width, height, 1.0))
    picture = page.render(scale=scale, may_draw_forms=False).to_numpy()  # pyright: ignore[reportArgumentType] - its annotation says int
    rows, columns = picture.shape[:2]
    for number in doubtful:
        left, top, right, bottom = words[number].box
        inset = 0.15 * (bottom - top)  # a ruling beside the word is not the word
        area = picture[
            max(0, int((top + inset) * scale)) : min(rows, int((bottom - inset) * scale) + 1),
            max(0, int(left * scale)) : min(columns, int(right * scale) + 1),
            :3,
        ]
        if area.size and int((area.max(axis=(0, 1)).astype(int) - area.min(axis=(0, 1)).astype(int)).max()) < CONTRAST:
            yield number


def _struck(page: pdfium.PdfPage, words: list[Word], drawn: _Drawn) -> set[int]:
    """Words that a line runs through: drawn on the page, or marked by an annotation."""
    found: set[int] = set()
    for left, top, right, bottom in drawn.lines[:2000]:
        middle = (top + bottom) / 2
        crossed = [
            number
            for number, word in enumerate(words)
            if word.box[1] < middle < word.box[3]
            and 0.38 <= (middle - word.box[1]) / max(word.box[3] - word.box[1], 0.1) <= 0.72
            and min(right, word.box[2]) - max(left, word.box[0]) >= 0.85 * (word.box[2] - word.box[0])
        ]
        # A line through a chart or between the rows of a table runs on beyond the words that it meets.
        width = right - left
        if (
            crossed
            and max(words[n].box[2] for n in crossed) - min(words[n].box[0] for n in crossed) >= 0.9 * width - 3
            and sum(words[n].box[2] - words[n].box[0] for n in crossed) >= 0.6 * width
        ):
            found.update(crossed)
    for left, top, right, bottom in _strike_annotations(page):
        for number, word in enumerate(words):
            x, y = (word.box[0] + word.box[2]) / 2, (word.box[1] + word.box[3]) / 2
            if left <= x <= right and top <= y <= bottom:
                found.add(number)
    return found


def _strike_annotations(page: pdfium.PdfPage) -> Iterator[Box]:
    frame = Frame(page)
    for index in range(min(raw.FPDFPage_GetAnnotCount(page), 2000)):
        annotation = raw.FPDFPage_GetAnnot(page, index)
        if not annotation:
            continue
        if raw.FPDFAnnot_GetSubtype(annotation) == raw.FPDF_ANNOT_STRIKEOUT:
            points = raw.FS_QUADPOINTSF()
            for number in range(min(raw.FPDFAnnot_CountAttachmentPoints(annotation), 200)):
                if raw.FPDFAnnot_GetAttachmentPoints(annotation, number, points):
                    xs, ys = (points.x1, points.x2, points.x3, points.x4), (points.y1, points.y2, points.y3, points.y4)
                    yield frame.shown((min(xs), min(ys), max(xs), max(ys)))
        raw.FPDFPage_CloseAnnot(annotation)
