"""Processes that work on videos side by side, and survive what a damaged video does to one of them."""

import multiprocessing
import os
import signal
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType, TracebackType
from typing import Any, Self

import numpy as np

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.extraction import Extraction
from avhash_nas.extraction.feature_files import Parts
from avhash_nas.extraction.listing import VideoFile
from avhash_nas.extraction.media_file import Limits, MediaError
from avhash_nas.extraction.progress import Progress

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_LONGEST = 70
"""Of the name of the folder for temporary files: a socket's name has 107 bytes, of which multiprocessing takes 32."""
_DEATHS = 5
"""So many processes that end one after the other, with no item done between, are no fault of an item."""


class Work(ABC):
    """What is done with each item; pickled to the processes."""

    @abstractmethod
    def prepare(self) -> None:
        """Called once in each process, before its first item.

        Raises:
            AvnasError: Nothing can be done: all stop.
        """

    @abstractmethod
    def __call__(self, item: Any) -> str | None:
        """Do it.

        Returns:
            None, or why it cannot be done with this item: the others go on.

        Raises:
            AvnasError: Nothing can be done with any item: all stop.
        """


@dataclass
class _Worker:
    """A process, and the item that it has; None while it starts and when there is nothing left for it."""

    process: BaseProcess
    connection: Connection
    item: Any = None
    starting: bool = True

    def give(self, item: Any) -> None:
        self.item = item
        self.connection.send(item)

    def end(self) -> str:
        """How the process ended."""
        self.process.join()
        code = self.process.exitcode or 0
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


class Workers:
    """Processes of one thread each.

    A process that dies, as a codec may let it, costs the item that it had; another process takes its place. They end
    with this process, however it ends; a context that is left ends them at once. They are no forks of this process,
    whose threads and GPU would not survive that, but of one that has imported this package and done nothing else.

    Args:
        work: What is done.
        count: Number of processes.
    """

    def __init__(self, work: Work, count: int) -> None:
        self._work = work
        self._count = count
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()
        self._workers = []

    def results(self, items: Sequence[Any]) -> Iterator[tuple[Any, str | None]]:
        """Each item with what `Work` returned for it, in the order in which they are done.

        Args:
            items: The items.

        Raises:
            AvnasError: As `Work`, or the processes die whatever they work on.
        """
        waiting = list(reversed(items))
        deaths = 0
        for _ in range(min(self._count, len(items))):
            self._start()
        while waiting or any(worker.item is not None for worker in self._workers):
            for worker in self._answering():
                item, worker.item = worker.item, None
                try:
                    answer = worker.connection.recv()
                except (EOFError, ConnectionResetError):
                    deaths += 1
                    answer = f"the process that read it ended: {worker.end()}"
                    if item is None or deaths == _DEATHS:
                        raise AvnasError(f"processes cannot work or end one after the other: {worker.end()}") from None
                    self._workers.remove(worker)
                    self._start()
                else:
                    deaths = 0 if item is not None else deaths
                    worker.starting = False
                    if isinstance(answer, AvnasError):
                        raise answer
                    if waiting:
                        worker.give(waiting.pop())
                if item is not None:
                    yield item, answer

    def _start(self) -> None:
        here, there = multiprocessing.Pipe()
        with _one_thread():
            process = idle_process([__package__]).Process(target=_serve, args=(self._work, there), daemon=True)
            process.start()
        there.close()  # so that the end of the process is the end of the pipe
        self._workers.append(_Worker(process, here))

    def _answering(self) -> list[_Worker]:
        """The workers that have something to say; waits for one."""
        awaited = {worker.connection: worker for worker in self._workers if worker.starting or worker.item is not None}
        return [awaited[connection] for connection in wait(list(awaited)) if isinstance(connection, Connection)]


def idle_process(preload: Sequence[str]) -> Any:
    """The multiprocessing context whose processes are forked from an idle one, where the system has that.

    Args:
        preload: Modules that the idle process imports, once for all.

    Raises:
        AvnasError: The folder for temporary files has so long a name that no socket fits in it.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    folder = tempfile.gettempdir()
    if len(os.fsencode(folder)) > _LONGEST:
        raise AvnasError(f"TMPDIR={folder}: sockets need a name of at most {_LONGEST} bytes; name another folder")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    return context


def _serve(work: Work, connection: Connection) -> None:
    """What a process does: an answer for each item, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the first one ends the others
    try:
        work.prepare()
        connection.send(None)
        while True:
            connection.send(work(connection.recv()))
    except AvnasError as error:
        connection.send(AvnasError(str(error)))
    except (EOFError, BrokenPipeError):
        pass


@contextmanager
def _one_thread() -> Iterator[None]:
    """Processes that are started within the block have one thread each: the videos share the cores, not their parts."""
    former = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


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
