"""What a browser's style sheets do to the text of a page: shown or not, struck, on a line of its own, raised.

The page's own ``<style>`` sheets and ``style`` attributes are applied by cssselect2 and tinycss2; nothing is fetched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

import cssselect2
import tinycss2
from tinycss2.color4 import parse_color

_NOT_SHOWN = {
    "head",
    "script",
    "style",
    "template",
    "datalist",
    "noscript",
    "rp",
    "area",
    "param",
    "source",
    "track",
    "title",
    "meta",
    "link",
}
_BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "center", "dd", "details", "dialog", "dir", "div", "dl", "dt", "fieldset",
    "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "html", "legend", "li", "main",
    "menu", "nav", "ol", "optgroup", "option", "p", "pre", "search", "section", "summary", "table", "ul", "caption", "tbody", "thead",
    "tfoot", "tr", "td", "th",
}  # fmt: skip
_APART = {"button", "input", "select", "textarea", "img", "rt"}
_BLOCK_DISPLAYS = {"block", "flex", "grid", "list-item", "flow-root", "table", "table-row", "table-caption"}
_SIZES = {"xx-small": 9.0, "x-small": 10.0, "small": 13.0, "medium": 16.0, "large": 18.0, "x-large": 24.0, "xx-large": 32.0}
_UNITS = {"px": 1.0, "pt": 96 / 72, "pc": 16.0, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4, "q": 96 / 101.6}
_WIDTH = 1280  # pixels of the window that media queries are asked about
TINY = 2 * 96 / 72  # 2 points, in pixels
FAR = 900  # pixels outside the page
MOST_RULES = 20_000
RGB = tuple[float, float, float, float]

STRUCK = "struck through"


@dataclass(frozen=True, slots=True)
class Style:
    """The computed style of an element, as far as it decides what is read.

    Attributes:
        gone: why nothing in it is shown ('' where it is); its descendants cannot be shown either.
        invisible: its ``visibility``; a descendant may be visible again.
        struck: a line runs through its text.
        flow: ``block`` (lines of its own), ``apart`` (set apart in its line) or ``inline``.
        script: '', 'sup' or 'sub'.
        size: of the font, in pixels.
        color, background: None where they cannot be known.
    """

    gone: str = ""
    invisible: bool = False
    struck: bool = False
    flow: str = "block"
    script: str = ""
    size: float = 16.0
    color: RGB | None = (0.0, 0.0, 0.0, 1.0)
    background: RGB | None = (1.0, 1.0, 1.0, 1.0)
    preformatted: bool = False
    list_type: str = ""
    flexed: bool = False
    reversed: bool = False
    before: str = ""
    after: str = ""
    variables: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def hidden(self) -> str:
        """Why the element's own text is not seen; '' where it is."""
        if self.gone:
            return self.gone
        if self.invisible:
            return "hidden by the page's style"
        if self.size < TINY:
            return "too small to see"
        if self.color is not None and self.color[3] < 0.05:
            return "transparent"
        if self.color is not None and self.background is not None and _alike(self.color, self.background):
            return "in the colour of its background"
        return STRUCK if self.struck else ""


class Styles:
    """The style sheets of one page.

    Args:
        root: of the page, an lxml element.
    """

    def __init__(self, root: Any) -> None:
        self._matcher = cssselect2.Matcher()
        self._count = 0
        self.unread: list[str] = []
        """What the sheets say that is not applied: sheets that would have to be fetched, counters."""
        for sheet in root.iter("style"):
            if _media_applies(sheet.get("media") or ""):
                self._rules(tinycss2.parse_stylesheet(sheet.text_content(), skip_comments=True, skip_whitespace=True), 0)
        for link in root.iter("link"):
            if "stylesheet" in (link.get("rel") or "").lower() and _media_applies(link.get("media") or ""):
                self.unread.append(link.get("href") or "")
        self._wrapped: dict[Any, Any] = {}
        if self._count:
            for wrapper in cssselect2.ElementWrapper.from_html_root(root).iter_subtree():
                self._wrapped[wrapper.etree_element] = wrapper

    def _rules(self, rules: list[Any], depth: int) -> None:
        for rule in rules:
            if rule.type == "at-rule" and depth < 5:
                name, prelude = rule.lower_at_keyword, tinycss2.serialize(rule.prelude)
                if name == "import":
                    self.unread.append(prelude.strip("\"' "))
                elif rule.content is not None and (
                    name in ("supports", "layer", "container") or (name == "media" and _media_applies(prelude))
                ):
                    self._rules(tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True), depth + 1)
            elif rule.type == "qualified-rule" and self._count < MOST_RULES:
                declarations = _declarations(rule.content)
                if not declarations:
                    continue
                try:
                    selectors = cssselect2.compile_selector_list(rule.prelude)
                except (cssselect2.SelectorError, ValueError, RecursionError):
                    continue  # a state (hover) or what no browser knows either
                for selector in selectors:
                    self._count += 1
                    self._matcher.add_selector(selector, declarations)

    def of(self, element: Any, parent: Style) -> Style:
        """The computed style of ``element``, whose parent's is ``parent``."""
        if parent.gone:
            return parent
        tag = element.tag if isinstance(element.tag, str) else ""
        found: dict[str, tuple[tuple[Any, ...], list[Any]]] = {}
        pseudo: dict[str, str] = {}
        wrapper = self._wrapped.get(element)
        for specificity, order, pseudo_element, declarations in self._matcher.match(wrapper) if wrapper is not None else ():
            if pseudo_element:
                if pseudo_element in ("before", "after") and "content" in declarations:
                    pseudo[pseudo_element] = self._content(declarations["content"][1], element)
                continue
            _cascade(found, declarations, (0, *specificity, order))
        if inline := element.get("style"):
            _cascade(found, _declarations(inline), (1,))
        return _computed(tag, element, {name: tokens for name, (_, tokens) in found.items()}, parent, pseudo)

    def _content(self, tokens: list[Any], element: Any) -> str:
        out = ""
        for token in tokens:
            if token.type == "string":
                out += token.value
            elif token.type == "function" and token.lower_name == "attr":
                out += element.get(tinycss2.serialize(token.arguments).strip()) or ""
            elif token.type == "function" and token.lower_name.startswith("counter"):
                self.unread.append("counters")
        return out


Declarations = dict[str, tuple[bool, list[Any]]]


def _declarations(content: Any) -> Declarations:
    found: Declarations = {}
    for item in tinycss2.parse_blocks_contents(content, skip_comments=True, skip_whitespace=True):
        if item.type != "declaration":
            continue
        name = item.name if item.name.startswith("--") else item.lower_name
        if not item.important and name in found and found[name][0]:
            continue
        found[name] = (item.important, [token for token in item.value if token.type not in ("whitespace", "comment")])
    return found


def _cascade(found: dict[str, tuple[tuple[Any, ...], list[Any]]], declarations: Declarations, rank: tuple[Any, ...]) -> None:
    for name, (important, tokens) in declarations.items():
        place = (important, *rank)
        if name not in found or found[name][0] <= place:
            found[name] = (place, tokens)


def _computed(tag: str, element: Any, said: dict[str, list[Any]], parent: Style, pseudo: dict[str, str]) -> Style:
    variables = parent.variables
    if own := {name: tokens for name, tokens in said.items() if name.startswith("--")}:
        variables = {**variables, **own}
    if variables:
        said = {name: _substituted(tokens, variables, 0) for name, tokens in said.items()}

    def word(name: str) -> str:
        tokens = said.get(name)
        return tokens[0].lower_value if tokens and tokens[0].type == "ident" else ""

    display = word("display")
    if not display or display in ("initial", "unset", "revert", "inherit"):
        display = _own_display(tag, element)
    size = _font_size(said, parent.size, tag)
    color = _color(said.get("color"), parent.color)
    background = _background(said, parent.background, element)
    gone = _gone(display, said, size)
    lines = " ".join(tinycss2.serialize(said[name]).lower() for name in ("text-decoration", "text-decoration-line") if name in said)
    struck = parent.struck or ("line-through" in lines if lines else tag in ("del", "s", "strike"))
    visibility = word("visibility")
    align = word("vertical-align")
    script = parent.script
    if tag in ("sup", "sub") and align not in ("baseline", "initial"):
        script = tag
    elif align in ("super", "sub"):
        script = "sup" if align == "super" else "sub"
    return Style(
        gone=gone,
        invisible=visibility in ("hidden", "collapse") if visibility in ("hidden", "collapse", "visible") else parent.invisible,
        struck=struck,
        flow=_flow(display, said, tag, parent, word("float"), word("position")),
        script=script,
        size=size,
        color=color,
        background=background,
        preformatted=_preformatted(tag, word("white-space"), parent),
        list_type=word("list-style-type") or _list_word(said.get("list-style")) or (parent.list_type if tag == "li" else ""),
        flexed=display in ("flex", "inline-flex", "grid", "inline-grid"),
        reversed="flex" in display and "reverse" in tinycss2.serialize(said.get("flex-direction", said.get("flex-flow", []))).lower(),
        before=pseudo.get("before", ""),
        after=pseudo.get("after", ""),
        variables=variables,
    )


def _own_display(tag: str, element: Any) -> str:
    if tag in _NOT_SHOWN or element.get("hidden") is not None or (tag == "dialog" and element.get("open") is None):
        return "none"
    return "block" if tag in _BLOCKS else "inline-block" if tag in _APART else "inline"


def _flow(display: str, said: dict[str, list[Any]], tag: str, parent: Style, floating: str, position: str) -> str:
    if display in _BLOCK_DISPLAYS:
        return "block"
    if display.startswith("inline-") or display.startswith("table-") or parent.flexed:
        return "apart"
    return "apart" if floating in ("left", "right") or position in ("absolute", "fixed") else "inline"


def _preformatted(tag: str, white_space: str, parent: Style) -> bool:
    if white_space:
        return white_space in ("pre", "pre-wrap", "pre-line", "break-spaces") or (white_space == "inherit" and parent.preformatted)
    return tag in ("pre", "textarea", "listing") or parent.preformatted


def _list_word(tokens: list[Any] | None) -> str:
    return next(
        (token.lower_value for token in tokens or [] if token.type == "ident" and token.lower_value not in ("inside", "outside")), ""
    )


def _gone(display: str, said: dict[str, list[Any]], size: float) -> str:
    if display == "none":
        return "hidden by the page's style"
    if (opacity := _number(said.get("opacity"))) is not None and opacity < 0.05:
        return "transparent"
    texts = {name: tinycss2.serialize(tokens).lower() for name, tokens in said.items() if name in _PLACES}
    if re.search(r"scale[xy]?\(\s*0(?:\.0+)?\s*[,)]", texts.get("transform", "")):
        return "hidden by the page's style"
    clip = texts.get("clip", "") + texts.get("clip-path", "")
    if re.search(r"rect\(\s*(\d*\.?\d+)(?:px)?[\s,]+(?:0|1px)[\s,]+(?:0|1px)[\s,]+\1", clip) or re.search(
        r"inset\(\s*(?:50|100)%|circle\(\s*0", clip
    ):
        return "hidden by the page's style"
    lengths = {name: _length(tokens, size) for name, tokens in said.items() if name in _PLACES}
    placed = texts.get("position", "") in ("absolute", "fixed", "relative")
    for name in ("left", "right", "top", "bottom"):
        if placed and (lengths.get(name) or 0.0) < -FAR:
            return "outside the page"
    if placed and (lengths.get("left") or 0.0) > 10_000:
        return "outside the page"
    for name in ("margin-left", "margin-top", "margin-right", "text-indent"):
        if (lengths.get(name) or 0.0) < -FAR:
            return "outside the page"
    if re.search(r"translate(?:x|y|3d)?\([^)]*-\s*\d{4,}px", texts.get("transform", "")):
        return "outside the page"
    cut = (
        texts.get("overflow", "") in ("hidden", "clip")
        or texts.get("overflow-y", "") == "hidden"
        or texts.get("overflow-x", "") == "hidden"
    )
    small = [length for name in ("width", "height", "max-height", "max-width") if (length := lengths.get(name)) is not None]
    return "hidden by the page's style" if cut and small and min(small) <= 1.0 else ""


_PLACES = {
    "position", "left", "right", "top", "bottom", "margin-left", "margin-top", "margin-right", "text-indent", "transform", "clip",
    "clip-path",
    "overflow", "overflow-x", "overflow-y", "width", "height", "max-height", "max-width",
}  # fmt: skip


def _substituted(tokens: list[Any], variables: dict[str, list[Any]], depth: int) -> list[Any]:
    out: list[Any] = []
    for token in tokens:
        if token.type == "function" and token.lower_name == "var" and depth < 8:
            parts = [item for item in token.arguments if item.type not in ("whitespace", "comment")]
            name = parts[0].value if parts and parts[0].type == "ident" else ""
            out += _substituted(variables[name] if name in variables else parts[2:], variables, depth + 1)
        else:
            out.append(token)
    return out[:100]


def _number(tokens: list[Any] | None) -> float | None:
    if not tokens or tokens[0].type not in ("number", "percentage"):
        return None
    return float(tokens[0].value) / (100.0 if tokens[0].type == "percentage" else 1.0)


def _length(tokens: list[Any] | None, size: float) -> float | None:
    """Pixels of a length; None for one that depends on what is not known."""
    if not tokens:
        return None
    token = tokens[0]
    if token.type == "number" and token.value == 0:
        return 0.0
    if token.type == "dimension":
        unit = token.lower_unit
        each = {"em": size, "rem": 16.0, "ex": size / 2, "ch": size / 2, "vw": 12.8, "vh": 8.0}.get(unit, _UNITS.get(unit))
        return float(token.value) * each if each is not None else None
    return None


def _font_size(said: dict[str, list[Any]], inherited: float, tag: str) -> float:
    tokens = said.get("font-size")
    if tokens is None and "font" in said:
        tokens = [
            token
            for token in said["font"]
            if token.type in ("dimension", "percentage")
            or (token.type == "number" and token.value == 0)
            or (token.type == "ident" and token.lower_value in _SIZES)
        ]
    if not tokens:
        return inherited * (0.83 if tag in ("sup", "sub", "small") else 1.0)
    token = tokens[0]
    if token.type == "percentage":
        return inherited * float(token.value) / 100
    if token.type == "ident":
        factor = {"smaller": 0.83, "larger": 1.2}.get(token.lower_value)
        return inherited * factor if factor else _SIZES.get(token.lower_value, inherited)
    length = _length(tokens, inherited)
    return length if length is not None else inherited


def _color(tokens: list[Any] | None, inherited: RGB | None) -> RGB | None:
    if not tokens:
        return inherited
    if tokens[0].type == "ident" and tokens[0].lower_value in ("inherit", "currentcolor", "unset"):
        return inherited
    return _rgb(tokens[0])


def _rgb(token: Any) -> RGB | None:
    try:
        color = parse_color(token)
        if color is None or isinstance(color, str):
            return None
        red, green, blue = (float(value or 0.0) for value in color.to("srgb").coordinates)
        return red, green, blue, float(color.alpha)
    except (ValueError, NotImplementedError, TypeError, AttributeError):
        return None


def _background(said: dict[str, list[Any]], inherited: RGB | None, element: Any) -> RGB | None:
    """The colour behind an element's text; None where a picture or what is not known stands there."""
    tokens = said.get("background-color") or said.get("background")
    if said.get("background-image") and tinycss2.serialize(said["background-image"]).strip().lower() != "none":
        return None
    if not tokens:
        if attribute := element.get("bgcolor"):
            return _over(_rgb_of(attribute), inherited)
        return inherited
    for token in tokens:
        if token.type == "url" or (
            token.type == "function" and token.lower_name not in ("rgb", "rgba", "hsl", "hsla", "hwb", "lab", "lch", "oklab", "oklch")
        ):
            return None
        if (color := _rgb(token)) is not None:
            return _over(color, inherited)
    return inherited


def _rgb_of(text: str) -> RGB | None:
    tokens = tinycss2.parse_component_value_list(text.strip())
    return _rgb(tokens[0]) if tokens else None


def _over(color: RGB | None, behind: RGB | None) -> RGB | None:
    if color is None or color[3] >= 0.99:
        return color
    if behind is None:
        return None
    red, green, blue = (color[3] * above + (1 - color[3]) * below for above, below in zip(color[:3], behind[:3], strict=True))
    return red, green, blue, 1.0


def _alike(color: RGB, background: RGB) -> bool:
    shown = _over(color, background)
    return shown is not None and max(abs(one - other) for one, other in zip(shown[:3], background[:3], strict=True)) < 0.045


def _media_applies(query: str) -> bool:
    """Whether a media query list holds for a window of usual size on a screen."""
    query = query.strip().lower()
    return not query or any(_one_media(part.strip()) for part in query.split(","))


def _one_media(query: str) -> bool:
    negated = query.startswith("not ")
    medium = re.match(r"(?:not |only )?\s*([a-z]+)\b(?!\s*\()", query)
    holds = medium is None or medium[1] in ("all", "screen", "and")
    for name, value, unit in re.findall(r"\(\s*(min|max)-width\s*:\s*([\d.]+)\s*(px|em|rem)?", query):
        pixels = float(value) * (16.0 if unit in ("em", "rem") else 1.0)
        holds = holds and (pixels <= _WIDTH if name == "min" else pixels >= _WIDTH)
    if re.search(r"prefers-color-scheme\s*:\s*dark|orientation\s*:\s*portrait|prefers-contrast|forced-colors\s*:\s*active", query):
        holds = False
    return holds != negated


def with_attributes(element: Any, style: Style) -> Style:
    """``style`` with the colour that an old ``<font color>`` or ``<body text>`` gives."""
    tag = element.tag if isinstance(element.tag, str) else ""
    attribute = element.get("color") if tag == "font" else element.get("text") if tag == "body" else None
    if not attribute or "color" in (element.get("style") or ""):
        return style
    color = _rgb_of(attribute)
    return replace(style, color=color) if color is not None else style
