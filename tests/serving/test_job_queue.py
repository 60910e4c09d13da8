"""The bounded job queue."""

import asyncio
import threading

import pytest

from avhash_nas.serving.job_queue import JobQueue, unless_disconnected
from avhash_nas.serving.schemas import RefusalError


@pytest.fixture
def queue():
    queue = JobQueue("test", workers=2, waiting=3)
    yield queue
    queue.close()


def test_queue_runs_two_holds_three_and_rejects_the_rest(queue):
    running, most, go_on = 0, 0, threading.Event()
    lock = threading.Lock()

    def work(number):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        go_on.wait(30)
        with lock:
            running -= 1
        return number

    async def crowd():
        tasks = [asyncio.create_task(queue.run(work, number)) for number in range(8)]
        while sum(task.done() for task in tasks) < 3:
            await asyncio.sleep(0.01)
        assert (queue.occupied, queue.waiting) == (5, 3)
        go_on.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(crowd())
    assert results[:5] == [0, 1, 2, 3, 4]
    assert [(error.status, error.retry_after) for error in results[5:]] == [(503, 5)] * 3
    assert most == 2
    assert queue.occupied == 0


def test_failed_jobs_release_their_slots(queue):
    def fail():
        raise ValueError("no")

    async def fails():
        for _ in range(10):
            with pytest.raises(ValueError, match="no"):
                await queue.run(fail)
        with pytest.raises(KeyError), queue.slot():
            raise KeyError

    asyncio.run(fails())
    assert queue.occupied == 0


def test_canceled_jobs_keep_their_slot_only_while_running(queue):
    go_on, done = threading.Event(), []

    def work(number):
        go_on.wait(30)
        done.append(number)

    async def leave():
        tasks = [asyncio.create_task(queue.run(work, number)) for number in range(5)]
        await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert queue.occupied == 2  # those that threads have begun
        go_on.set()
        while queue.occupied:
            await asyncio.sleep(0.01)

    asyncio.run(leave())
    assert sorted(done) == [0, 1]


def test_work_is_canceled_on_disconnect():
    canceled = []

    async def work():
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            canceled.append(True)
            raise

    async def disconnected():
        return True

    async def wait():
        with pytest.raises(RefusalError, match="disconnected"):
            await unless_disconnected(disconnected, work())
        await asyncio.sleep(0)

    asyncio.run(wait())
    assert canceled == [True]
