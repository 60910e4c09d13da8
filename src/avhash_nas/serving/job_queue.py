"""A bounded job queue in front of a few threads."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from avhash_nas.serving.schemas import RefusalError

T = TypeVar("T")
Disconnected = Callable[[], Awaitable[bool]]
"""Whether the client has disconnected."""

_RETRY_AFTER = 5


class JobQueue:
    """Runs blocking functions on threads, first come, first served; rejects jobs when it is full.

    All methods but `close` must be called from the event loop's thread.

    Args:
        name: Prefix of the threads' names.
        workers: Number of threads.
        waiting: Number of jobs that may wait for a thread.
    """

    def __init__(self, name: str, workers: int, waiting: int) -> None:
        self.workers = workers
        self.capacity = workers + waiting
        self.occupied = 0
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix=name)

    @property
    def waiting(self) -> int:
        """Number of jobs that wait for a thread."""
        return max(0, self.occupied - self.workers)

    @contextmanager
    def slot(self) -> Iterator[Callable[..., Any]]:
        """Reserves a slot for the duration of the block; yields the function that runs work in it.

        The slot is released when the block is left and its work is finished: work that a thread has started keeps the
        slot even if nobody awaits it any more.

        Raises:
            RefusalError: The queue is full (503).
        """
        if self.occupied >= self.capacity:
            raise RefusalError(503, "the service is busy; try again in a few seconds", _RETRY_AFTER)
        self.occupied += 1
        futures: list[Future[Any]] = []

        async def run(work: Callable[..., T], *arguments: Any) -> T:
            futures.append(self._threads.submit(work, *arguments))
            return await asyncio.wrap_future(futures[-1])

        loop = asyncio.get_running_loop()
        try:
            yield run
        finally:
            unfinished = [future for future in futures if not future.cancel() and not future.done()]
            if unfinished:
                unfinished[0].add_done_callback(lambda _: loop.call_soon_threadsafe(self._release))
            else:
                self._release()

    def _release(self) -> None:
        self.occupied -= 1

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Runs one function in a slot of its own.

        Raises:
            RefusalError: The queue is full (503).
        """
        with self.slot() as run:
            result: T = await run(work, *arguments)
        return result

    def close(self) -> None:
        """Drops waiting jobs and awaits running ones."""
        self._threads.shutdown(wait=True, cancel_futures=True)


async def unless_disconnected(disconnected: Disconnected, work: Coroutine[Any, Any, T]) -> T:
    """Awaits work, and cancels it if the client disconnects (polled every second).

    Raises:
        RefusalError: The client has disconnected (499, which nobody reads).
    """
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=1)
            if not task.done() and await disconnected():
                raise RefusalError(499, "the client has disconnected")
        return task.result()
    finally:
        task.cancel()
