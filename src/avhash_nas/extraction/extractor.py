"""What turns frames and audio segments into features."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
Segments = NDArray[np.float32]
Vectors = NDArray[np.float32]


class Extractor(ABC):
    """What the extractors of both modalities have in common.

    A subclass returns from `arguments` what its constructor needs to make the same features again; with the class's
    path it is written to `extraction.json`. Objects are pickled, to go to worker processes.
    """

    @property
    @abstractmethod
    def dim(self) -> int:
        """Dimensions of a vector."""

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """The constructor's arguments that decide the features, as JSON values.

        Those that say where and how fast it runs (device, batch size) are left out: another machine may want others.
        """

    def fingerprint(self) -> str:
        """A digest of the weights, which are loaded for it; empty for an extractor without weights."""
        return ""

    def release(self) -> None:  # noqa: B027
        """Give back the memory of what was loaded; when it is needed again, it is loaded again."""


class VisualExtractor(Extractor):
    """From frames to vectors."""

    @abstractmethod
    def __call__(self, frames: Frames) -> Vectors:
        """A vector for each frame.

        Args:
            frames: RGB, upright, shape (T, H, W, 3).

        Returns:
            Shape (T, dim).
        """


class AudioExtractor(Extractor):
    """From audio segments to vectors.

    Attributes:
        rate: Samples a second that it takes.
    """

    rate: int = 16000

    @abstractmethod
    def __call__(self, segments: Segments) -> Vectors:
        """A vector for each segment.

        Args:
            segments: Mono, within [-1, 1], shape (T, S), S at least 1.

        Returns:
            Shape (T, dim).
        """
