"""Words of a PDF page with their boxes, from pdfium, upright whatever the page's or the text's rotation."""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from knowledge.reading.scripts import Part, joined
from knowledge.reading.symbols import glyph, is_symbol_font

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
        made: address of the text object that its first character belongs to; 0 for none.
        undecoded: its font does not tell which letters its glyphs are.
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
    made: int = field(default=0, compare=False)
    undecoded: bool = False


def all_words(page: pdfium.PdfPage, textpage: pdfium.PdfTextPage) -> list[Word]:
    """Words of ``page`` in pdfium's order, whether they are seen or not."""
    handle = textpage.raw
    count = raw.FPDFText_CountChars(handle)
    if count <= 0:
        return []
    unicode_at = raw.FPDFText_GetUnicode
    characters = [unicode_at(handle, i) for i in range(count)]
    to_page = Frame(page)
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
            pieces = _pieces(handle, begin, i)
            if len(pieces) > 1:
                text, edges = _with_scripts(handle, pieces, characters, edges, box, quarter)
            else:
                text = _join(characters[begin:i])
            name = _font_name(handle, begin).rpartition("+")[2]
            if is_symbol_font(name):
                text = "".join(glyph(name, ord(character)) or character for character in text)
            undecoded = raw.FPDFText_HasUnicodeMapError(handle, begin) == 1
            words.append(Word(text, *edges, 0.0, bold, to_page.shown(edges), line, pieces[0][2], undecoded))
            angles.append(quarter)
            begin = -1
        if symbol in "\r\n" and i < count and (symbol == "\n" or i + 1 >= count or characters[i + 1] != 10):
            line += 1
    _upright(words, angles, to_page)
    return words


Box = tuple[float, float, float, float]


def _pieces(handle: object, begin: int, end: int) -> list[tuple[int, int, int]]:
    """Runs of characters of one text object: first, one past the last, address of the object."""
    pieces: list[tuple[int, int, int]] = []
    for i in range(begin, end):
        made = ctypes.cast(raw.FPDFText_GetTextObject(handle, i), ctypes.c_void_p).value or 0
        if pieces and pieces[-1][2] == made:
            pieces[-1] = (pieces[-1][0], i + 1, made)
        else:
            pieces.append((i, i + 1, made))
    return pieces


_origin_x, _origin_y = ctypes.c_double(), ctypes.c_double()


def _with_scripts(
    handle: object, pieces: list[tuple[int, int, int]], characters: list[int], edges: Box, box: Callable[[int], Box], quarter: int
) -> tuple[str, Box]:
    """Text of a word drawn in several steps, what is small and raised or lowered set apart; and its box without them."""
    parts: list[Part] = []
    base: tuple[float, float, Box] | None = None  # height and baseline of what stands on the line
    top, bottom = edges[3], edges[1]
    for number, (first, last, _) in enumerate(pieces):
        edge = box(first)
        height = edge[3] - edge[1]
        raw.FPDFText_GetCharOrigin(handle, first, _origin_x, _origin_y)
        baseline = _origin_y.value
        text = _join(characters[first:last]) if last == pieces[-1][1] else _join([*characters[first:last], 0x20])[:-1]
        script = ""
        if base is not None and quarter == 0 and last - first <= 6 and 0.35 * base[0] < height < 0.85 * base[0]:
            rise = baseline - base[1]
            script = "sup" if rise > 0.12 * base[0] else "sub" if rise < -0.08 * base[0] else ""
        following = _character(characters[pieces[number + 1][0]]) if number + 1 < len(pieces) else ""
        if script == "sup" and following in ("/", "⁄"):  # a fraction
            text, script = (" " if parts and parts[-1][0][-1:].isdigit() else "") + text, ""
        elif script == "sub" and parts and parts[-1][0].endswith(("/", "⁄")):
            script = ""
        elif not script:
            base = (height, baseline, edge) if base is None or height > 0.5 * base[0] else base
        parts.append((text, script))
    if base is not None and any(script for _, script in parts):
        bottom, top = base[2][1], base[2][3]
    return joined(parts), (edges[0], bottom, edges[2], top)


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


class Frame:
    """From the page's own coordinates to those of the page as shown, with y downwards."""

    def __init__(self, page: pdfium.PdfPage) -> None:
        box = raw.FS_RECTF()
        if raw.FPDF_GetPageBoundingBox(page, box):  # boxes that a page inherits included
            x0, y0, x1, y1 = box.left, box.bottom, box.right, box.top
        else:
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


def _upright(words: list[Word], angles: list[int], frame: Frame) -> None:
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
