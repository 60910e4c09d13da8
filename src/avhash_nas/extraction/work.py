"""The long part of an extraction: every video that is not done yet, by this process or several."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import numpy as np

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.extraction import Extraction
from avhash_nas.extraction.listing import VideoFile
from avhash_nas.extraction.media_file import Limits, MediaError
from avhash_nas.extraction.parts import Parts
from avhash_nas.extraction.progress import Progress
from avhash_nas.extraction.workers import Work, Workers

_MOST_WORKERS = 4


@dataclass(frozen=True)
class ExtractVideo(Work):
    """Makes the part of a video.

    Args:
        extraction: How to make features.
        parts: Where they go.
        limits: Bounds on reading a video.
    """

    extraction: Extraction
    parts: Parts
    limits: Limits

    def prepare(self) -> None:
        """Load the models and try them."""
        self.extraction.prepare()
        _ = self.extraction.visual.dim, self.extraction.audio.dim

    def __call__(self, item: VideoFile) -> str | None:
        """Why the video gives no features; None when they are on disk."""
        try:
            features = self.extraction.features(item.path, self.limits)
        except MediaError as error:
            return error.reason
        if not (np.isfinite(features.visual).all() and np.isfinite(features.audio).all()):
            return "its features are not finite numbers"
        self.parts.write(item.key, features, self.extraction.dtype)
        return None


def count_workers(workers: int | None) -> int:
    """How many processes there shall be.

    Args:
        workers: As asked for; None takes one for each core, at most 4.

    Raises:
        AvnasError: It is negative.
    """
    if workers is None:
        return min(_MOST_WORKERS, os.cpu_count() or 1)
    if workers < 0:
        raise AvnasError(f"workers={workers} must be at least 0")
    return workers


def extract_all(work: ExtractVideo, videos: Sequence[VideoFile], done: int, workers: int) -> list[tuple[str, str]]:
    """Work on videos, with progress on the standard error stream.

    Args:
        work: What is done with each.
        videos: The videos.
        done: Number of videos that were done before.
        workers: Processes; 0 works in this one.

    Returns:
        The files that gave no features, with the reason, by name.

    Raises:
        AvnasError: Nothing can be extracted, or nothing can be written.
    """
    problems = []
    with _stopped_by_sigterm(), Progress(done + len(videos), done) as progress:
        for video, reason in _results(work, videos, workers):
            progress.advance(failed=reason is not None)
            if reason is not None:
                problems.append((str(video.path), reason))
    return sorted(problems)


def _results(work: ExtractVideo, videos: Sequence[VideoFile], workers: int) -> Iterator[tuple[VideoFile, str | None]]:
    if not videos:
        return
    if workers == 0:
        work.prepare()
        yield from ((video, work(video)) for video in videos)
        return
    work.extraction.release()  # the processes load their own
    with Workers(work, workers) as processes:
        yield from processes.results(videos)


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """SIGTERM within the block ends this process as Ctrl-C does: worker processes are ended, progress is told."""

    def stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise SystemExit(128 + signum)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
