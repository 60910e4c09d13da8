"""Types of the JSON API: limits and errors, responses, and form options."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import quote

from avhash_nas.data import Media
from avhash_nas.errors import AvnasError
from avhash_nas.serving.catalogue import Catalogue
from avhash_nas.serving.video_search import Answer


class RefusalError(AvnasError):
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        message: One line for the user.
        retry_after: Seconds after which to retry, or None.
    """

    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(message)


@dataclass(frozen=True)
class ServiceLimits:
    """Limits on requests, each at least 1.

    Attributes:
        upload_bytes: Size of an uploaded file.
        upload_seconds: Duration of an upload.
        video_seconds: Duration of a video.
        pixels: Pixels of a frame; the default admits 4K.
        decode_seconds: Wall-clock and CPU time to decode a file.
        decode_bytes: Memory to decode a file.
        workers: Files decoded at a time.
        waiting: Searches that wait for a worker; further ones are rejected.
        top: Answers to one query.
    """

    upload_bytes: int = 200 * 2**20
    upload_seconds: int = 120
    video_seconds: int = 3600
    pixels: int = 4096 * 2304
    decode_seconds: int = 30
    decode_bytes: int = 2**30
    workers: int = 2
    waiting: int = 16
    top: int = 100

    def __post_init__(self) -> None:
        """Raises AvnasError if a limit is below 1."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value < 1:
                raise AvnasError(f"limits.{field.name} must be at least 1, got {value}")


@dataclass(frozen=True)
class Listed:
    """A video that can be selected and played.

    Attributes:
        id: Its id.
        labels: Names of its classes.
        split: Its split; empty if unknown.
        seconds: Duration; 0 if unknown.
        notes: Warnings of the feature extraction: `no_audio`, `short`, `truncated`, ...
        media: URL of its file, or null.
        thumbnail: URL of its thumbnail, or null.
    """

    id: str
    labels: tuple[str, ...]
    split: str
    seconds: float
    notes: tuple[str, ...]
    media: str | None
    thumbnail: str | None


@dataclass(frozen=True)
class ListPage:
    """A page of the list, sorted by id.

    Attributes:
        total: Number of videos with the prefix.
        videos: Videos of the page.
    """

    total: int
    videos: tuple[Listed, ...]


@dataclass(frozen=True)
class FoundVideo:
    """An answer to a query.

    Attributes:
        id: Its id.
        distance: Hamming distance of its code to the query's, 0 to q.
        score: Similarity by rerank, higher is more similar; null if not reranked.
        labels: Names of its classes.
        media: URL of its file, or null.
        thumbnail: URL of its thumbnail, or null.
        step: The time step that a text gates most, from 0, which the thumbnail shows; null for other queries.
    """

    id: str
    distance: int
    score: float | None
    labels: tuple[str, ...]
    media: str | None
    thumbnail: str | None
    step: int | None


@dataclass(frozen=True)
class Reply:
    """Answers to a query.

    Attributes:
        query: The id, the code, the text, or the name of the uploaded file.
        bits: Code length q.
        seconds: Time to answer, including waiting, excluding the upload.
        notes: Warnings on the uploaded file: `no_audio`, `short`, `truncated`, ...
        answers: Best first.
    """

    query: str
    bits: int
    seconds: float
    notes: tuple[str, ...]
    answers: tuple[FoundVideo, ...]


@dataclass(frozen=True)
class Health:
    """State of the service.

    Attributes:
        status: `ok`.
        videos: Number of codes in the store.
        bits: Code length q.
        fingerprint: Fingerprint of the network that computed the codes.
        uploads: Whether videos can be uploaded; this needs a network and an extraction.
        texts: Whether texts can be searched for; this needs a network with a text side.
        classes: Names of the classes by which the answers to a text can be limited.
        rerank: Whether answers can be reranked.
        running: Number of files being decoded.
        waiting: Number of searches waiting for a decoder.
        capacity: Number of searches that may wait.
        upload_bytes: Size limit of an uploaded file.
        top: Maximum number of answers to a query.
        version: Version of this package.
    """

    status: str
    videos: int
    bits: int
    fingerprint: str
    uploads: bool
    texts: bool
    classes: tuple[str, ...]
    rerank: bool
    running: int
    waiting: int
    capacity: int
    upload_bytes: int
    top: int
    version: str


@dataclass(frozen=True)
class Problem:
    """An error.

    Attributes:
        error: One line: the cause and what to do.
    """

    error: str


def listed(video: Media, catalogue: Catalogue) -> Listed:
    """A video of the list."""
    return Listed(
        video.id,
        _words(video.labels),
        video.split,
        video.seconds,
        _words(video.notes),
        *_addresses(video.id, catalogue),
    )


_FRAMES = 256
"""Most time steps of which a thumbnail shows one."""


def found_video(answer: Answer, catalogue: Catalogue, steps: int | None) -> FoundVideo:
    """An answer with its URLs; `steps` is the number of time steps that the store keeps."""
    labels = answer.labels
    if not labels and (video := catalogue.get(answer.id)):
        labels = _words(video.labels)
    media, thumbnail = _addresses(answer.id, catalogue)
    if thumbnail is not None and answer.step is not None and steps is not None and steps <= _FRAMES:
        thumbnail += f"?step={answer.step}&of={steps}"
    return FoundVideo(answer.id, answer.distance, answer.score, labels, media, thumbnail, answer.step)


def _words(joined: str) -> tuple[str, ...]:
    return tuple(word for word in joined.split(";") if word)


def _addresses(video: str, catalogue: Catalogue) -> tuple[str, str] | tuple[None, None]:
    """URLs of the file and of the thumbnail."""
    listed = catalogue.get(video)
    if listed is None or not listed.path:
        return None, None
    name = quote(video, safe="")
    return f"/media/{name}", f"/thumbnails/{name}"


DEFAULT_TOP = 10
_SWITCH = {"": None, "true": True, "1": True, "on": True, "false": False, "0": False, "off": False}


def search_options(fields: Mapping[str, str], limits: ServiceLimits) -> tuple[int, bool | None]:
    """Parses `top` and `rerank` of a form; a missing rerank is None.

    Raises:
        RefusalError: A field is unknown or its value invalid (422).
    """
    unknown = sorted(fields.keys() - {"top", "rerank"})
    if unknown:
        raise RefusalError(422, f"unknown field {unknown[0]!r}; expected video, top or rerank")
    top = fields.get("top", "") or str(DEFAULT_TOP)
    if not (top.isascii() and top.isdigit() and len(top) < 10 and 1 <= int(top) <= limits.top):
        raise RefusalError(422, f"top must be between 1 and {limits.top}, got {top!r}")
    rerank = fields.get("rerank", "").lower()
    if rerank not in _SWITCH:
        raise RefusalError(422, f"rerank must be true or false, got {rerank!r}")
    return int(top), _SWITCH[rerank]


def with_descriptions(make: Callable[[], dict[str, Any]], kinds: Iterable[type]) -> Callable[[], dict[str, Any]]:
    """Wraps a function that returns an OpenAPI schema to add descriptions from docstrings of dataclasses."""

    def described() -> dict[str, Any]:
        schema = make()
        for kind in kinds:
            component = schema["components"]["schemas"][kind.__name__]
            component["description"], attributes = _parts(kind)
            for name, text in attributes.items():
                component["properties"][name]["description"] = text
        return schema

    return described


def _parts(kind: type) -> tuple[str, dict[str, str]]:
    """First paragraph and attributes of a docstring."""
    text, _, attributes = (inspect.getdoc(kind) or "").partition("\n\nAttributes:\n")
    joined = re.sub(r"\n {8,}", " ", attributes)  # continued lines
    return text, dict(re.findall(r"^ {4}(\w+): (.*)$", joined, re.MULTILINE))
