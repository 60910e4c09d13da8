"""What the JSON API answers."""

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


@dataclass(frozen=True)
class Listed:
    """A video that can be chosen and played.

    Attributes:
        id: Its id.
        labels: Names of its classes.
        split: The split that lists it; empty without lists.
        seconds: Duration; 0 where it is not known.
        notes: What was met while its features were made: `no_audio`, `short`, `truncated`, ...
        media: Address of its file, or null.
        thumbnail: Address of a frame of it, or null.
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
    """Some of the videos, in the order of their ids.

    Attributes:
        total: How many there are with this prefix.
        videos: Those of the page.
    """

    total: int
    videos: tuple[Listed, ...]


@dataclass(frozen=True)
class FoundVideo:
    """A video that was found.

    Attributes:
        id: Its id.
        distance: Hamming distance of its code to the query's, 0 to q.
        score: What reranking gave it, the higher the more alike; null where it was not reranked.
        labels: Names of its classes.
        media: Address of its file, or null.
        thumbnail: Address of a frame of it, or null.
    """

    id: str
    distance: int
    score: float | None
    labels: tuple[str, ...]
    media: str | None
    thumbnail: str | None


@dataclass(frozen=True)
class Reply:
    """Answers to a query.

    Attributes:
        query: What was looked for: the id, the code, or the name of the uploaded file.
        bits: Code length q.
        seconds: How long the answer took, waiting included, the upload not.
        notes: What was met while reading an uploaded file: `no_audio`, `short`, `truncated`, ...
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
        videos: Codes in the store.
        bits: Code length q.
        fingerprint: Of the network that made the codes.
        uploads: Whether videos can be sent; without a network or an extraction only ids and codes can.
        rerank: Whether answers can be reranked.
        running: Files that are being decoded.
        waiting: Searches by file that wait for that.
        capacity: How many may wait.
        upload_bytes: Largest file that is taken.
        top: Most answers to one query.
        version: Of this package.
    """

    status: str
    videos: int
    bits: int
    fingerprint: str
    uploads: bool
    rerank: bool
    running: int
    waiting: int
    capacity: int
    upload_bytes: int
    top: int
    version: str


@dataclass(frozen=True)
class Problem:
    """Why there is no answer.

    Attributes:
        error: One line: what is wrong and what to do.
    """

    error: str


def listed(video: Media, catalogue: Catalogue) -> Listed:
    """A line of the list."""
    return Listed(
        video.id,
        _words(video.labels),
        video.split,
        video.seconds,
        _words(video.notes),
        *_addresses(video.id, catalogue),
    )


def found(answer: Answer, catalogue: Catalogue) -> FoundVideo:
    """An answer, with where to see it."""
    labels = answer.labels
    if not labels and (known := catalogue.get(answer.id)):
        labels = _words(known.labels)
    return FoundVideo(answer.id, answer.distance, answer.score, labels, *_addresses(answer.id, catalogue))


def _words(joined: str) -> tuple[str, ...]:
    return tuple(word for word in joined.split(";") if word)


def _addresses(video: str, catalogue: Catalogue) -> tuple[str, str] | tuple[None, None]:
    """Of the file and of the thumbnail."""
    known = catalogue.get(video)
    if known is None or not known.path:
        return None, None
    name = quote(video, safe="")
    return f"/media/{name}", f"/thumbnails/{name}"


class RefusalError(AvnasError):
    """A request that is answered by an error.

    Args:
        status: HTTP status.
        message: One line for the user: what is wrong and what to do.
        retry_after: Seconds after which the same request may succeed, or None.
    """

    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(message)


@dataclass(frozen=True)
class ServiceLimits:
    """Bounds on requests; every one is at least 1.

    Attributes:
        upload_bytes: Size of an uploaded file.
        upload_seconds: Time that an upload may take.
        video_seconds: Duration of a video.
        pixels: Of one frame; the default admits 4K.
        decode_seconds: Time that decoding one file may take, in real time and on the processor.
        decode_bytes: Memory that decoding one file may take.
        workers: Files that are decoded at a time.
        waiting: Searches that may wait for a worker; the next one is told to come back later.
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
        """Check the ranges.

        Raises:
            AvnasError: A bound is below 1.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            if value < 1:
                raise AvnasError(f"limits.{field.name} must be at least 1, got {value}")


DEFAULT_TOP = 10
_SWITCH = {"": None, "true": True, "1": True, "on": True, "false": False, "0": False, "off": False}


def search_options(fields: Mapping[str, str], limits: ServiceLimits) -> tuple[int, bool | None]:
    """`top` and `rerank` of a form; None for a rerank that is left to the service.

    Args:
        fields: Of the form.
        limits: Of the service.

    Raises:
        RefusalError: A field is unknown, or its value is none that it takes (422).
    """
    unknown = sorted(fields.keys() - {"top", "rerank"})
    if unknown:
        raise RefusalError(422, f"unknown field {unknown[0]!r}; there are video, top and rerank")
    top = fields.get("top", "") or str(DEFAULT_TOP)
    if not (top.isascii() and top.isdigit() and len(top) < 10 and 1 <= int(top) <= limits.top):
        raise RefusalError(422, f"top must be between 1 and {limits.top}, got {top!r}")
    rerank = fields.get("rerank", "").lower()
    if rerank not in _SWITCH:
        raise RefusalError(422, f"rerank must be true or false, got {rerank!r}")
    return int(top), _SWITCH[rerank]


def with_descriptions(make: Callable[[], dict[str, Any]], kinds: Iterable[type]) -> Callable[[], dict[str, Any]]:
    """The function that makes a schema, with the descriptions added.

    Args:
        make: Makes the schema, the same one each time.
        kinds: Dataclasses that are components of it.
    """

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
    """First paragraph of a docstring, and its attributes."""
    text, _, attributes = (inspect.getdoc(kind) or "").partition("\n\nAttributes:\n")
    joined = re.sub(r"\n {8,}", " ", attributes)  # continued lines
    return text, dict(re.findall(r"^ {4}(\w+): (.*)$", joined, re.MULTILINE))
