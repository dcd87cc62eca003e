"""Whether letters look like a language: for fonts that do not say which letters their glyphs are."""

from __future__ import annotations

import re

# Pairs of letters that are common in English, German, French, Spanish, Italian, Dutch or Portuguese.
_PAIRS = frozenset(
    re.findall(
        r"\w\w",
        "th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve co me de hi ri ro ic ne ea ra ce li "
        "ch ll be ma si om ur ei ie ge un sc qu os la el di ta na no us ec ni so ca tr pr pe po ct il ss et wa wi ho sh em ac ad ai ir ia "
        "ue da do ev am ul ns rs ts ut id ol op ee oo ow pa mo fo fi im ap ag ab av ay ey ly ry ty by my",
    )
)
FEW = 40
LIKELY, UNLIKELY = 0.35, 0.25


def likeness(text: str) -> float | None:
    """Share of pairs of Latin letters that are common in a European language: .6 to .8 for text, .1 to .2 for other letters.

    None where there are too few Latin letters to tell.
    """
    pairs = [word[at : at + 2] for word in re.findall(r"[a-z]{2,}", text.lower()) for at in range(len(word) - 1)]
    return sum(pair in _PAIRS for pair in pairs) / len(pairs) if len(pairs) >= FEW else None
