"""The colours of the labels: the lesion can be told from every structure, also with a colour-vision deficiency."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.imaging.labels import LABELS, LESION, colour_table

# Machado, Oliveira & Fernandes 2009, severity 1.0: linear RGB as a person with the deficiency sees it.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array([[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]]),
    "deuteranopia": np.array([[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]]),
    "tritanopia": np.array([[1.2555, -0.0767, -0.1788], [-0.0784, 0.9309, 0.1476], [0.0047, 0.6914, 0.3039]]),
}
XYZ = np.array([[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]])


def lab(colour: tuple[int, int, int], vision: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) of an sRGB colour."""
    share = np.array(colour) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(np.clip(XYZ @ vision @ linear, 0.009, 1) / (0.9505, 1.0, 1.0888))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
def test_the_lesion_differs_from_every_structure(vision: str):
    lesion = lab(LABELS[LESION].colour, VISION[vision])
    near = {
        label.name: float(np.linalg.norm(lab(label.colour, VISION[vision]) - lesion)) for label in LABELS.values() if label.id != LESION
    }
    assert min(near.values()) > 20, min(near.items(), key=lambda item: item[1])


def test_structures_of_one_colour_are_the_two_sides_of_one():
    by_name = {label.name: lab(label.colour, VISION["normal"]) for label in LABELS.values()}
    names = list(by_name)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            assert np.linalg.norm(by_name[one] - by_name[other]) > 15, (one, other)


def test_the_colour_table_has_the_same_colours():
    rows = {int(row.split()[0]): tuple(int(v) for v in row.split()[2:5]) for row in colour_table().splitlines()[2:]}
    assert rows == {id: label.colour for id, label in LABELS.items()}
