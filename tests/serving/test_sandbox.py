"""Work in the sandbox ends with a result or a one-line error, and does not affect other work."""

import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from avhash_nas.serving.sandbox import Sandbox, SandboxError
from serving import misbehaving
from serving.running import until

MEMORY = 64 * 2**20


@pytest.fixture(scope="module")
def sandbox():
    sandbox = Sandbox(seconds=30, memory=MEMORY)
    sandbox.run(misbehaving.double, [1])  # imports once, before the tests with short time limits
    yield sandbox
    sandbox.close()


@pytest.fixture
def hasty():
    sandbox = Sandbox(seconds=1, memory=MEMORY)
    yield sandbox
    sandbox.close()


def works(sandbox):
    return sandbox.run(misbehaving.double, [1, 2]).buffers[0] == b"\x01\x02"


def test_json_and_bytes_are_returned(sandbox):
    done = sandbox.run(misbehaving.double, [1, 2, 3])
    assert done.header == {"sum": 6}
    assert done.buffers == (b"\x01\x02\x03", b"", b"\x01\x02\x03\x01\x02\x03")


def test_results_larger_than_a_pipe_are_returned(sandbox):
    assert sandbox.run(misbehaving.large, 10**7).buffers == (b"\x07" * 10**7,)


def test_user_errors_keep_their_message(sandbox):
    with pytest.raises(SandboxError, match=r"^no video track$"):
        sandbox.run(misbehaving.complain, "no video track")


@pytest.mark.parametrize(
    ("work", "message"),
    [(misbehaving.crash, "crashed .*-11"), (misbehaving.leave, "crashed"), (misbehaving.fail, "crashed .*1")],
)
def test_crashes_are_isolated(sandbox, work, message):
    with pytest.raises(SandboxError, match=message):
        sandbox.run(work)
    assert works(sandbox)


def test_memory_is_limited(sandbox):
    assert sandbox.run(misbehaving.swallow, MEMORY // 2).header == {"size": MEMORY // 2}
    with pytest.raises(SandboxError, match="more than 64 MiB of memory"):
        sandbox.run(misbehaving.swallow, 2 * MEMORY)
    assert works(sandbox)


@pytest.mark.parametrize("work", [misbehaving.sleep, misbehaving.spin])
def test_time_is_limited(sandbox, hasty, work):
    with pytest.raises(SandboxError, match="longer than 1 s"):
        hasty.run(work)
    assert works(sandbox)


def test_writing_files_is_blocked(sandbox, tmp_path):
    with pytest.raises(SandboxError):
        sandbox.run(misbehaving.write, str(tmp_path / "file"))
    assert not any(path.stat().st_size for path in tmp_path.iterdir())


def test_sigint_is_ignored(sandbox):
    assert sandbox.run(misbehaving.interrupt).header == {}


def test_sandbox_is_thread_safe(sandbox):
    def one(number):
        if number % 3 == 1:
            with pytest.raises(SandboxError, match=r"crashed .*-11"):
                sandbox.run(misbehaving.crash)
        elif number % 3 == 2:
            with pytest.raises(SandboxError, match=f"^{number}$"):
                sandbox.run(misbehaving.complain, str(number))
        else:
            assert sandbox.run(misbehaving.double, [number]).header == {"sum": number}
        return number

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(one, range(48))) == list(range(48))
    assert multiprocessing.active_children() == []


def test_close_stops_running_work_and_refuses_new_work():
    sandbox = Sandbox(seconds=600, memory=MEMORY)
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(sandbox.run, misbehaving.sleep)
        while not multiprocessing.active_children():
            time.sleep(0.01)
        sandbox.close()
        with pytest.raises(SandboxError, match="shutting down"):
            running.result(timeout=30)
    with pytest.raises(SandboxError, match="shutting down"):
        sandbox.run(misbehaving.double, [1])
    until(lambda: not any(isinstance(thread, threading.Timer) for thread in threading.enumerate()))
