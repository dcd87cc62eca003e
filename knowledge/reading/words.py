"""Words of a PDF page with their boxes, from pdfium, upright whatever the page's or the text's rotation."""

from __future__ import annotations

import ctypes
import math
import re
from dataclasses import dataclass

import pypdfium2 as pdfium
import pypdfium2.raw as raw

HYPHEN = "\ufffe"  # pdfium's mark for a hyphen that breaks a word at the end of a line
_HEAVY = re.compile("bold|black|heavy|-demi|-medi\\b|cmbx")
# Control characters are glyphs that the font does not explain; most are its space.
_SPACES = frozenset(" \u00a0\u2002\u2003\u2009\u200a\u3000\x7f") | frozenset(map(chr, range(32)))


@dataclass(slots=True)
class Word:
    """A word on the page.

    Attributes:
        text: its characters; a trailing ``HYPHEN`` says that pdfium saw it broken at the end of a line.
        x0, y0, x1, y1: box in points, y downwards, in the upright reading frame (layout's).
        size: height of the font in points as drawn; bold: whether the font is heavy.
        box: (left, top, right, bottom) in points of the page as shown, y downwards (a viewer's).
        line: number of the line that pdfium put it in.
    """

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    size: float
    bold: bool
    box: tuple[float, float, float, float]
    line: int


def page_words(page: pdfium.PdfPage) -> list[Word]:
    """Words of ``page`` in pdfium's order."""
    textpage = page.get_textpage()
    try:
        return _words(page, textpage)
    finally:
        textpage.close()


def _words(page: pdfium.PdfPage, textpage: pdfium.PdfTextPage) -> list[Word]:
    handle = textpage.raw
    count = raw.FPDFText_CountChars(handle)
    if count <= 0:
        return []
    unicode_at = raw.FPDFText_GetUnicode
    characters = [unicode_at(handle, i) for i in range(count)]
    to_page = _Frame(page)
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    loose = raw.FS_RECTF()

    def box(index: int) -> tuple[float, float, float, float]:
        # The loose box has the font's height, whatever the letter: baselines and sizes compare.
        if raw.FPDFText_GetLooseCharBox(handle, index, loose) and loose.right > loose.left and loose.top > loose.bottom:
            return loose.left, loose.bottom, loose.right, loose.top
        raw.FPDFText_GetCharBox(handle, index, left, right, bottom, top)
        return left.value, bottom.value, right.value, top.value

    words: list[Word] = []
    angles: list[int] = []
    line = 0
    begin = -1
    for i in range(count + 1):
        symbol = _character(characters[i]) if i < count else " "
        if symbol not in _SPACES:
            if begin < 0:
                begin = i
            continue
        if begin >= 0:
            first, last = box(begin), box(i - 1)
            bold = raw.FPDFText_GetFontWeight(handle, begin) >= 600 or bool(_HEAVY.search(_font_name(handle, begin)))
            angle = raw.FPDFText_GetCharAngle(handle, begin)
            quarter = (round(angle / (math.pi / 2)) + to_page.quarters) % 4 if angle >= 0 else to_page.quarters % 4
            if last[3] - last[1] > 1.4 * (first[3] - first[1]):  # a ligature of another font
                last = (last[0], first[1], last[2], first[3])
            elif first[3] - first[1] > 1.4 * (last[3] - last[1]):
                first = (first[0], last[1], first[2], last[3])
            edges = (min(first[0], last[0]), min(first[1], last[1]), max(first[2], last[2]), max(first[3], last[3]))
            text = _join(characters[begin:i])
            words.append(Word(text, *edges, 0.0, bold, to_page.shown(edges), line))
            angles.append(quarter)
            begin = -1
        if symbol in "\r\n" and i < count and (symbol == "\n" or i + 1 >= count or characters[i + 1] != 10):
            line += 1
    _upright(words, angles, to_page)
    return words


_name_buffer = ctypes.create_string_buffer(96)
_flags = ctypes.c_int()


def _font_name(handle: object, index: int) -> str:
    length = raw.FPDFText_GetFontInfo(handle, index, _name_buffer, 96, _flags)
    return _name_buffer.value.decode("latin-1").lower() if 0 < length <= 96 else ""


def _character(code: int) -> str:
    return chr(code) if code <= 0x10FFFF else "\ufffd"


def _join(codes: list[int]) -> str:
    text = "".join(_character(code) for code in codes)
    text = text[:-1].replace(HYPHEN, "") + text[-1:]  # in the middle of a word it is a ligature's seam
    if any(0xD800 <= code <= 0xDFFF for code in codes):  # pdfium may give the halves of a surrogate pair
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


class _Frame:
    """From the page's own coordinates to those of the page as shown, with y downwards."""

    def __init__(self, page: pdfium.PdfPage) -> None:
        x0, y0, x1, y1 = page.get_cropbox()  # pyright: ignore[reportGeneralTypeIssues]
        self.left, self.bottom, self.right, self.top = min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
        self.quarters = (page.get_rotation() // 90) % 4

    def shown(self, edges: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        x0, y0, x1, y1 = edges
        if self.quarters == 0:
            return x0 - self.left, self.top - y1, x1 - self.left, self.top - y0
        if self.quarters == 1:
            return y0 - self.bottom, x0 - self.left, y1 - self.bottom, x1 - self.left
        if self.quarters == 2:
            return self.right - x1, y0 - self.bottom, self.right - x0, y1 - self.bottom
        return self.top - y1, self.right - x1, self.top - y0, self.right - x0


def _upright(words: list[Word], angles: list[int], frame: _Frame) -> None:
    """Put the words into the frame in which most of them read from left to right."""
    if not words:
        return
    votes = [0, 0, 0, 0]
    for word, quarter in zip(words, angles, strict=True):
        votes[quarter] += len(word.text)
    turn = votes.index(max(votes))
    width = max(frame.right - frame.left, frame.top - frame.bottom) + 1.0
    for word in words:
        x0, y0, x1, y1 = word.box
        if turn == 1:  # reads downwards on the page as shown: turn it back
            x0, y0, x1, y1 = y0, width - x1, y1, width - x0
        elif turn == 2:
            x0, y0, x1, y1 = width - x1, width - y1, width - x0, width - y0
        elif turn == 3:
            x0, y0, x1, y1 = width - y1, x0, width - y0, x1
        word.x0, word.y0, word.x1, word.y1 = x0, y0, x1, y1
        word.size = y1 - y0
