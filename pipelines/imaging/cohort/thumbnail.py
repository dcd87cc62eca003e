"""A small picture of a scan with its labels, from the overlay that its analysis drew."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from pipelines.imaging.overlay import labelled_box

WIDTH = 480  # pixels


def thumbnail(overlay: Path | BinaryIO) -> bytes:
    """JPEG of the three labelled planes in a row, :data:`WIDTH` wide."""
    with Image.open(overlay) as picture:
        box = labelled_box(picture.size)
        row = picture.convert("RGB").crop(box) if box else picture.convert("RGB")
    row = row.resize((WIDTH, max(1, round(row.height * WIDTH / row.width))), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    row.save(out, "JPEG", quality=78, optimize=True)
    return out.getvalue()
