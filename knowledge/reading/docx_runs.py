"""How the runs of a Word document look: hidden, struck, raised, in a symbol font. Styles and direct formatting together."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from knowledge.reading.docx_parts import children, value

_OFF = ("0", "false", "off", "none")
_TOGGLES = ("vanish", "strike", "dstrike")
_HIGHLIGHTS = {"white": "FFFFFF", "black": "000000"}
_ALIKE = 12  # of 255
SMALLEST = 4  # half-points
DELETED = "deleted by a tracked change"


@dataclass(frozen=True)
class Look:
    """How a run looks.

    Attributes:
        hidden: why it is not seen; '' where it is.
        script: '', 'sup' or 'sub'.
        font: its font's name.
    """

    hidden: str = ""
    script: str = ""
    font: str = ""


class RunStyles:
    """The run formatting of a document's styles.

    Args:
        styles: the styles part, or None.
    """

    def __init__(self, styles: etree._Element | None) -> None:
        self._styles: dict[str, etree._Element] = {}
        self._default_paragraph = ""
        defaults = next(children(next(children(styles, "docDefaults"), None), "rPrDefault"), None)
        self._defaults = next(children(defaults, "rPr"), None)
        for style in children(styles, "style"):
            identifier = value(style, "styleId") or ""
            self._styles[identifier] = style
            if (value(style, "default") or "0") not in _OFF and value(style, "type") == "paragraph":
                self._default_paragraph = identifier
        self._found: dict[tuple[str, str], etree._Element | None] = {}

    def look(self, properties: etree._Element | None, paragraph_style: str, background: str | None) -> Look:
        """The look of a run.

        Args:
            properties: its ``w:rPr``.
            paragraph_style: id of its paragraph's style; '' for the default one.
            background: colour behind it (``RRGGBB``), None where that is not known.
        """
        own = {item.tag.rpartition("}")[2]: item for item in (properties if properties is not None else ()) if isinstance(item.tag, str)}
        paragraph_style = paragraph_style or self._default_paragraph
        character_style = value(own.get("rStyle")) or ""

        def found(name: str) -> etree._Element | None:
            if name in own:
                return own[name]
            for style in (character_style, paragraph_style):
                if style and (item := self._of_style(style, name)) is not None:
                    return item
            return next(children(self._defaults, name), None)

        def switched(name: str) -> bool:
            if name in own:
                return (value(own[name]) or "1") not in _OFF
            # Toggle properties of a paragraph's and a character's style cancel each other (17.7.3).
            states = [_on(self._of_style(style, name)) for style in (paragraph_style, character_style) if style]
            return (sum(states) % 2 == 1) or _on(next(children(self._defaults, name), None))

        font = found("rFonts")
        name = value(font, "ascii") or value(font, "hAnsi") or ""
        raised = value(found("vertAlign"))
        script = {"superscript": "sup", "subscript": "sub"}.get(raised or "", "")
        if not script and (position := value(found("position"))) and position.lstrip("-").isdigit():
            script = "sup" if int(position) >= 4 else "sub" if int(position) <= -4 else ""
        if switched("vanish"):
            return Look("hidden text", script, name)
        if switched("strike") or switched("dstrike"):
            return Look("struck through", script, name)
        size = value(found("sz"))
        if size and size.isdigit() and int(size) < SMALLEST:
            return Look("too small to see", script, name)
        shading = _fill(found("shd"))
        highlight = value(found("highlight"))
        behind = shading or background
        if highlight and highlight != "none":
            behind = _HIGHLIGHTS.get(highlight)
        color = value(found("color")) or "auto"
        if behind is not None and len(color) == 6 and _alike(color, behind):
            return Look("in the colour of its background", script, name)
        return Look("", script, name)

    def background(self, properties: etree._Element | None, style: str) -> str:
        """Colour behind a paragraph that its own shading or its style's gives; '' where none does."""
        own = _fill(next(children(properties, "shd"), None))
        current = style or self._default_paragraph
        for _ in range(12):
            if own or current not in self._styles:
                break
            own = _fill(next(children(next(children(self._styles[current], "pPr"), None), "shd"), None))
            current = value(next(children(self._styles[current], "basedOn"), None)) or ""
        return own

    def _of_style(self, style: str, name: str) -> etree._Element | None:
        """A property of the runs of a style or the nearest that it is based on."""
        key = (style, name)
        if key not in self._found:
            item = None
            for _ in range(12):
                if style not in self._styles:
                    break
                item = next(children(next(children(self._styles[style], "rPr"), None), name), None)
                if item is not None:
                    break
                style = value(next(children(self._styles[style], "basedOn"), None)) or ""
            self._found[key] = item
        return self._found[key]


def _on(item: etree._Element | None) -> bool:
    return item is not None and (value(item) or "1") not in _OFF


def _fill(shading: etree._Element | None) -> str:
    fill = value(shading, "fill") or ""
    return fill if len(fill) == 6 else ""


def shading_of(properties: etree._Element | None) -> str:
    """Fill of a cell (its ``w:tcPr``), or ''."""
    return _fill(next(children(properties, "shd"), None))


def _alike(one: str, other: str) -> bool:
    try:
        pairs = [(int(one[at : at + 2], 16), int(other[at : at + 2], 16)) for at in (0, 2, 4)]
    except ValueError:
        return False
    return max(abs(a - b) for a, b in pairs) <= _ALIKE
