"""Base classes of the extractors: from frames and audio segments to features."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
Segments = NDArray[np.float32]
Vectors = NDArray[np.float32]


class Extractor(ABC):
    """Common interface of the extractors of both modalities.

    `extraction.json` records the class path and ``arguments``, from which the same extractor is created again.
    Extractors are pickled and sent to worker processes.
    """

    @property
    @abstractmethod
    def dim(self) -> int:
        """Dimensions of a vector."""

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """The constructor's arguments that determine the features, as JSON values.

        Those for device, batch size and the like are left out: they may differ between machines.
        """

    def fingerprint(self) -> str:
        """A digest of the weights, which are loaded for it; empty for an extractor without weights."""
        return ""

    def release(self) -> None:  # noqa: B027
        """Frees the memory of loaded weights; they are loaded again when needed."""


class VisualExtractor(Extractor):
    """From frames to vectors."""

    @abstractmethod
    def __call__(self, frames: Frames) -> Vectors:
        """One vector per frame.

        Args:
            frames: RGB, upright, (T, H, W, 3).

        Returns:
            (T, dim).
        """


class AudioExtractor(Extractor):
    """From audio segments to vectors.

    Attributes:
        rate: Expected samples per second.
    """

    rate: int = 16000

    @abstractmethod
    def __call__(self, segments: Segments) -> Vectors:
        """One vector per segment.

        Args:
            segments: Mono, within [-1, 1], (T, S), S at least 1.

        Returns:
            (T, dim).
        """
