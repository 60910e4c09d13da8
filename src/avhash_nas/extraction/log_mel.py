"""Audio features without weights: mean level of each mel band, and its deviation."""

import math
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.extractor import AudioExtractor, Segments, Vectors

_WINDOW, _HOP, _FFT = 0.025, 0.010, 512
_LOWEST, _HIGHEST = 50.0, 7600.0
_FLOOR = -80.0
"""Decibels relative to full scale; anything softer is silence."""


class LogMel(AudioExtractor):
    """Mean and standard deviation over a segment of the level in each band of the mel scale.

    Power spectra of Hann windows (25 ms, every 10 ms) are summed over triangular bands between 50 and 7600 Hz, equally
    wide on O'Shaughnessy's mel scale, and converted to decibels relative to a full-scale sine, at least -80. A mean of
    -80 to 0 dB becomes -1 to 1, and a standard deviation of 20 dB becomes 1; nothing is fitted to data. Silence gives
    -1 and 0. A segment shorter than a window is padded with silence. For tests and demonstrations: it captures pitch,
    loudness and noise, but no words and no kinds of sound.

    Args:
        bands: Number of bands.

    Raises:
        AvnasError: No bands, or so many that one is narrower than the spectrum resolves.
    """

    def __init__(self, bands: int = 64) -> None:
        if not 1 <= bands <= 80:
            raise AvnasError(f"bands={bands} must be between 1 and 80")
        self.bands = bands

    @property
    @override
    def dim(self) -> int:
        return 2 * self.bands

    @override
    def arguments(self) -> dict[str, Any]:
        return {"bands": self.bands}

    @override
    def __call__(self, segments: Segments) -> Vectors:
        vectors = [self._vector(torch.from_numpy(np.ascontiguousarray(segment))) for segment in segments]
        return torch.stack(vectors).numpy()

    def _vector(self, segment: Tensor) -> Tensor:
        levels = self.levels(segment)
        deviation, mean = torch.std_mean(levels, 0, correction=0)
        return torch.cat([1 - 2 * mean / _FLOOR, deviation / 20])

    def levels(self, segment: Tensor) -> Tensor:
        """Levels of the samples (S,) in decibels, between -80 and about 0, one row per window, (windows, bands)."""
        window, hop = round(_WINDOW * self.rate), round(_HOP * self.rate)
        padded = torch.nn.functional.pad(segment, (0, max(0, window - len(segment))))
        spectra = torch.fft.rfft(padded.unfold(0, window, hop) * self._window, _FFT)
        power = spectra.real**2 + spectra.imag**2
        return 10 * torch.log10((power @ self._filters).clamp(min=10 ** (_FLOOR / 10)))

    @cached_property
    def _window(self) -> Tensor:
        """Hann window, scaled so that a sine of amplitude 1 has power 1."""
        window = torch.hann_window(round(_WINDOW * self.rate), dtype=torch.float64)
        return (2 * window / window.sum()).float()

    @cached_property
    def _filters(self) -> Tensor:
        """Triangular filters of height 1, (bins of the spectrum, bands)."""
        edges = _hertz(torch.linspace(_mel(_LOWEST), _mel(_HIGHEST), self.bands + 2, dtype=torch.float64))
        bins = torch.arange(_FFT // 2 + 1, dtype=torch.float64)[:, None] * self.rate / _FFT
        left, middle, right = edges[:-2], edges[1:-1], edges[2:]
        up, down = (bins - left) / (middle - left), (right - bins) / (right - middle)
        return torch.minimum(up, down).clamp(min=0).float()


def _mel(hertz: float) -> float:
    return 2595 * math.log10(1 + hertz / 700)


def _hertz(mel: Tensor) -> Tensor:
    return 700 * (10 ** (mel / 2595) - 1)
