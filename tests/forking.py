"""Processes that start at once: forked from one that has imported the library, which takes a new one seconds."""

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from multiprocessing import current_process
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from socket import socketpair
from typing import Any, NoReturn

_IMPORTED = "avhash_nas.cli.fit"
"""Imported once: with Lightning, what takes the time."""


class Forked:
    """A process that runs a function and exits with its result, with the methods of subprocess.Popen.

    Args:
        function: A function of a module that can be imported, called with the arguments and then with the descriptors.
        arguments: Can be pickled.
        descriptors: Open files of this process, such as an end of a pipe.
        environment: Its environment variables; those of this process if None.

    Attributes:
        pid: Of the process.
    """

    def __init__(
        self,
        function: Callable[..., int | None],
        *arguments: Any,
        descriptors: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        origin = _origin()
        ours, theirs = _pair()
        environment = dict(os.environ if environment is None else environment)
        key = bytes(current_process().authkey)  # with which tensors are passed on
        origin.send((function, arguments, environment, key, len(descriptors)))
        for descriptor in (theirs.fileno(), *descriptors):
            send_handle(origin, descriptor, None)
        origin.recv()  # all descriptors have arrived
        theirs.close()
        self._news = ours
        self.pid: int = ours.recv()
        self.returncode: int | None = None

    def send_signal(self, signum: int) -> None:
        """Send a signal to the process, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, signum)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        """The exit code, or minus the signal that ended it; None while it runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended."""
        if self._ended(timeout) is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and self._news.poll(timeout):
            self.returncode = self._news.recv()
            self._news.close()
        return self.returncode


def run_command(arguments: Sequence[str], *streams: int) -> int:
    """`avnas` with these arguments: the exit code. Standard error, and output if there are two, go to the streams."""
    for number, stream in zip((2, 1), streams):
        os.dup2(stream, number)
    from avhash_nas.cli import main

    return main(arguments)


def finished_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`avnas` with these arguments, once it has ended: as of subprocess.run with text."""
    with tempfile.TemporaryFile("w+") as errors, tempfile.TemporaryFile("w+") as output:
        process = Forked(run_command, arguments, descriptors=[errors.fileno(), output.fileno()])
        code = process.wait()
        for file in (errors, output):
            file.seek(0)
        return subprocess.CompletedProcess(arguments, code, output.read(), errors.read())


@cache
def _origin() -> Connection:
    """A pipe to the process that forks, which ends with this one."""
    ours, theirs = socketpair()
    code = f"import sys; sys.path[:] = {sys.path!r}; import forking; forking._serve({theirs.fileno()})"
    process = subprocess.Popen([sys.executable, "-c", code], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    theirs.close()
    pipe = Connection(ours.detach())
    atexit.register(lambda: (pipe.close(), process.wait()))
    return pipe


def _pair() -> tuple[Connection, Connection]:
    one, other = socketpair()
    return Connection(one.detach()), Connection(other.detach())


def _serve(socket: int) -> None:
    """Fork whenever asked, until the process that asks has ended."""
    __import__(_IMPORTED)
    requests = Connection(socket)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # sent by a terminal to all
    while True:
        try:
            function, arguments, environment, key, count = requests.recv()
        except EOFError:
            return
        finally:
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
        news, *descriptors = (recv_handle(requests) for _ in range(count + 1))
        requests.send(None)
        if os.fork() == 0:
            requests.close()
            current_process().authkey = key
            _run_and_tell(Connection(news), partial(function, *arguments, *descriptors), environment)
        for descriptor in (news, *descriptors):
            os.close(descriptor)


def _run_and_tell(news: Connection, function: Callable[[], int | None], environment: Mapping[str, str]) -> NoReturn:
    """Fork again, run the function in the new process, and tell when and how it ends."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = os.fork()
    if process == 0:
        news.close()
        os.environ.clear()
        os.environ.update(environment)
        tempfile.tempdir = None  # that of the environment
        code = 1
        try:
            code = function() or 0
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    news.send(process)
    _, status = os.waitpid(process, 0)
    news.send(os.waitstatus_to_exitcode(status))
    os._exit(0)
