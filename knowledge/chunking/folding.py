"""Text as it is searched: without what only typesetting put there, with offsets back to the text as it stands."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass

_UNSEEN = "\u00ad\u200b\u200c\u200d\u2060\ufeff"  # soft hyphens, spaces without width, joiners
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_PIECE = re.compile(
    rf"(?P<broken>(?<=[^\W\d_])(?:-|\u2010)[ \t]*\n[ \t]*(?=[a-zß-öø-ÿ]))"
    rf"|(?P<soft>[{_UNSEEN}]+(?:[ \t]*\n[ \t]*)?)"
    r"|(?P<raised>[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+)"
    r"|(?P<other>.[\u0300-\u036f]*)",
    re.S,
)
_PLAIN = re.compile(r"[\x00-\x7f]*")


@dataclass(frozen=True)
class Folded:
    """A text as it is searched.

    Attributes:
        text: folded.
        starts: ascending ``(offset in the folded text, offset in the text as it stands)``, one where each piece begins.
    """

    text: str
    starts: tuple[tuple[int, int], ...]

    def origin(self, offset: int) -> int:
        """The offset in the text as it stands of an offset in the folded text."""
        at = bisect_right(self.starts, (offset, 1 << 60)) - 1
        folded, standing = self.starts[max(at, 0)] if self.starts else (0, 0)
        return standing + offset - folded


def fold(text: str) -> Folded:
    """Fold ``text``: soft hyphens and joiners out, words broken at a line's end joined, ligatures and wide letters plain (NFKC).

    Raised figures stay apart from what they follow: ``10⁶`` becomes ``10^6``, not ``106``.
    """
    if _PLAIN.fullmatch(text) and "-\n" not in text:
        return Folded(text, ((0, 0),))
    out: list[str] = []
    starts: list[tuple[int, int]] = [(0, 0)]
    length = 0
    for match in _PIECE.finditer(text):
        piece = match[0]
        if match["broken"] is not None or match["soft"] is not None:
            written = ""
        elif match["raised"] is not None:
            written = "^" + piece.translate(_RAISED)
        else:
            written = piece if piece.isascii() else unicodedata.normalize("NFKC", piece)
        if len(written) != len(piece):
            starts.append((length + len(written), match.end()))
        out.append(written)
        length += len(written)
    return Folded("".join(out), tuple(starts))


def folded(text: str) -> str:
    """:func:`fold`'s text alone."""
    return fold(text).text
