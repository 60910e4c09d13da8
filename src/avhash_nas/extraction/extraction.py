"""From a video file to the features of both modalities, in a way that can be written down and done again."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.clip import Clip, read_clip
from avhash_nas.extraction.extractor import AudioExtractor, Extractor, Vectors, VisualExtractor
from avhash_nas.extraction.media_file import Limits
from avhash_nas.legacy import renamed

_FORMAT = 1
_BASES: dict[str, type[Any]] = {"visual": VisualExtractor, "audio": AudioExtractor}


@dataclass(frozen=True)
class VideoFeatures:
    """Features of one video.

    Attributes:
        visual: A vector for each of T frames, (T, visual dim).
        audio: A vector for each of T segments, (T, audio dim); zeros where the file has no audio.
        seconds: Duration of the video.
        notes: What was met while reading: `no_audio`, `short`, `truncated`, ... (`Clip.notes`).
    """

    visual: Vectors
    audio: Vectors
    seconds: float
    notes: tuple[str, ...] = ()


class Extraction:
    """How features are made from a video file: T frames and T segments, each through an extractor.

    `extraction.json` of a feature folder holds `to_dict()`; a video that is looked up later goes through
    `Extraction.from_dict` of it, and so gets the features that it would have got among the others.

    Args:
        visual: From frames to vectors.
        audio: From segments to vectors.
        steps: T, frames and segments of a video.
        dtype: Type that features are stored in. Those of `float16` are rounded to it here already, so that a query
            sees the same values as the stored ones.
    """

    def __init__(
        self,
        visual: VisualExtractor,
        audio: AudioExtractor,
        steps: int = 25,
        dtype: Literal["float32", "float16"] = "float32",
    ) -> None:
        if steps < 1:
            raise AvnasError(f"steps={steps} must be at least 1")
        if dtype not in ("float32", "float16"):
            raise AvnasError(f"dtype={dtype!r} must be float32 or float16")
        self.visual = visual
        self.audio = audio
        self.steps = steps
        self.dtype = dtype
        self._expected: dict[str, str] = {}

    def prepare(self) -> Self:
        """Load what the extractors need and check that the weights are those that are expected.

        `features` does so the first time; a program that waits for videos calls it early.

        Raises:
            AvnasError: A checkpoint cannot be loaded, or has other weights than the ones in `extraction.json`.
        """
        for name, expected in self._expected.items():
            extractor: Extractor = getattr(self, name)
            found = extractor.fingerprint()
            if found != expected:
                raise AvnasError(
                    f"{name} extractor {type(extractor).__name__} {extractor.arguments()}: its weights are {found}, and"
                    f" the features were made with {expected}; load the same weights, or extract the videos again"
                )
        self._expected = {}
        return self

    def features(self, path: str | Path, limits: Limits | None = None) -> VideoFeatures:
        """Features of a video file.

        Args:
            path: The file.
            limits: Bounds for files that nobody vouches for.

        Raises:
            MediaError: The file is no video, nothing in it can be decoded, or it is beyond a limit.
            AvnasError: As `prepare`.
        """
        self.prepare()
        return self.of_clip(read_clip(path, steps=self.steps, rate=self.audio.rate, limits=limits))

    def of_clip(self, clip: Clip) -> VideoFeatures:
        """Features of what was decoded from a video file.

        Args:
            clip: Its frames and segments.
        """
        visual = self.visual(clip.frames)
        silent = "no_audio" in clip.notes
        audio = np.zeros((len(clip.segments), self.audio.dim), np.float32) if silent else self.audio(clip.segments)
        return VideoFeatures(self._rounded(visual), self._rounded(audio), clip.seconds, clip.notes)

    def release(self) -> None:
        """Give back the memory of what the extractors have loaded; when it is needed again, it is loaded again."""
        self.visual.release()
        self.audio.release()

    def _rounded(self, vectors: Vectors) -> Vectors:
        return vectors.astype(self.dtype).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """All that makes these features, as JSON values: classes by import path, their arguments, their weights."""
        described: dict[str, Any] = {"format": _FORMAT, "steps": self.steps, "dtype": self.dtype}
        for name in _BASES:
            extractor: Extractor = getattr(self, name)
            kind = type(extractor)
            described[name] = {
                "class": f"{kind.__module__}.{kind.__qualname__}",
                "arguments": extractor.arguments(),
                "weights": self._expected.get(name, "") or extractor.fingerprint(),
            }
        return described

    @classmethod
    def from_dict(cls, described: dict[str, Any]) -> Self:
        """Inverse of `to_dict`. Nothing is loaded yet: `prepare` does so and compares the weights.

        Args:
            described: What `extraction.json` holds.

        Raises:
            AvnasError: It describes no extraction, or one that this version does not know.
        """
        if described.get("format") != _FORMAT:
            raise AvnasError(
                f"extraction: format {described.get('format')!r} is not {_FORMAT}, which this version reads"
            )
        try:
            parts = {name: renamed(described[name]) for name in _BASES}
            made = {
                name: _import_extractor(part["class"], _BASES[name])(**part["arguments"])
                for name, part in parts.items()
            }
            extraction = cls(**made, steps=described["steps"], dtype=described["dtype"])
            extraction._expected = {name: str(part["weights"]) for name, part in parts.items()}
        except (KeyError, TypeError) as error:
            raise AvnasError(f"extraction: cannot be made from what was written down: {error!r}") from error
        return extraction


def _import_extractor(path: str, base: type[Any]) -> type[Any]:
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise AvnasError(f"extraction: extractor {path!r} cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise AvnasError(f"extraction: {path} is no {base.__name__}")
    return found
