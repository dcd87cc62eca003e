"""Geometry: any orientation, spacing, handedness, obliquity or shear ends in the same frame and comes back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from serving.segmentation.frame import frame_of, to_network


def blob(points: np.ndarray) -> np.ndarray:
    """A smooth asymmetric function of scanner mm (..., 3)."""
    a = np.exp(-(((points - [6.0, -4.0, 3.0]) / [9.0, 7.0, 8.0]) ** 2).sum(-1))
    b = np.exp(-(((points - [-8.0, 7.0, -5.0]) / [6.0, 8.0, 7.0]) ** 2).sum(-1))
    return (a + 0.5 * b).astype(np.float32)


def scan(shape: tuple[int, int, int], affine: np.ndarray) -> np.ndarray:
    index = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1)
    return blob(index @ affine[:3, :3].T + affine[:3, 3])


def centred(columns: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = columns
    affine[:3, 3] = -columns @ ((np.array(shape) - 1) / 2)
    return affine


def network_truth(frame, start: np.ndarray, size: tuple[int, int, int]) -> np.ndarray:
    index = np.stack(np.meshgrid(*(np.arange(n) for n in size), indexing="ij"), -1)
    return blob((index + start) @ frame.axes.T + frame.origin)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1), (1, -1, -1), (-1, -1, -1)])
def test_every_storage_order_gives_the_same_network_image(order, signs):
    shape = tuple(np.array([40, 48, 44])[list(order)].tolist())
    columns = np.zeros((3, 3))
    for axis, world in enumerate(order):
        columns[world, axis] = signs[axis]
    affine = centred(columns, shape)
    frame = frame_of(shape, affine)
    start, size = frame.snap(np.full(3, -16.0), 1.0), (32, 32, 32)
    assert frame.separable
    np.testing.assert_allclose(to_network(scan(shape, affine), frame, start, size, 1.0), network_truth(frame, start, size), atol=1e-5)
    np.testing.assert_allclose(frame.axes, np.eye(3), atol=1e-9)


def rotated(degrees: float) -> np.ndarray:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


@pytest.mark.parametrize(
    ("columns", "separable"),
    [
        (np.diag([0.8, 0.8, 3.0]), True),
        (np.diag([2.385, 2.39, 2.366]), True),
        (rotated(12) @ np.diag([1.0, 1.1, 1.4]), True),
        (rotated(40) @ np.diag([1.0, 1.1, 1.4]), False),
        (np.array([[1.0, 0.15, 0], [0, 1.0, 0.1], [0, 0, 1.2]]), False),
        (np.array([[0, -1.1, 0.1], [1.0, 0.1, 0], [0, 0, -1.3]]), False),
    ],
)
def test_spacing_obliquity_and_shear(columns, separable):
    shape = tuple(int(70 / n) for n in np.linalg.norm(columns, axis=0))
    affine = centred(columns, shape)
    frame = frame_of(shape, affine)
    assert frame.separable is separable
    assert np.isclose(np.linalg.det(frame.axes), 1)
    start, size = frame.snap(np.full(3, -16.0), 1.0), (32, 32, 32)
    error = np.abs(to_network(scan(shape, affine), frame, start, size, 1.0) - network_truth(frame, start, size))
    assert error.mean() < 0.012  # linear interpolation of a smooth function


def test_voxels_of_one_millimetre_are_copied_not_interpolated():
    shape = (33, 40, 37)
    affine = centred(np.eye(3), shape)
    data = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    frame = frame_of(shape, affine)
    start = frame.snap(frame.offset, 1.0)
    image = to_network(data, frame, start, (64, 64, 64), 1.0)
    np.testing.assert_array_equal(image[:33, :40, :37], data)
    assert not image[33:].any()


def test_outside_the_scan_is_zero_and_the_way_back_is_exact():
    shape = (20, 20, 20)
    frame = frame_of(shape, centred(np.eye(3) * 1.5, shape))
    image = to_network(np.ones(shape, dtype=np.float32), frame, frame.snap(np.full(3, -32.0), 1.0), (64, 64, 64), 1.0)
    assert image[:10].max() == 0 and image[32, 32, 32] == 1
    low, high = frame.bounds()
    np.testing.assert_allclose(high - low, 1.5 * 19)


@pytest.mark.parametrize("affine", [np.zeros((4, 4)), np.diag([1.0, 1.0, np.nan, 1.0]), np.diag([1.0, 1.0, 0.0, 1.0])])
def test_an_affine_without_three_dimensions_is_refused(affine):
    with pytest.raises(ValueError, match="affine"):
        frame_of((10, 10, 10), affine)


@pytest.mark.parametrize("step", [1.0, 2.0])
def test_a_coarser_grid_averages(step):
    shape = (60, 64, 62)
    affine = centred(np.eye(3), shape)
    frame = frame_of(shape, affine)
    start, size = frame.snap(np.full(3, -16.0), step), (16, 16, 16)
    image = to_network(scan(shape, affine), frame, start, size, step)
    index = np.stack(np.meshgrid(*(np.arange(n) * step for n in size), indexing="ij"), -1)
    assert np.abs(image - blob(index + start + frame.origin)).max() < 0.03
