"""Reproducible extraction of the features of both modalities from a video file."""

import importlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.extractor import AudioExtractor, Extractor, Vectors, VisualExtractor
from avhash_nas.extraction.media_file import Limits, Tracks
from avhash_nas.extraction.video_clip import Clip, read_clip
from avhash_nas.legacy import renamed

_FORMAT = 1
_BASES: dict[str, type[Any]] = {"visual": VisualExtractor, "audio": AudioExtractor}


@dataclass(frozen=True)
class VideoFeatures:
    """Features of one video.

    Attributes:
        visual: One vector per frame, (T, visual dim).
        audio: One vector per segment, (T, audio dim); zeros if the file has no audio.
        seconds: Duration of the video.
        notes: Problems met while reading: `no_audio`, `short`, `truncated`, ... (`Clip.notes`).
    """

    visual: Vectors
    audio: Vectors
    seconds: float
    notes: tuple[str, ...] = ()


class Extraction:
    """Extracts T frames and T segments of a video file and passes each to an extractor.

    `extraction.json` of a feature folder holds `to_dict()`. `Extraction.from_dict` restores it, so that query videos
    get the same features as those in the folder.

    Args:
        visual: From frames to vectors.
        audio: From segments to vectors.
        steps: T, frames and segments of a video.
        dtype: Type of the stored features. With `float16`, features are already rounded here, so queries have the same
            values as stored features.
        tracks: Which of several video and audio tracks of a file are read.
    """

    def __init__(
        self,
        visual: VisualExtractor,
        audio: AudioExtractor,
        steps: int = 25,
        dtype: Literal["float32", "float16"] = "float32",
        tracks: Tracks | None = None,
    ) -> None:
        if steps < 1:
            raise AvnasError(f"steps={steps} must be at least 1")
        if dtype not in ("float32", "float16"):
            raise AvnasError(f"dtype={dtype!r} must be float32 or float16")
        self.visual = visual
        self.audio = audio
        self.steps = steps
        self.dtype = dtype
        self.tracks = tracks or Tracks()
        self._expected: dict[str, str] = {}

    def prepare(self) -> Self:
        """Loads the extractors and compares their weights with the record.

        `features` calls it on first use; a service calls it at its start.

        Raises:
            AvnasError: A checkpoint cannot be loaded, or has other weights than those in `extraction.json`.
        """
        for name, expected in self._expected.items():
            extractor: Extractor = getattr(self, name)
            actual = extractor.fingerprint()
            if actual != expected:
                raise AvnasError(
                    f"{name} extractor {type(extractor).__name__} {extractor.arguments()}: its weights are {actual}, "
                    f"and the features are from {expected}; load the same weights, or extract the videos again"
                )
        self._expected = {}
        return self

    def features(self, path: str | Path, limits: Limits | None = None) -> VideoFeatures:
        """Features of a video file.

        Args:
            path: The file.
            limits: Bounds for untrusted files.

        Raises:
            MediaError: The file is not a video, nothing in it can be decoded, or it exceeds a limit.
            AvnasError: As `prepare`.
        """
        self.prepare()
        clip = read_clip(path, steps=self.steps, rate=self.audio.rate, limits=limits, tracks=self.tracks)
        return self.of_clip(clip)

    def of_clip(self, clip: Clip) -> VideoFeatures:
        """Features of a decoded video."""
        visual = self.visual(clip.frames)
        silent = "no_audio" in clip.notes
        audio = np.zeros((len(clip.segments), self.audio.dim), np.float32) if silent else self.audio(clip.segments)
        return VideoFeatures(self._rounded(visual), self._rounded(audio), clip.seconds, clip.notes)

    def release(self) -> None:
        """Frees the memory of loaded models; they are loaded again when needed."""
        self.visual.release()
        self.audio.release()

    def _rounded(self, vectors: Vectors) -> Vectors:
        return vectors.astype(self.dtype).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """The record of this extraction as JSON values: its settings; class, arguments, weights of the extractors."""
        record: dict[str, Any] = {"format": _FORMAT, "steps": self.steps, "dtype": self.dtype}
        record["tracks"] = asdict(self.tracks)
        for name in _BASES:
            extractor: Extractor = getattr(self, name)
            kind = type(extractor)
            record[name] = {
                "class": f"{kind.__module__}.{kind.__qualname__}",
                "arguments": extractor.arguments(),
                "weights": self._expected.get(name, "") or extractor.fingerprint(),
            }
        return record

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Self:
        """Inverse of `to_dict`. Loads no weights: `prepare` does so and compares them with the record.

        Args:
            record: Content of `extraction.json`.

        Raises:
            AvnasError: The record is invalid or unknown to this version.
        """
        if record.get("format") != _FORMAT:
            raise AvnasError(f"extraction: format {record.get('format')!r} is not {_FORMAT}, which this version reads")
        try:
            parts = {name: renamed(record[name]) for name in _BASES}
            extractors = {
                name: _import_extractor(part["class"], _BASES[name])(**part["arguments"])
                for name, part in parts.items()
            }
            tracks = Tracks(**record.get("tracks", {}))  # earlier versions had no choice
            extraction = cls(**extractors, steps=record["steps"], dtype=record["dtype"], tracks=tracks)
            extraction._expected = {name: str(part["weights"]) for name, part in parts.items()}
        except (KeyError, TypeError) as error:
            raise AvnasError(f"extraction: the record is invalid: {error!r}") from error
        return extraction


def _import_extractor(path: str, base: type[Any]) -> type[Any]:
    module, _, name = path.rpartition(".")
    try:
        extractor = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise AvnasError(f"extraction: extractor {path!r} cannot be imported: {error}") from error
    if not (isinstance(extractor, type) and issubclass(extractor, base)):
        raise AvnasError(f"extraction: {path} is not a subclass of {base.__name__}")
    return extractor
