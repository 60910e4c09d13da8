"""Visual features without weights: spatial color statistics and edge directions."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.extractor import Frames, Vectors, VisualExtractor

_SIDE = 64
_BINS = 8
"""Histogram bins of lightness and of each color coordinate."""

_COLOR_RANGE = 80.0
"""Color coordinates beyond this fall into the outermost bins; pure blue has -108."""

_DIRECTIONS = 8
_MIN_GRADIENT = 0.05
"""Suppresses the directions of much smaller gradients, which are noise."""


class ColorGradients(VisualExtractor):
    """Colors and edges of a frame, as histograms and moments.

    A frame is reduced to 64 x 64 pixels in the color space CIELAB. The vector holds, in this order: mean and standard
    deviation of lightness and both color coordinates in each cell of a grid; a histogram of lightness (8 bins) and one
    of color (8 x 8), with linear interpolation between neighboring bins; and in each cell a histogram of 8 directions
    of the lightness gradient, weighted by its magnitude. Histograms are square roots of shares, so their Euclidean
    distances are Hellinger distances. Scales are fixed, not fitted to data: lightness 0 to 100 becomes -1 to 1, color
    coordinates are divided by 100, a deviation of half the range and a share of a quarter become 1. Values lie in
    [-1.1, 2], most of them in [-1, 1]. For tests and demonstrations: it captures colors, their positions and rough
    shapes, but no objects.

    Args:
        grid: Cells in each direction: 1, 2, 4, 8 or 16.

    Raises:
        AvnasError: The grid has another size.
    """

    def __init__(self, grid: int = 4) -> None:
        if grid not in (1, 2, 4, 8, 16):
            raise AvnasError(f"grid={grid} must be 1, 2, 4, 8 or 16")
        self.grid = grid

    @property
    @override
    def dim(self) -> int:
        return self.grid**2 * (6 + _DIRECTIONS) + _BINS + _BINS**2

    @override
    def arguments(self) -> dict[str, Any]:
        return {"grid": self.grid}

    @override
    def __call__(self, frames: Frames) -> Vectors:
        return torch.stack([self._vector(torch.from_numpy(np.ascontiguousarray(frame))) for frame in frames]).numpy()

    def _vector(self, frame: Tensor) -> Tensor:
        small = adaptive_avg_pool2d(frame.permute(2, 0, 1).float() / 255, _SIDE)
        lightness, *color = lab(small)
        parts = [self._moments(torch.stack([lightness / 50 - 1, *(each / 100 for each in color)]))]
        parts += [_histogram(lightness[None] / 100), _histogram(torch.stack(color) / (2 * _COLOR_RANGE) + 0.5)]
        return torch.cat([*parts, self._directions(lightness / 100)])

    def _cells(self, maps: Tensor) -> Tensor:
        """From (n, 64, 64) to (n, cells, pixels of a cell)."""
        cell = _SIDE // self.grid
        tiles = maps.unfold(1, cell, cell).unfold(2, cell, cell)
        return tiles.reshape(len(maps), self.grid**2, cell**2)

    def _moments(self, maps: Tensor) -> Tensor:
        deviation, mean = torch.std_mean(self._cells(maps), 2, correction=0)
        return torch.cat([mean.flatten(), 2 * deviation.flatten()])

    def _directions(self, lightness: Tensor) -> Tensor:
        """Histogram of gradient directions modulo 180 degrees, so light on dark equals dark on light."""
        down, right = torch.gradient(lightness)
        size = torch.hypot(down, right)
        position = (torch.atan2(down, right) / math.pi * _DIRECTIONS) % _DIRECTIONS
        distance = (position - torch.arange(_DIRECTIONS)[:, None, None]).abs()
        shares = (1 - torch.minimum(distance, _DIRECTIONS - distance)).clamp(min=0) * size
        sums = self._cells(shares).mean(2)
        return 2 * (sums / (sums.sum(0) + _MIN_GRADIENT)).sqrt().flatten()


def lab(rgb: Tensor) -> Tensor:
    """CIELAB of sRGB, with its white point D65 (IEC 61966-2-1; CIE 15).

    Args:
        rgb: Within [0, 1], (3, ...).

    Returns:
        Lightness in [0, 100], and two color coordinates of about [-110, 100]: green to red, and blue to yellow.
    """
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    weights = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
    matrix = torch.tensor(weights)
    ratios = torch.tensordot(matrix / matrix.sum(1, keepdim=True), linear, 1)
    compressed = torch.where(ratios > 216 / 24389, ratios.clamp(min=1e-9) ** (1 / 3), (24389 / 27 * ratios + 16) / 116)
    x, y, z = compressed
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def _histogram(maps: Tensor) -> Tensor:
    """Twice the square roots of the pixel shares in 8 bins per dimension, from (n, H, W) in [0, 1] to (8 ** n,)."""
    position = (maps.flatten(1) * _BINS - 0.5).clamp(0, _BINS - 1)
    shares = (1 - (position[:, None] - torch.arange(_BINS)[:, None]).abs()).clamp(min=0)  # (n, 8, pixels)
    joint = shares[0] if len(maps) == 1 else shares[0] @ shares[1].T
    return 2 * (joint.sum(1) if len(maps) == 1 else joint.flatten()).div(position.shape[1]).sqrt()
