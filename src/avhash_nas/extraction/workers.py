"""A pool of worker processes that survives the crash of one of them, and the extraction of videos with it."""

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
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.extraction import Extraction
from avhash_nas.extraction.feature_files import Parts
from avhash_nas.extraction.listing import VideoFile
from avhash_nas.extraction.media_file import Limits, MediaError
from avhash_nas.extraction.progress import Progress

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_MAX_TMPDIR = 70
"""Bytes of the path of the temporary folder: a socket path has at most 107, of which multiprocessing uses 32."""
_MAX_CRASHES = 5
"""After this many crashes in a row, without a finished item in between, the cause is not an item."""
_MAX_DEFAULT_WORKERS = 4


class Work(ABC):
    """A function of an item; pickled and sent to the processes."""

    @abstractmethod
    def prepare(self) -> None:
        """Called once in each process, before its first item.

        Raises:
            AvnasError: No work is possible: all processes stop.
        """

    @abstractmethod
    def __call__(self, item: Any) -> str | None:
        """Processes an item.

        Returns:
            None, or the reason why this item failed; work on the others continues.

        Raises:
            AvnasError: No item can be processed: all processes stop.
        """


@dataclass
class _Worker:
    """A process and its current item; None while it starts and when no items are left."""

    process: BaseProcess
    connection: Connection
    item: Any = None
    starting: bool = True

    def send(self, item: Any) -> None:
        self.item = item
        self.connection.send(item)

    def exit_reason(self) -> str:
        """Waits for the end of the process."""
        self.process.join()
        code = self.process.exitcode or 0
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


class Workers:
    """A pool of single-threaded processes, to be used as a context manager.

    If a process crashes, for instance in a codec, only its current item fails, and another process replaces it. The
    processes end with this process, however it ends, and when the context is left. They are not forked from this
    process, whose threads and GPU would not survive that, but from one that has only imported this package.

    Args:
        work: The function of an item.
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
        """Items with the results of `Work`, in the order of completion.

        Raises:
            AvnasError: As `Work`, or processes crash whatever the item.
        """
        waiting = list(reversed(items))
        crashes = 0
        for _ in range(min(self._count, len(items))):
            self._start()
        while waiting or any(worker.item is not None for worker in self._workers):
            for worker in self._ready():
                item, worker.item = worker.item, None
                try:
                    answer = worker.connection.recv()
                except (EOFError, ConnectionResetError):
                    crashes += 1
                    answer = f"the process that read it ended: {worker.exit_reason()}"
                    if item is None or crashes == _MAX_CRASHES:
                        raise AvnasError(
                            f"processes cannot work or end one after the other: {worker.exit_reason()}"
                        ) from None
                    self._workers.remove(worker)
                    self._start()
                else:
                    crashes = 0 if item is not None else crashes
                    worker.starting = False
                    if isinstance(answer, AvnasError):
                        raise answer
                    if waiting:
                        worker.send(waiting.pop())
                if item is not None:
                    yield item, answer

    def _start(self) -> None:
        here, there = multiprocessing.Pipe()
        with _one_thread():
            process = idle_process([__package__]).Process(target=_serve, args=(self._work, there), daemon=True)
            process.start()
        there.close()  # so that the pipe ends with the process
        self._workers.append(_Worker(process, here))

    def _ready(self) -> list[_Worker]:
        """The workers that have sent a message or crashed; waits for at least one."""
        busy = {worker.connection: worker for worker in self._workers if worker.starting or worker.item is not None}
        return [busy[connection] for connection in wait(list(busy)) if isinstance(connection, Connection)]


def idle_process(preload: Sequence[str]) -> Any:
    """The multiprocessing context `forkserver`, if the system has it, else `spawn`.

    Args:
        preload: Modules that the fork server imports once.

    Raises:
        AvnasError: The path of the temporary folder is too long for a socket.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    folder = tempfile.gettempdir()
    if len(os.fsencode(folder)) > _MAX_TMPDIR:
        raise AvnasError(f"TMPDIR={folder}: sockets need a name of at most {_MAX_TMPDIR} bytes; name another folder")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    return context


def _serve(work: Work, connection: Connection) -> None:
    """Main function of a process: answers each item until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the main process ends the others
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
    """Processes started within the block use one thread each, because videos are processed in parallel."""
    former = {name: value for name in _THREADS if (value := os.environ.get(name)) is not None}
    os.environ |= dict.fromkeys(_THREADS, "1")
    try:
        yield
    finally:
        for name in _THREADS:
            del os.environ[name]
        os.environ |= former


@dataclass(frozen=True)
class ExtractVideo(Work):
    """Extracts the features of a video file and writes them as a part."""

    extraction: Extraction
    parts: Parts
    limits: Limits

    @override
    def prepare(self) -> None:
        self.extraction.prepare()
        _ = self.extraction.visual.dim, self.extraction.audio.dim

    @override
    def __call__(self, item: VideoFile) -> str | None:
        try:
            features = self.extraction.features(item.path, self.limits)
        except MediaError as error:
            return error.reason
        if not (np.isfinite(features.visual).all() and np.isfinite(features.audio).all()):
            return "its features are not finite numbers"
        self.parts.write(item.key, features, self.extraction.dtype)
        return None


def count_workers(workers: int | None) -> int:
    """The number of processes; None stands for one per core, at most 4.

    Raises:
        AvnasError: The number is negative.
    """
    if workers is None:
        return min(_MAX_DEFAULT_WORKERS, os.cpu_count() or 1)
    if workers < 0:
        raise AvnasError(f"workers={workers} must be at least 0")
    return workers


def extract_all(work: ExtractVideo, videos: Sequence[VideoFile], done: int, workers: int) -> list[tuple[str, str]]:
    """Extracts videos, with progress on the standard error stream.

    Args:
        work: Extraction of one video.
        videos: Videos without features.
        done: Number of videos finished earlier, for the progress.
        workers: Processes; 0 works in this one.

    Returns:
        The files without features, with the reason, sorted by name.

    Raises:
        AvnasError: Extraction is impossible, or features cannot be written.
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
    """SIGTERM within the block ends this process as Ctrl-C does: it ends worker processes and prints the progress."""

    def stop(signum: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + signum)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
