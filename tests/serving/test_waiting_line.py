"""The bounded line of work."""

import asyncio
import threading

import pytest

from avhash_nas.serving.job_queue import WaitingLine, unless
from avhash_nas.serving.schemas import RefusalError


@pytest.fixture
def line():
    line = WaitingLine("test", workers=2, waiting=3)
    yield line
    line.close()


def test_five_get_a_place_two_of_them_run_and_the_sixth_is_sent_away(line):
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
        tasks = [asyncio.create_task(line.run(work, number)) for number in range(8)]
        while sum(task.done() for task in tasks) < 3:
            await asyncio.sleep(0.01)
        assert (line.taken, line.waiting) == (5, 3)
        go_on.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(crowd())
    assert results[:5] == [0, 1, 2, 3, 4]
    assert [(error.status, error.retry_after) for error in results[5:]] == [(503, 5)] * 3
    assert most == 2
    assert line.taken == 0


def test_errors_leave_the_line_as_well(line):
    def fail():
        raise ValueError("no")

    async def fails():
        for _ in range(10):
            with pytest.raises(ValueError, match="no"):
                await line.run(fail)
        with pytest.raises(KeyError), line.place():
            raise KeyError

    asyncio.run(fails())
    assert line.taken == 0


def test_work_that_nobody_waits_for_is_dropped_or_keeps_its_place_until_it_is_done(line):
    go_on, done = threading.Event(), []

    def work(number):
        go_on.wait(30)
        done.append(number)

    async def leave():
        tasks = [asyncio.create_task(line.run(work, number)) for number in range(5)]
        await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert line.taken == 2  # those that threads have begun
        go_on.set()
        while line.taken:
            await asyncio.sleep(0.01)

    asyncio.run(leave())
    assert sorted(done) == [0, 1]


def test_work_for_a_client_that_has_hung_up_is_canceled():
    canceled = []

    async def work():
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            canceled.append(True)
            raise

    async def gone():
        return True

    async def wait():
        with pytest.raises(RefusalError, match="hung up"):
            await unless(gone, work())
        await asyncio.sleep(0)

    asyncio.run(wait())
    assert canceled == [True]
