"""Features that can be used but are probably not what they should be."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from avhash_nas.data.hdf5 import Shape
from avhash_nas.data.problems import Problem, summarize


@dataclass
class Suspicions:
    """What is suspicious in a feature file.

    Attributes:
        frames: T.
        dim: Dimensions of a time step.
        zero: Ids of videos with zeros only.
        constant: Ids of videos whose time steps are all equal, but not zero.
    """

    frames: int = 0
    dim: int = 0
    zero: list[str] = field(default_factory=list)
    constant: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, shape: Shape | None) -> Self:
        """Before any video is looked at."""
        return cls() if shape is None else cls(shape.frames, shape.dim)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of ``to_dict``."""
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def look_at(self, video: str, array: NDArray[np.floating[Any]]) -> None:
        """Notes a video's vectors, (T, dim), if they are suspicious."""
        if not array.any():
            self.zero.append(video)
        elif len(array) > 1 and (array == array[0]).all():
            self.constant.append(video)

    def lines(self, path: Path, *, every: bool = False) -> tuple[str, ...]:
        """Warnings: one line for each kind, or for every video.

        Args:
            path: The feature file.
            every: A line for each video.
        """
        videos = [Problem.of_video(path, video, "all values are zero") for video in self.zero]
        videos += [Problem.of_video(path, video, "all time steps are equal") for video in self.constant]
        shape = f"{path}: T = {self.frames} is larger than dim = {self.dim}: do the vectors lie as (dim, T)?"
        return (*([shape] if self.frames > self.dim else []), *summarize(videos, every=every))
