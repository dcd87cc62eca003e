"""Access to the XML of Office documents, and the values of their charts."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree


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
