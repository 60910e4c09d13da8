"""What the JSON API answers."""

from dataclasses import dataclass
from urllib.parse import quote

from avhash_nas.data import Media
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
