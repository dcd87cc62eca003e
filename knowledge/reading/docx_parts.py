"""Numbers of list paragraphs and values of charts: what Word shows and its main text does not hold."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from lxml import etree

from knowledge.reading.numerals import written

_MAX_NUMBER = 100_000


def children(node: etree._Element | None, name: str) -> Iterator[etree._Element]:
    """Children called ``name``, whatever their name space (strict and transitional documents differ)."""
    return (child for child in (node if node is not None else ()) if local(child) == name)


def local(node: etree._Element) -> str:
    tag = node.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def value(node: etree._Element | None, attribute: str = "val") -> str | None:
    if node is None:
        return None
    return next((text for key, text in node.attrib.items() if key.rpartition("}")[2] == attribute), None)


class Numbering:
    """Counts list paragraphs as Word does. ``label`` must be asked for every numbered paragraph, in order."""

    def __init__(self, numbering: etree._Element | None, styles: etree._Element | None) -> None:
        self._levels: dict[str, dict[int, tuple[str, str, int]]] = {}
        self._lists: dict[str, str] = {}
        self._starts: dict[tuple[str, int], int] = {}
        self._counts: dict[str, dict[int, int]] = defaultdict(dict)
        self._styles: dict[str, tuple[str, int]] = {}
        for abstract in children(numbering, "abstractNum"):
            levels = {}
            for level in children(abstract, "lvl"):
                depth = _number(value(level, "ilvl"), 0)
                levels[depth] = (
                    value(next(children(level, "numFmt"), None)) or "decimal",
                    value(next(children(level, "lvlText"), None)) or "",
                    _number(value(next(children(level, "start"), None)), 1),
                )
            self._levels[value(abstract, "abstractNumId") or ""] = levels
        for item in children(numbering, "num"):
            identifier = value(item, "numId") or ""
            self._lists[identifier] = value(next(children(item, "abstractNumId"), None)) or ""
            for override in children(item, "lvlOverride"):
                start = value(next(children(override, "startOverride"), None))
                if start is not None:
                    self._starts[identifier, _number(value(override, "ilvl"), 0)] = _number(start, 1)
        self._read_styles(styles)

    def _read_styles(self, styles: etree._Element | None) -> None:
        bases: dict[str, str] = {}
        for style in children(styles, "style"):
            identifier = value(style, "styleId") or ""
            bases[identifier] = value(next(children(style, "basedOn"), None)) or ""
            number = next(children(next(children(style, "pPr"), None), "numPr"), None)
            list_id = value(next(children(number, "numId"), None))
            if list_id:
                self._styles[identifier] = (list_id, _number(value(next(children(number, "ilvl"), None)), 0))
        for identifier in bases:
            base = bases[identifier]
            for _ in range(8):
                if identifier in self._styles or not base:
                    break
                if base in self._styles:
                    self._styles[identifier] = self._styles[base]
                base = bases.get(base, "")

    def label(self, style: str, number: tuple[str, int] | None) -> str:
        """What Word writes before the paragraph, for example ``2.3.1``, ``(b)`` or ``•``; '' where it writes nothing."""
        list_id, depth = number or self._styles.get(style, ("", 0))
        abstract = self._lists.get(list_id)
        if not list_id or list_id == "0" or abstract is None or depth not in self._levels.get(abstract, {}):
            return ""
        levels, counts = self._levels[abstract], self._counts[abstract]
        if (list_id, depth) in self._starts:  # a restart counts once
            counts[depth] = self._starts.pop((list_id, depth)) - 1
        counts[depth] = min(counts.get(depth, levels[depth][2] - 1) + 1, _MAX_NUMBER)
        for deeper in [other for other in counts if other > depth]:
            del counts[deeper]
        form, pattern, _ = levels[depth]
        if form == "bullet":
            return "•"
        if form == "none":
            return ""

        def fill(match: re.Match[str]) -> str:
            at = int(match[1]) - 1
            if at not in levels:
                return ""
            return written(counts.get(at, levels[at][2]), levels[at][0])

        return re.sub(r"%(\d)", fill, pattern).strip()


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isdigit() and len(text) < 7 else default


def chart_table(chart: etree._Element) -> str:
    """The values a chart shows, as rows: categories down, series across."""
    series: list[tuple[str, list[str], list[str]]] = []
    for item in chart.iter():
        if local(item) == "ser" and len(series) < 100:
            name = " ".join(_points(next(children(item, "tx"), None)))
            labels = _points(next(children(item, "cat"), None)) or _points(next(children(item, "xVal"), None))
            values = _points(next(children(item, "val"), None)) or _points(next(children(item, "yVal"), None))
            series.append((name, labels, values))
    titles = ["".join(t.text or "" for t in title.iter() if local(t) == "t") for title in chart.iter() if local(title) == "title"]
    heading = [title for title in titles if title.strip()]
    if not series:
        return "\n".join(heading)
    kinds = {
        "lineChart": "Line chart",
        "barChart": "Bar chart",
        "pieChart": "Pie chart",
        "scatterChart": "Scatter chart",
        "areaChart": "Area chart",
    }
    kind = next((kinds[local(item)] for item in chart.iter() if local(item) in kinds), "Chart")
    rows = [": ".join([kind, *heading]), "\t".join(["", *(name for name, _, _ in series)])]
    labels = max((labels for _, labels, _ in series), key=len)
    for index in range(min(max(len(values) for _, _, values in series), 1000)):
        cells = [values[index] if index < len(values) else "" for _, _, values in series]
        rows.append("\t".join([labels[index] if index < len(labels) else "", *cells]))
    return "\n".join(rows)


def _points(node: etree._Element | None) -> list[str]:
    return [(item.text or "").strip() for item in (node.iter() if node is not None else ()) if local(item) == "v"][:1000]
