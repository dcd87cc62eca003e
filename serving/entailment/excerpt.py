"""What to read of a passage that is too long: the sentences that share most with the claim, in their order.

One reading of the right two hundred tokens, not many readings of windows: the cited texts of AttributionBench have
up to 23,000 tokens, and a claim's support may stand in two places that no window holds.
"""

from __future__ import annotations

import numpy as np

MAX_PIECE = 64
"""A sentence longer than this many tokens (a table, text without full stops) is cut."""
NEIGHBOUR = 0.3
"""Share of a sentence's score that each neighbour gets: what goes before and after explains it."""


def excerpt(words: np.ndarray, starts: np.ndarray, claim: np.ndarray, room: int) -> np.ndarray:
    """Which tokens to keep, ascending; at most ``room``.

    Args:
        words: int64 ``(tokens,)``, the passage's words by number; 0 has no content.
        starts: bool ``(tokens,)``, where sentences begin.
        claim: int64, the claim's words.
        room: most tokens kept.

    A sentence's score is the sum over the claim's words in it of their rarity within the passage. Among equals
    the earlier one is read, so a passage that shares nothing is read from its beginning.
    """
    bounds = _bounds(starts)
    wanted = np.unique(claim[claim != 0])
    held = np.zeros((len(bounds), len(wanted)), bool)
    for row, (start, end) in enumerate(bounds):
        held[row] = np.isin(wanted, words[start:end])
    rarity = np.log(1 + len(bounds) / np.maximum(held.sum(0), 1))
    own = held @ rarity if len(wanted) else np.zeros(len(bounds))
    score = own.copy()
    score[1:] += NEIGHBOUR * own[:-1]
    score[:-1] += NEIGHBOUR * own[1:]
    keep = np.zeros(len(words), bool)
    left = room
    for row in np.argsort(-score, kind="stable"):
        start, end = bounds[row]
        keep[start : min(end, start + left)] = True
        left -= min(end - start, left)
        if not left:
            break
    return np.flatnonzero(keep)


def _bounds(starts: np.ndarray) -> list[tuple[int, int]]:
    """Sentences as (start, end); long ones in pieces."""
    begins = [0, *(int(n) for n in np.flatnonzero(starts) if n)]
    found = []
    for begin, end in zip(begins, [*begins[1:], len(starts)], strict=True):
        found += [(at, min(at + MAX_PIECE, end)) for at in range(begin, end, MAX_PIECE)]
    return found
