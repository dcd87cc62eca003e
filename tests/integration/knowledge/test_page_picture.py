"""A page as a picture: the quotation is marked where it stands, and a bad file hurts nobody."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reportlab.pdfgen.canvas import Canvas

from infra.errors import CorruptFile, NotFound
from knowledge.reading.picture import page_picture


@pytest.fixture
def pdf(tmp_path: Path) -> Path:
    path = tmp_path / "notes.pdf"
    canvas = Canvas(str(path), pagesize=(400, 300))
    canvas.drawString(40, 250, "The heart pumps blood through the body.")
    canvas.drawString(40, 100, "Aspirin thins the blood and prevents clots.")
    canvas.showPage()
    canvas.drawString(40, 250, "The second page.")
    canvas.save()
    return path


def yellow(drawn: bytes) -> np.ndarray:
    """Rows of the picture on which something is marked, as shares of its height."""
    pixels = np.asarray(Image.open(io.BytesIO(drawn)).convert("RGB"), int)
    rows = np.flatnonzero(((pixels[..., 0] - pixels[..., 2]) > 60).any(1))
    return rows / pixels.shape[0]


def test_the_quotation_is_marked_where_it_stands(pdf: Path) -> None:
    rows = yellow(page_picture(pdf, 1, "Aspirin thins the blood\nand prevents clots."))
    assert 0.6 < rows.min() < rows.max() < 0.72  # 100 points above the bottom of 300
    assert len(yellow(page_picture(pdf, 2, "Aspirin thins the blood and prevents clots."))) == 0
    assert len(yellow(page_picture(pdf, 2))) == 0


def test_what_cannot_be_shown(pdf: Path, tmp_path: Path) -> None:
    for number in (0, 3):
        with pytest.raises(NotFound):
            page_picture(pdf, number)
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(pdf.read_bytes()[:200])
    with pytest.raises(CorruptFile):
        page_picture(broken, 1)
