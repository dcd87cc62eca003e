"""Text of scanned pages, by RapidOCR's models (they come in its wheel) on OpenVINO. Everything heavy is imported at first use."""

from __future__ import annotations

import importlib.util
import math
import os
from typing import Any

import pypdfium2 as pdfium

from knowledge.reading.words import Word

DOTS_PER_INCH = 150
MAX_SIDE = 1800  # pixels: bounds memory, whatever size a page claims
SURE = 0.75  # mean score below which another orientation is tried


def unavailable() -> str | None:
    """Why nothing can be recognised on this machine, or None."""
    missing = [name for name in ("rapidocr", "openvino") if importlib.util.find_spec(name) is None]
    return f"install {' and '.join(missing)}." if missing else None


class Recogniser:
    """Reads pictures of pages; the models load with the first one."""

    def __init__(self) -> None:
        self._engine: Any = None

    def words(self, page: pdfium.PdfPage) -> list[Word]:
        """Words of ``page``, upright."""
        import numpy as np

        width, height = page.get_size()
        scale = min(DOTS_PER_INCH / 72, MAX_SIDE / max(width, height, 1.0))
        picture = page.render(scale=scale, grayscale=False, draw_annots=True).to_numpy()  # pyright: ignore[reportArgumentType]
        if picture.size == 0 or int(picture.min()) == int(picture.max()):
            return []
        best = self._read(picture)
        turns = (1, 3) if _stands(best) else (2,) if best and _score(best) < SURE else ()
        for turn in turns:
            other = self._read(np.ascontiguousarray(np.rot90(picture, turn)))
            if _score(other) > _score(best) + 0.02 or (_stands(best) and not _stands(other)):
                best = other
            if not _stands(best) and _score(best) >= SURE:
                break
        return _words(best, scale)

    def _read(self, picture: Any) -> list[tuple[list[float], str, float]]:
        """``(x0, y0, x1, y1)`` in pixels, text and score of each line."""
        if self._engine is None:
            self._engine = _load()
        result = self._engine(picture)
        if result.boxes is None or not result.txts:
            return []
        found = []
        for corners, text, score in zip(result.boxes, result.txts, result.scores, strict=True):
            box = [float(v) for v in (corners[:, 0].min(), corners[:, 1].min(), corners[:, 0].max(), corners[:, 1].max())]
            found.append((box, text, float(score)))
        return found


def _load() -> Any:
    from rapidocr import EngineType, RapidOCR

    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_cls": False,
            "Global.max_side_len": MAX_SIDE,
            "Det.engine_type": EngineType.OPENVINO,
            # Lines are found in a smaller picture (a third of the memory and time) and read in the full one.
            "Det.limit_type": "max",
            "Det.limit_side_len": 960,
            "Rec.engine_type": EngineType.OPENVINO,
            "Rec.rec_batch_num": 4,
            "EngineConfig.openvino.inference_num_threads": max(1, len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else -1,
            "EngineConfig.openvino.num_streams": 1,
            "EngineConfig.openvino.performance_num_requests": 1,
        }
    )


def _stands(lines: list[tuple[list[float], str, float]]) -> bool:
    """Most of the text runs up or down."""
    tall = sum(len(text) for (x0, y0, x1, y1), text, _ in lines if y1 - y0 > 1.5 * (x1 - x0) and len(text) > 2)
    return tall > 0.5 * sum(len(text) for _, text, _ in lines) > 0


def _score(lines: list[tuple[list[float], str, float]]) -> float:
    letters = sum(len(text) for _, text, _ in lines)
    return sum(len(text) * score for _, text, score in lines) / letters if letters else 0.0


def _words(lines: list[tuple[list[float], str, float]], scale: float) -> list[Word]:
    words: list[Word] = []
    for number, ((x0, y0, x1, y1), text, _) in enumerate(lines):
        step = (x1 - x0) / max(len(text), 1)
        at = 0
        for part in text.split():
            at = text.index(part, at)
            left, right = (x0 + at * step) / scale, (x0 + (at + len(part)) * step) / scale
            at += len(part)
            # Detected boxes hug the ink, so heights differ by letter: whole points keep sizes comparable.
            size = float(math.ceil((y1 - y0) / scale / 2) * 2)
            words.append(Word(part, left, y0 / scale, right, y1 / scale, size, False, (left, y0 / scale, right, y1 / scale), number))
    return words
