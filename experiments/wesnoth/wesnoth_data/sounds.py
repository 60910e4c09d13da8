"""Sounds of the game: found, decoded, and mixed to the sound of a clip."""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from debian_media import read_sound
from numpy.typing import NDArray

from avhash_nas.errors import AvnasError

Samples = NDArray[np.float32]
_AUDIBLE = 0.02
"""A sound is over when it stays below this fraction of its peak (-34 dB)."""
NOISE = 3e-4
"""Standard deviation of the noise beneath every clip, about -70 dB."""


class Sounds:
    """Reads sounds, and keeps them.

    Args:
        data: The game's folder `data`.
        rate: Samples per second.
    """

    def __init__(self, data: Path, rate: int) -> None:
        self._folders = (data / "core/sounds", data.parent / "sounds")
        self.rate = rate
        self.read = functools.cache(self._read)

    def path(self, name: str) -> Path:
        """The file of a sound.

        Raises:
            AvnasError: There is none.
        """
        for folder in self._folders:
            if name and (folder / name).is_file():
                return folder / name
        raise AvnasError(f"{self._folders[0]}: has no sound {name!r}")

    def _read(self, name: str) -> Samples:
        return read_sound(self.path(name), self.rate)

    def seconds(self, name: str) -> float:
        """How long a sound is heard."""
        samples = np.abs(self.read(name))
        loud = np.flatnonzero(samples > _AUDIBLE * samples.max(initial=1e-6))
        return float(loud[-1] + 1) / self.rate if len(loud) else 0.0

    def mixed(self, cues: Sequence[tuple[float, str]], seconds: float, seed: Sequence[int]) -> Samples:
        """All sounds of a clip, one channel within [-1, 1].

        Args:
            cues: Seconds at which sounds start, and their names.
            seconds: Of the clip.
            seed: Of the noise.
        """
        count = round(seconds * self.rate)
        mixed = np.random.Generator(np.random.Philox(list(seed))).standard_normal(count) * NOISE
        for start, name in cues:
            at = max(round(start * self.rate), 0)
            sound = self.read(name)[: max(count - at, 0)]
            mixed[at : at + len(sound)] += 0.7 * sound
        return mixed.clip(-1, 1).astype(np.float32)
