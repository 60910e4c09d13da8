"""Features of all clips: extracted by several processes, kept clip by clip, and reduced by what training clips show."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.extraction import Extraction
from avhash_nas.extraction.feature_files import Parts
from avhash_nas.extraction.progress import Progress
from avhash_nas.extraction.video_clip import Clip as DecodedClip
from avhash_nas.extraction.workers import Work, Workers
from avhash_nas.files import write_whole
from wesnoth_data.clip import SECONDS, STEPS, Clip, middles
from wesnoth_data.scene import Renderer
from wesnoth_data.sounds import Sounds

VISUAL_DIM = 256
"""Dimensions that are kept of visual features that have more."""


@dataclass
class ExtractClip(Work):
    """Draws a clip, mixes its sound, and writes the features of both."""

    data: Path
    extraction: Extraction
    parts: Parts
    _renderer: Renderer | None = field(default=None, repr=False)
    _sounds: Sounds | None = field(default=None, repr=False)

    @override
    def prepare(self) -> None:
        self._renderer, self._sounds = Renderer(self.data), Sounds(self.data, self.extraction.audio.rate)
        self.extraction.prepare()

    @override
    def __call__(self, item: Clip) -> str | None:
        assert self._renderer is not None
        assert self._sounds is not None
        samples = self._sounds.mixed(item.cues, SECONDS, (item.seed, 1))
        frames = self._renderer.frames(item, middles())
        distinct: dict[bytes, int] = {}
        places = [distinct.setdefault(frame.tobytes(), len(distinct)) for frame in frames]
        shown = frames[[places.index(i) for i in range(len(distinct))]]  # most frames are the same as others
        features = self.extraction.of_clip(DecodedClip(shown, samples.reshape(STEPS, -1), SECONDS))
        features = replace(features, visual=features.visual[places])
        self.parts.write(key_of(item), features, self.extraction.dtype)
        return None


def key_of(clip: Clip) -> str:
    """A digest of all that decides how a clip looks and sounds."""
    about = (clip.parts, clip.direction, clip.rest, clip.ground, clip.team, clip.shift, clip.seed)
    return hashlib.sha256(repr(about).encode()).hexdigest()[:32]


def work_on(missing: Sequence[Clip], work: Work, workers: int, total: int) -> None:
    """Works on clips, with progress on the standard error stream.

    Args:
        missing: Clips without result.
        work: What is done with each.
        workers: Processes; 0 works in this one.
        total: Number of clips, those with a result included.

    Raises:
        AvnasError: A clip cannot be worked on.
    """
    with Progress(total, total - len(missing)) as progress, Workers(work, workers) as processes:
        if missing and not workers:
            work.prepare()
        results = processes.results(missing) if workers else ((clip, work(clip)) for clip in missing)
        for clip, problem in results:
            if problem:
                raise AvnasError(f"clip {clip.id}: {problem}")
            progress.advance()


def extract(clips: Sequence[Clip], work: ExtractClip, workers: int) -> None:
    """Extracts the clips that have no features yet.

    Raises:
        AvnasError: A file of the game is missing or damaged, or features cannot be written.
    """
    done = work.parts.keys()
    work_on([clip for clip in clips if key_of(clip) not in done], work, workers, len(clips))


@dataclass(frozen=True)
class Projection:
    """An affine map of vectors that was fitted on the training split: y = (x - mean) @ axes."""

    mean: NDArray[np.float64]
    axes: NDArray[np.float64]

    def __call__(self, vectors: NDArray[np.floating]) -> NDArray[np.float16]:
        """Vectors (T, dim) as they are stored, (T, kept)."""
        projected: NDArray[np.float16] = ((vectors.astype(np.float64) - self.mean) @ self.axes).astype(np.float16)
        return projected


def fit_visual(blocks: Iterator[NDArray[np.floating]], kept: int) -> Projection:
    """Principal axes, divided by the standard deviation along the first one.

    Args:
        blocks: Vectors, (n, dim) each.
        kept: How many axes; all if the vectors have no more dimensions.
    """
    mean, covariance = _moments(blocks)
    values, vectors = np.linalg.eigh(covariance)
    axes = vectors[:, ::-1][:, :kept]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])  # eigh leaves the sign open
    return Projection(mean, axes / np.sqrt(max(values[-1], 1e-12)))


def fit_audio(blocks: Iterator[NDArray[np.floating]]) -> Projection:
    """Mean 0 and standard deviation 1 in each dimension."""
    mean, covariance = _moments(blocks)
    return Projection(mean, np.diag(1 / np.sqrt(np.maximum(np.diag(covariance), 1e-12))))


def _moments(blocks: Iterator[NDArray[np.floating]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (dim,) and covariance (dim, dim) of all vectors."""
    count, total, products = 0, np.zeros(1), np.zeros((1, 1))
    for block in blocks:
        exact = block.astype(np.float64)
        count, total, products = count + len(exact), total + exact.sum(0), products + exact.T @ exact
    mean = total / count
    return mean, products / count - np.outer(mean, mean)


def write_features(out: Path, clips: Sequence[Clip], splits: Mapping[str, str], parts: Parts) -> None:
    """Writes image.h5 and audio.h5 with a group for each clip, float16.

    Args:
        out: Their folder.
        clips: All clips.
        splits: Clip id -> split; what is fitted sees the training split only.
        parts: Features of all clips.
    """
    training = [clip for clip in clips if splits[clip.id] == "train"]
    visual = fit_visual((_read(parts, clip)[0] for clip in training), VISUAL_DIM)
    audio = fit_audio(_read(parts, clip)[1] for clip in training)

    def write(partial: Path, modality: int, projection: Projection) -> None:
        with h5py.File(partial, "w") as file:
            for clip in clips:
                vectors = projection(_read(parts, clip)[modality])
                file.create_group(clip.id).create_dataset(
                    "vectors", data=vectors, compression="gzip", compression_opts=4, shuffle=True
                )

    write_whole(out / "image.h5", lambda partial: write(partial, 0, visual))
    write_whole(out / "audio.h5", lambda partial: write(partial, 1, audio))


def _read(parts: Parts, clip: Clip) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    features = parts.read(key_of(clip))
    if features is None:
        parts.drop(key_of(clip))
        raise AvnasError(f"clip {clip.id}: its features are damaged; the same command makes them again")
    return features.visual, features.audio
