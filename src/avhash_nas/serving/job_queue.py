"""A bounded line of work in front of a few threads."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from avhash_nas.serving.schemas import RefusalError

T = TypeVar("T")
Gone = Callable[[], Awaitable[bool]]
"""Whether the client has hung up."""

_RETRY_AFTER = 5


class WaitingLine:
    """Runs blocking functions on threads, first come, first served; who comes when it is full is sent away.

    All methods but `close` belong to the event loop's thread.

    Args:
        name: Of the threads.
        workers: How many run at a time.
        waiting: How many may wait besides.
    """

    def __init__(self, name: str, workers: int, waiting: int) -> None:
        self.workers = workers
        self.places = workers + waiting
        self.taken = 0
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix=name)

    @property
    def waiting(self) -> int:
        """How many wait for a worker, or are about to."""
        return max(0, self.taken - self.workers)

    @contextmanager
    def place(self) -> Iterator[Callable[..., Any]]:
        """A place in the line, for the time of the block; gives the function that runs work in it.

        The place is free again when the block is left and the work is over: work that nobody waits for any more, and
        that a thread has begun, keeps it.

        Raises:
            RefusalError: The line is full (503).
        """
        if self.taken >= self.places:
            raise RefusalError(503, "the service is busy; try again in a few seconds", _RETRY_AFTER)
        self.taken += 1
        begun: list[Future[Any]] = []

        async def run(work: Callable[..., T], *arguments: Any) -> T:
            begun.append(self._threads.submit(work, *arguments))
            return await asyncio.wrap_future(begun[-1])

        loop = asyncio.get_running_loop()
        try:
            yield run
        finally:
            left = [future for future in begun if not future.cancel() and not future.done()]
            if left:
                left[0].add_done_callback(lambda _: loop.call_soon_threadsafe(self._leave))
            else:
                self._leave()

    def _leave(self) -> None:
        self.taken -= 1

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Take a place for one function.

        Raises:
            RefusalError: The line is full (503).
        """
        with self.place() as run:
            result: T = await run(work, *arguments)
        return result

    def close(self) -> None:
        """Drop what waits; what runs is awaited."""
        self._threads.shutdown(wait=True, cancel_futures=True)


async def unless(gone: Gone, work: Coroutine[Any, Any, T]) -> T:
    """Await work, but not for a client that has hung up.

    Args:
        gone: Whether it has; asked every second.
        work: The work, which is canceled then.

    Raises:
        RefusalError: It has (499, which nobody reads).
    """
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=1)
            if not task.done() and await gone():
                raise RefusalError(499, "the client has hung up")
        return task.result()
    finally:
        task.cancel()
