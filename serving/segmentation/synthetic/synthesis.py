"""Random brain images from label maps, made on the fly (domain randomisation).

After Billot et al., "SynthSeg: Segmentation of brain MRI scans of any contrast and resolution
without retraining", Medical Image Analysis 86, 2023. The deformation is sampled straight onto the
training grid (RAS+), so a whole head is never resampled. Everything is in torch on the CPU
or, with `device`, on a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from serving.segmentation.labels import BACKGROUND, CSF, INDEX, LESION
from serving.segmentation.synthetic.appearance import draw_contrast
from serving.segmentation.synthetic.atlas import COMPACT, COMPACT_OF, Atlas, class_table, side_table
from serving.segmentation.synthetic.lesions import add_pathology

FIELD_STEP_MM = 8
"""Distance of the nodes on which the deformation is drawn."""
CORNERS = ((-1, -1, -1), (-1, 1, 1), (1, -1, 1), (1, 1, -1))
"""Where a voxel is sampled (quarters of its size from its centre) so that its grey value is a mixture of
the tissues in it: a tetrahedron, which is half of a box's eight corners at half the price."""
_NOISE_BANK = 1 << 23


@dataclass(frozen=True)
class Sample:
    """image: float32 (D, H, W), normalised; classes: uint8 softmax classes; right: uint8, 1 = right,
    0 = left, 2 = no side. All RAS+ on the synthesiser's grid. contrast: what it was drawn to look like."""

    image: Tensor
    classes: Tensor
    right: Tensor
    contrast: str


class Synthesiser:
    """Draws samples from a list of atlases. Not thread-safe; give each worker its own.

    grid_mm: voxel size of the samples; pathology: share of samples with lesions; not_brains: share
    of samples that show shapes and textures and no brain.
    """

    def __init__(
        self, atlases: list[Atlas], seed: int, device: str = "cpu", pathology: float = 0.6, grid_mm: float = 1.0, not_brains: float = 0.0
    ) -> None:
        self.grid_mm = grid_mm
        self.not_brains = not_brains
        self.rng = np.random.default_rng(seed)
        self.device = torch.device(device)
        self.atlases = atlases
        self.pathology = pathology
        self.generator = torch.Generator(device=self.device).manual_seed(seed)
        # Drawing 5 million normals costs more than the rest of a sample; a window into a bank at a
        # random offset is as good as new.
        self.bank = torch.randn(_NOISE_BANK, generator=self.generator, device=self.device)
        self.classes = torch.from_numpy(class_table()).to(self.device)
        self.sides = torch.from_numpy(side_table()).to(self.device)
        brain = np.array([isinstance(v, str) or 0 < v < 500 for v in COMPACT])
        self.brain = torch.from_numpy(brain).to(self.device)

    def _normal(self, shape: tuple[int, ...]) -> Tensor:
        count = int(np.prod(shape))
        if count > _NOISE_BANK // 2:
            return torch.randn(shape, generator=self.generator, device=self.device)
        start = int(self.rng.integers(_NOISE_BANK - count))
        return self.bank[start : start + count].view(shape)

    def sample(self, size: tuple[int, int, int]) -> Sample:
        """One image with its targets, `size` voxels of `grid_mm`."""
        rng = self.rng
        atlas = self.atlases[int(rng.integers(len(self.atlases)))]
        labels = torch.from_numpy(add_pathology(rng, atlas, self.pathology)).to(self.device)
        flip = bool(rng.random() < 0.5)
        contrast, mean, deviation, lesions_shown = draw_contrast(rng)
        if rng.random() < self.not_brains:
            compact = self._shapes(size)
            image = torch.from_numpy(mean).to(self.device)[compact]
        else:
            compact, image = self._deform(labels, atlas, size, flip, torch.from_numpy(mean).to(self.device))
        table = self.classes.clone()
        # What looks like white matter is to be called white matter, else its truth is noise.
        table[[COMPACT_OF[25], COMPACT_OF[57], COMPACT_OF[77]]] = LESION if lesions_shown else INDEX["cerebral white matter"]
        classes, right = table[compact], self.sides[compact]
        if flip:
            right = torch.where(right < 2, 1 - right, right)
        image += torch.from_numpy(deviation).to(self.device)[compact] * self._normal(size)

        keep = None
        if rng.random() < 0.35:  # skull-stripped
            keep = self.brain[compact]
            if rng.random() < 0.5:
                keep &= classes != CSF
            classes = torch.where(keep, classes, torch.full_like(classes, BACKGROUND))
            right = torch.where(keep, right, torch.full_like(right, 2))
            image *= keep
        image = self._acquire(image, keep)
        if rng.random() < 0.15:
            self._cut_field_of_view(image, classes, right)
        return Sample(self._normalise(image), classes, right, contrast)

    def _deform(self, labels: Tensor, atlas: Atlas, size: tuple[int, int, int], flip: bool, mean: Tensor) -> tuple[Tensor, Tensor]:
        """Compact ids at the voxels' centres (int64), and the mean grey value of what is inside them.

        Affine (rotation, zoom, shear, flip) and elastic; labels are read at the nearest map voxel.
        """
        rng, step = self.rng, max(int(FIELD_STEP_MM / self.grid_mm), 2)
        matrix = self._affine(flip)
        nodes = [-(-n // step) + 1 for n in size]
        axes = [(torch.arange(n, device=self.device) * float(step) - s / 2) * self.grid_mm for n, s in zip(nodes, size, strict=True)]
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij"))
        low, high = atlas.brain_low.astype(float), atlas.brain_high.astype(float)
        # Centre so that a patch smaller than the brain falls anywhere in it; a larger one wanders a little.
        slack = np.maximum((high - low - np.array(size) * self.grid_mm) / 2, 0) + 12
        centre = (low + high) / 2 + rng.uniform(-1, 1, size=3) * slack
        field = torch.from_numpy(matrix.astype(np.float32)).to(self.device) @ grid.reshape(3, -1)
        field = field.view(grid.shape) + torch.from_numpy(centre.astype(np.float32)).to(self.device)[:, None, None, None]
        field += self._smooth(nodes, 4, rng.uniform(0.5, 5.0)) + self._smooth(nodes, 2, rng.uniform(0.2, 2.0))
        full = [(n - 1) * step + 1 for n in nodes]
        dense = F.interpolate(field[None], size=full, mode="trilinear", align_corners=True)[0, :, : size[0], : size[1], : size[2]]
        compact = self._read(labels, dense, np.zeros(3))
        if self.grid_mm <= 1:
            return compact, mean[compact]
        image = torch.zeros(size, device=self.device)
        for corner in CORNERS:
            image += mean[self._read(labels, dense, matrix @ np.array(corner) * self.grid_mm / 4)]
        return compact, image / len(CORNERS)

    def _shapes(self, size: tuple[int, int, int]) -> Tensor:
        """Compact ids of something that is no brain: regions or shells of other tissue, in a block, an
        ellipsoid or everywhere. All its targets are "other head tissue" and background, so a network
        that has seen it does not find thalami in fruit."""
        rng = self.rng
        ids = torch.tensor([i for i, v in enumerate(COMPACT) if isinstance(v, int) and v >= 500], device=self.device)
        axes = [torch.linspace(-1, 1, n, device=self.device) for n in size]
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij")) / torch.from_numpy(
            rng.uniform(0.4, 1.1, size=(3, 1, 1, 1)).astype(np.float32)
        ).to(self.device)
        radius = grid.abs().amax(0) if rng.random() < 0.3 else grid.square().sum(0).sqrt()
        count = int(rng.integers(2, 9))
        if rng.random() < 0.4:
            regions = (radius * count).long().clamp(max=count - 1)
        else:
            nodes = [int(rng.integers(2, 12)) for _ in range(3)]
            draw = torch.randn((1, count, *nodes), generator=self.generator, device=self.device)
            smooth = "nearest" if rng.random() < 0.3 else "trilinear"
            regions = F.interpolate(draw, size=list(size), mode=smooth)[0].argmax(0)
        picked = ids[torch.randperm(len(ids), generator=self.generator, device=self.device)[:count]]
        inside = radius < 1 if rng.random() < 0.8 else torch.ones_like(radius, dtype=torch.bool)
        return picked[regions] * inside

    def _affine(self, flip: bool) -> np.ndarray:
        """A random matrix from sample mm to map voxels."""
        rng = self.rng
        wide = 40 if rng.random() < 0.1 else 15
        matrix = _rotation(np.deg2rad(rng.uniform(-wide, wide, size=3)))
        matrix = matrix @ np.diag(rng.uniform(0.85, 1.18, size=3) * rng.uniform(0.93, 1.07))
        matrix = matrix @ (np.eye(3) + np.triu(rng.uniform(-0.08, 0.08, size=(3, 3)), 1))
        if flip:
            matrix[:, 0] *= -1
        return matrix

    def _read(self, labels: Tensor, dense: Tensor, shift: np.ndarray) -> Tensor:
        """Compact ids (int64) at map positions (3, ...) moved by `shift`; 0 outside the map."""
        index = torch.zeros(dense.shape[1:], dtype=torch.int32, device=self.device)
        inside = torch.ones(dense.shape[1:], dtype=torch.bool, device=self.device)
        for axis in range(3):
            place = (dense[axis] + float(shift[axis])).round_().to(torch.int32)
            extent = labels.shape[axis]
            inside &= (place >= 0) & (place < extent)
            index = index * extent + place.clamp_(0, extent - 1)
        return labels.reshape(-1)[index].long() * inside

    def _smooth(self, nodes: list[int], coarser: int, millimetres: float) -> Tensor:
        """A smooth random displacement (3, nodes...) with the given standard deviation at its nodes."""
        coarse = [max(n // coarser, 2) + 1 for n in nodes]
        draw = torch.randn((1, 3, *coarse), generator=self.generator, device=self.device) * millimetres
        return F.interpolate(draw, size=nodes, mode="trilinear", align_corners=True)[0]

    def _acquire(self, image: Tensor, keep: Tensor | None) -> Tensor:
        """The scanner: blur, bias field, resolution, noise, ghosting, gamma."""
        rng = self.rng
        size = list(image.shape)
        volume = image[None, None]
        for axis in range(2, 5):  # partial volume: tissue borders inside a voxel
            volume = _blur(volume, axis, rng.uniform(0.03, 0.25 if self.grid_mm <= 1 else 0.12))
        if rng.random() < 0.8:
            nodes = [int(rng.integers(2, 6)) for _ in range(3)]
            draw = torch.randn((1, 1, *nodes), generator=self.generator, device=self.device)
            bias = (draw * rng.uniform(0.05, 0.4)).exp()
            volume = volume * F.interpolate(bias, size=size, mode="trilinear", align_corners=True)
        spacing = self._spacing()
        noise = rng.uniform(0.0, 0.05) if rng.random() < 0.9 else rng.uniform(0.05, 0.12)
        if max(spacing) > 1.15 * self.grid_mm:
            low = [max(round(n * self.grid_mm / max(s, self.grid_mm)), 4) for n, s in zip(size, spacing, strict=True)]
            volume = F.interpolate(volume, size=low, mode="area")
            volume = (volume + noise * self._normal((1, 1, *low))).abs()
            volume = F.interpolate(volume, size=size, mode="trilinear", align_corners=False)
        else:
            volume = (volume + noise * self._normal((1, 1, *size))).abs()
        if rng.random() < 0.08:  # ghosting along the phase direction
            axis = int(rng.integers(2, 5))
            shift = size[axis - 2] // int(rng.integers(2, 5))
            volume = volume + rng.uniform(0.02, 0.12) * volume.roll(shift, axis)
        image = volume[0, 0]
        if keep is not None and rng.random() < 0.7:
            image = image * keep
        top = float(image.max()) + 1e-6
        return (image / top).pow(float(np.exp(rng.normal(0, 0.25)))) * top

    def _spacing(self) -> list[float]:
        """Millimetres along each axis of the acquisition: 1 mm, isotropic, or thick slices."""
        rng = self.rng
        draw = rng.random()
        if draw < 0.6:
            return [1.0, 1.0, 1.0]
        if draw < 0.75:
            return [float(rng.uniform(1.1, 2.6))] * 3
        spacing = [float(rng.uniform(0.8, 1.4))] * 3
        spacing[int(rng.choice(3, p=[0.25, 0.2, 0.55]))] = float(rng.uniform(1.5, 6.5))
        return [max(s, 1.0) for s in spacing]

    def _cut_field_of_view(self, image: Tensor, classes: Tensor, right: Tensor) -> None:
        """Part of the head was not scanned: no signal there, and nothing to segment."""
        for _ in range(int(self.rng.integers(1, 3))):
            axis = int(self.rng.integers(3))
            depth = int(self.rng.uniform(0.05, 0.4) * image.shape[axis])
            first = self.rng.random() < 0.5
            for array, value in ((image, 0), (classes, BACKGROUND), (right, 2)):
                part = array.narrow(axis, 0 if first else array.shape[axis] - depth, depth)
                part.fill_(value)

    def _normalise(self, image: Tensor) -> Tensor:
        """As at inference (`normalise.py`), then jittered, since a patch is not a whole scan."""
        thinned = image[::2, ::2, ::2].reshape(-1)
        signal = thinned[thinned > 0.02 * float(thinned.max())]
        if signal.numel() < 50:
            return torch.zeros_like(image)
        high = float(torch.quantile(signal, 0.99))
        scale = float(np.exp(self.rng.normal(0, 0.15)))
        return (image / max(high, 1e-6) * scale).clamp_(0, 2)


def _blur(volume: Tensor, axis: int, weight: float) -> Tensor:
    """Three-tap blur along one axis: weight, 1 - 2*weight, weight (edges keep their value)."""
    n = volume.shape[axis]
    out = volume * (1 - 2 * weight)
    out.narrow(axis, 1, n - 1).add_(volume.narrow(axis, 0, n - 1), alpha=weight)
    out.narrow(axis, 0, n - 1).add_(volume.narrow(axis, 1, n - 1), alpha=weight)
    for edge in (0, n - 1):
        out.narrow(axis, edge, 1).add_(volume.narrow(axis, edge, 1), alpha=weight)
    return out


def _rotation(angles: np.ndarray) -> np.ndarray:
    """Rotation matrix from angles about x, y and z (radians)."""
    (sx, sy, sz), (cx, cy, cz) = np.sin(angles), np.cos(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x
