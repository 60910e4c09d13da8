"""Clips as mp4 files, and a picture of some of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from debian_media import write_mp4
from PIL import Image
from typing_extensions import override

from avhash_nas.extraction.workers import Work
from avhash_nas.files import write_whole
from wesnoth_data.clip import SECONDS, Clip, middles
from wesnoth_data.features import work_on
from wesnoth_data.scene import SIDE, Renderer
from wesnoth_data.sounds import Sounds

FRAME_RATE = 20
SOUND_RATE = 44100
_ZOOM = 2
"""Pixels of an mp4 file for one of a picture, as its colors have half the resolution."""


@dataclass
class MakeVideo(Work):
    """Writes the mp4 file of a clip, whole or not at all."""

    data: Path
    folder: Path
    _renderer: Renderer | None = field(default=None, repr=False)
    _sounds: Sounds | None = field(default=None, repr=False)

    @override
    def prepare(self) -> None:
        self._renderer, self._sounds = Renderer(self.data), Sounds(self.data, SOUND_RATE)

    @override
    def __call__(self, item: Clip) -> str | None:
        assert self._renderer is not None
        assert self._sounds is not None
        frames = self._renderer.frames(item, [(i + 0.5) / FRAME_RATE for i in range(round(SECONDS * FRAME_RATE))])
        large = frames.repeat(_ZOOM, 1).repeat(_ZOOM, 2)
        samples = self._sounds.mixed(item.cues, SECONDS, (item.seed, 1))
        size = (SIDE * _ZOOM, SIDE * _ZOOM)
        write_whole(self.path(item), lambda partial: write_mp4(partial, large, size, FRAME_RATE, samples, SOUND_RATE))
        return None

    def path(self, clip: Clip) -> Path:
        """The file of a clip."""
        return self.folder / f"{clip.id}.mp4"


def make_videos(clips: Sequence[Clip], work: MakeVideo, workers: int) -> None:
    """Makes the files that are missing.

    Raises:
        AvnasError: A file of the game is missing or damaged, or a video cannot be written.
    """
    work_on([clip for clip in clips if not work.path(clip).exists()], work, workers, len(clips))


def write_contact_sheet(path: Path, clips: Sequence[Clip], data: Path) -> None:
    """Writes a picture with a row for each clip: every second of its 25 frames."""
    renderer = Renderer(data)
    rows = [np.concatenate(list(renderer.frames(clip, middles()[::2])), axis=1) for clip in clips]
    sheet = Image.fromarray(np.concatenate(rows))
    write_whole(path, lambda partial: sheet.save(partial, "PNG"))
