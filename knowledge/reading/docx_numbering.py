"""Numbers and letters of list paragraphs as Word shows them (ECMA-376 part 1, 17.9)."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

from lxml import etree

from knowledge.reading.docx_parts import children, value
from knowledge.reading.numerals import written
from knowledge.reading.symbols import BOXES, glyph

_MAX_NUMBER = 100_000
_OFF = ("0", "false", "off")


@dataclass(frozen=True)
class _Level:
    form: str
    pattern: str
    start: int
    legal: bool
    """All numbers in it are shown as decimals (isLgl)."""
    restart: int | None
    """Restarts after a level of this depth (from 1) or above; 0 never; None after any above."""
    style: str
    bullet: str


@dataclass(frozen=True)
class _Own:
    """What a style or a paragraph says itself of its number; '' and None where nothing."""

    list_id: str = ""
    depth: int | None = None


class Numbering:
    """Counts list paragraphs as Word does. ``label`` must be asked for every numbered paragraph, in order."""

    def __init__(self, numbering: etree._Element | None, styles: etree._Element | None) -> None:
        self._abstract = {value(item, "abstractNumId") or "": item for item in children(numbering, "abstractNum")}
        self._nums = {value(item, "numId") or "": item for item in children(numbering, "num")}
        self._own: dict[str, _Own] = {}
        self._bases: dict[str, str] = {}
        for style in children(styles, "style"):
            identifier = value(style, "styleId") or ""
            self._bases[identifier] = value(next(children(style, "basedOn"), None)) or ""
            self._own[identifier] = _own(next(children(style, "pPr"), None))
        self._levels: dict[str, tuple[str, dict[int, _Level]]] = {}
        self._starts: dict[tuple[str, int], int] = {}
        self._counts: dict[str, dict[int, int]] = defaultdict(dict)

    def label(self, style: str, properties: etree._Element | None) -> str:
        """What Word writes before the paragraph, for example ``2.3.1``, ``(b)`` or ``•``; '' where it writes nothing.

        Args:
            style: of the paragraph.
            properties: its ``w:pPr``.
        """
        list_id, depth = self._place(style, _own(properties))
        if list_id in ("", "0"):
            return ""
        key, levels = self._list(list_id)
        if depth not in levels:
            return ""
        level, counts = levels[depth], self._counts[key]
        if (list_id, depth) in self._starts:  # a restart counts once
            counts[depth] = self._starts.pop((list_id, depth)) - 1
        counts[depth] = min(counts.get(depth, level.start - 1) + 1, _MAX_NUMBER)
        for deeper in [other for other in counts if other > depth]:
            restart = levels[deeper].restart if deeper in levels else None
            if restart is None or depth < restart:
                del counts[deeper]
        if level.form == "bullet":
            return level.bullet
        if level.form == "none":
            return re.sub(r"%\d", "", level.pattern).strip()

        def fill(match: re.Match[str]) -> str:
            at = int(match[1]) - 1
            if at not in levels:
                return ""
            number = counts.get(at, levels[at].start)
            return str(number) if level.legal and levels[at].form != "none" else written(number, levels[at].form)

        return re.sub(r"%(\d)", fill, level.pattern).strip()

    def numbered(self, style: str, properties: etree._Element | None) -> bool:
        """Whether the paragraph belongs to a list."""
        return self._place(style, _own(properties))[0] not in ("", "0")

    def _place(self, style: str, own: _Own) -> tuple[str, int]:
        """List and depth of a paragraph: what it does not say itself, its style or one that it is based on says."""
        list_id, depth = own.list_id, own.depth
        current, holder = style, ""
        for _ in range(12):
            said = self._own.get(current)
            if said is None:
                break
            if depth is None and said.depth is not None and not own.list_id:
                depth = said.depth
            if not list_id and said.list_id:
                list_id, holder = said.list_id, current
            current = self._bases.get(current, "")
        if depth is None and holder:
            levels = self._list(list_id)[1]
            linked = {level.style: at for at, level in levels.items() if level.style}
            depth = linked.get(style, linked.get(holder))
        return list_id, depth or 0

    def _list(self, list_id: str) -> tuple[str, dict[int, _Level]]:
        """Key of the counts that a list shares, and its levels."""
        if list_id in self._levels:
            return self._levels[list_id]
        num, key = self._nums.get(list_id), ""
        seen = list_id
        for _ in range(6):
            key = value(next(children(num, "abstractNumId"), None)) or ""
            link = value(next(children(self._abstract.get(key), "numStyleLink"), None))
            linked = self._own.get(link or "", _Own()).list_id
            if not link or linked in ("", seen) or linked not in self._nums:
                break
            seen, num = linked, self._nums[linked]
        levels = {_integer(value(item, "ilvl"), 0): _level(item) for item in children(self._abstract.get(key), "lvl")}
        for override in children(self._nums.get(list_id), "lvlOverride"):
            depth = _integer(value(override, "ilvl"), 0)
            if (own := next(children(override, "lvl"), None)) is not None:
                levels[depth] = _level(own)
            start = value(next(children(override, "startOverride"), None))
            if start is not None:
                self._starts[list_id, depth] = _integer(start, 1)
        self._levels[list_id] = (key, levels)
        return key, levels


def _own(properties: etree._Element | None) -> _Own:
    number = next(children(properties, "numPr"), None)
    depth = value(next(children(number, "ilvl"), None))
    return _Own(value(next(children(number, "numId"), None)) or "", int(depth) if depth and depth.isdigit() and len(depth) < 3 else None)


def _level(item: etree._Element) -> _Level:
    form, custom = "decimal", ""
    for found in item.iter():
        if isinstance(found.tag, str) and found.tag.endswith("}numFmt"):
            form, custom = value(found) or "decimal", value(found, "format") or ""
    if form == "custom":
        form = f"decimalZero{len(custom.split(',')[0].strip())}" if re.match(r"0+1\s*,", custom) else "decimal"
    pattern = value(next(children(item, "lvlText"), None)) or ""
    restart = value(next(children(item, "lvlRestart"), None))
    legal = next(children(item, "isLgl"), None)
    return _Level(
        form,
        pattern,
        _integer(value(next(children(item, "start"), None)), 1),
        legal is not None and (value(legal) or "1") not in _OFF,
        int(restart) if restart and restart.isdigit() and len(restart) < 3 else None,
        value(next(children(item, "pStyle"), None)) or "",
        _bullet(item, pattern),
    )


def _bullet(item: etree._Element, pattern: str) -> str:
    """A box or a tick is a sign of its own; whatever else stands before an item is a bullet."""
    fonts = next(children(next(children(item, "rPr"), None), "rFonts"), None)
    font = value(fonts, "ascii") or value(fonts, "hAnsi") or ""
    shown = (glyph(font, ord(pattern)) if font and len(pattern) == 1 else None) or pattern
    return shown if shown in BOXES and shown != "○" else "•"


def _integer(text: str | None, default: int) -> int:
    return int(text) if text and text.isdigit() and len(text) < 7 else default
