"""Captions of videos, `captions.jsonl`, and what a text encoder makes of them, `text.h5`.

A line of `captions.jsonl` is one caption: `{"video": "v17", "text": "a dog barks", "language": "en"}`. A video has any
number of them. Row i of `vectors` in `text.h5` is the vector of caption i; the file names the encoder and holds a
digest of the captions, so that neither file can be exchanged alone.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from avhash_nas.data.hdf5 import open_file
from avhash_nas.errors import AvnasError, DataError
from avhash_nas.files import write_whole

CAPTIONS_FILE = "captions.jsonl"
TEXT_FILE = "text.h5"
TEXT_ENCODER_FILE = "text_encoder.json"

Vectors = NDArray[np.float32]


class Caption(NamedTuple):
    """A caption of a video; `language` is a tag such as `en` or `pt_BR`, empty if unknown."""

    video: str
    text: str
    language: str = ""


@dataclass(frozen=True)
class CaptionSet:
    """The captions of a dataset, in the order of their file.

    Attributes:
        captions: All n captions.
        rows: Row of each caption's video in the dataset, (n,).
        vectors: What the encoder made of each caption, (n, d), float32; None without `text.h5`.
        encoder: The encoder (`TextEncoder.to_dict`), or None.
    """

    captions: tuple[Caption, ...]
    rows: NDArray[np.int64]
    vectors: Vectors | None = None
    encoder: Mapping[str, Any] | None = None

    def __len__(self) -> int:
        return len(self.captions)

    def of(self, rows: NDArray[np.int64], language: str | None = None) -> NDArray[np.int64]:
        """Positions of the captions of some videos, ascending.

        Args:
            rows: Rows of the videos.
            language: Only captions in this language; None for all.
        """
        chosen = np.isin(self.rows, rows)
        if language is not None:
            chosen &= np.array([caption.language == language for caption in self.captions])
        return np.flatnonzero(chosen)

    @cached_property
    def spans(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Captions sorted by video: their positions, (n,), and where each video's begin, (highest row + 2,)."""
        order = np.argsort(self.rows, kind="stable")
        return order, np.searchsorted(self.rows[order], np.arange(self.rows.max(initial=-1) + 2))


def write_captions(path: Path, captions: Iterable[Caption]) -> None:
    """Writes a caption file atomically."""
    lines = (json.dumps(caption._asdict(), ensure_ascii=False) + "\n" for caption in captions)

    def write(partial: Path) -> None:
        with partial.open("w", encoding="utf-8") as file:
            file.writelines(lines)

    write_whole(path, write)


def parse_captions(path: Path) -> tuple[list[Caption], list[str]]:
    """Reads a caption file.

    Returns:
        Its captions, and one message for each kind of malformed line, which names the first of them.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        return [], [f"{path}: cannot be read: {error.strerror}; dataset.yaml names it, as captions: {path.name}"]
    captions: list[Caption] = []
    wrong: dict[str, list[int]] = {}
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        found = _caption(raw)
        if isinstance(found, Caption):
            captions.append(found)
        elif raw.strip():
            wrong.setdefault(found, []).append(number)
    problems = [f"{path}:{numbers[0]}: {reason}{_more(numbers)}" for reason, numbers in wrong.items()]
    if not captions and not problems:
        problems = [f"{path}: holds no caption"]
    return captions, problems


def _caption(raw: bytes) -> Caption | str:
    """The caption of a line, or what is wrong with it."""
    expected = '{"video": "ID", "text": "WORDS", "language": "en"}'
    try:
        data = json.loads(raw.decode("utf-8"))
    except ValueError:  # includes UnicodeDecodeError
        return f"not a line such as {expected}"
    if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
        return f"not a line such as {expected}"
    if unknown := set(data) - set(Caption._fields):
        return f"unknown entry {min(unknown)!r}; a line is {expected}"
    if not data.get("video"):
        return "lacks the video"
    if not data.get("text", "").strip():
        return "the text is empty; write words or leave the line out"
    return Caption(data["video"], " ".join(data["text"].split()), data.get("language", ""))


def _more(numbers: Sequence[int]) -> str:
    return f" (and {len(numbers) - 1} more such lines)" if len(numbers) > 1 else ""


def match_captions(path: Path, captions: Sequence[Caption], ids: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Rows of the captions' videos, -1 for videos in no list, and a message about these."""
    rows = {video: row for row, video in enumerate(ids)}
    found = np.array([rows.get(caption.video, -1) for caption in captions], np.int64)
    unknown = (found < 0).nonzero()[0].tolist()
    if not unknown:
        return found, []
    videos = len({captions[position].video for position in unknown})
    first = captions[unknown[0]].video
    return found, [
        f"{path}: {len(unknown)} captions are of {videos} videos that are in no list, the first of {first!r}"
    ]


def read_captions(path: Path, ids: Sequence[str], text: Path | None = None) -> CaptionSet:
    """Reads the captions of a dataset, and their vectors.

    Args:
        path: The caption file.
        ids: Ids of the dataset's videos, row by row.
        text: The file of vectors; None without.

    Raises:
        DataError: All problems of both files.
    """
    captions, problems = parse_captions(path)
    rows, unknown = match_captions(path, captions, ids)
    problems += unknown
    vectors, encoder = None, None
    if text is not None and not problems:
        try:
            vectors, encoder = read_text(text, captions, path)
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return CaptionSet(tuple(captions), rows, vectors, encoder)


def captions_digest(captions: Sequence[Caption]) -> str:
    """A digest of captions in their order, 16 hexadecimal digits."""
    digest = hashlib.sha256(json.dumps([list(caption) for caption in captions]).encode())
    return digest.hexdigest()[:16]


def write_text(path: Path, captions: Sequence[Caption], vectors: Vectors, encoder: Mapping[str, Any]) -> None:
    """Writes `text.h5` atomically.

    Args:
        path: The file.
        captions: All captions of the caption file, in its order.
        vectors: A vector of each, (n, d).
        encoder: The encoder (`TextEncoder.to_dict`).
    """

    def write(partial: Path) -> None:
        with h5py.File(partial, "w") as file:
            file["vectors"] = vectors
            file.attrs["captions"] = captions_digest(captions)
            file.attrs["encoder"] = json.dumps(encoder)

    write_whole(path, write)


def read_text(path: Path, captions: Sequence[Caption], source: Path) -> tuple[Vectors, dict[str, Any]]:
    """Reads `text.h5`: a vector of each caption, (n, d), and the encoder.

    Args:
        path: The file.
        captions: The captions that it should be of.
        source: Their file, for errors.

    Raises:
        DataError: It is missing or damaged, is of other captions, or holds NaN or infinite values.
    """
    again = "run `avnas data text` again"
    with open_file(path) as file:
        try:
            vectors = file["vectors"][...].astype(np.float32)
            digest, encoder = str(file.attrs["captions"]), json.loads(str(file.attrs["encoder"]))
        except (OSError, KeyError, RuntimeError, ValueError, AttributeError, TypeError) as error:
            raise DataError([f"{path}: not a file of text vectors, or damaged ({error}); {again}"]) from error
    if vectors.ndim != 2 or not vectors.shape[1] or not isinstance(encoder, dict):
        raise DataError([f"{path}: vectors have shape {vectors.shape}, expected (captions, width); {again}"])
    if digest != captions_digest(captions) or len(vectors) != len(captions):
        raise DataError([f"{path}: is of other captions than those of {source}; {again}"])
    if not (finite := np.isfinite(vectors)).all():
        row, column = np.argwhere(~finite)[0]
        count = f"{int((~finite).sum())} of {vectors.size} values"
        raise DataError([f"{path}: {count} are NaN or infinite, first at caption {row + 1}, dimension {column}"])
    return vectors, encoder


def check_same_encoder(
    expected: Mapping[str, Any] | None, actual: Mapping[str, Any] | None, model: str | Path, text: str | Path
) -> None:
    """Rejects text vectors of another encoder than the one that a model was trained on, as far as both are known.

    Encoders with weights are compared by the weights, wherever these were loaded from.

    Args:
        expected: The model's encoder.
        actual: The encoder of the vectors.
        model: Name of the model in the error.
        text: Name of the vectors in the error.

    Raises:
        AvnasError: The encoders differ.
    """
    if not expected or not actual:
        return
    identity = ("class", "weights" if actual.get("weights") else "arguments")
    if any(expected.get(key) != actual.get(key) for key in identity):
        raise AvnasError(
            f"{text}: its vectors are by {describe_encoder(actual)}, but {model} was trained on vectors by "
            f"{describe_encoder(expected)}; encode the captions with the latter"
        )


def describe_encoder(encoder: Mapping[str, Any]) -> str:
    """An encoder in a few words."""
    name = str(encoder.get("class")).rpartition(".")[2]
    arguments = ", ".join(f"{key}={value}" for key, value in encoder.get("arguments", {}).items())
    return f"{name}({arguments})" + (f" with weights {encoder['weights']}" if encoder.get("weights") else "")


@dataclass(frozen=True)
class CaptionReport:
    """What `avnas data check` says about captions.

    Attributes:
        captions: Number of captions.
        languages: Number of captions in each language.
        videos: Number of videos with captions.
        repeated: Number of captions that another caption of the video repeats word for word.
        width: Width of the text vectors; None without `text.h5`.
        encoder: The encoder in a few words; empty without `text.h5`.
    """

    captions: int
    languages: Mapping[str, int]
    videos: int
    repeated: int
    width: int | None = None
    encoder: str = ""

    @classmethod
    def of(cls, found: CaptionSet) -> "CaptionReport":
        """The report of some captions."""
        languages = Counter(caption.language or "unknown" for caption in found.captions)
        width = None if found.vectors is None else found.vectors.shape[1]
        described = describe_encoder(found.encoder) if found.encoder else ""
        repeated = len(found) - len(set(found.captions))
        return cls(len(found), languages, len(np.unique(found.rows)), repeated, width, described)

    def __str__(self) -> str:
        languages = ", ".join(f"{name} {count}" for name, count in self.languages.items())
        text = f"text vectors of width {self.width} by {self.encoder}" if self.width else "no text vectors"
        return (
            f"{self.captions} captions of {self.videos} videos ({languages}), {self.repeated} of them repeated; {text}"
        )
