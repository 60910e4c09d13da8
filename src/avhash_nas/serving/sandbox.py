"""Work on files that nobody vouches for, each in a process of its own that has little memory and little time.

A file that crashes FFmpeg, fills the memory or never ends takes its process with it and nothing else. Only numbers and
bytes come back from there, nothing that would be unpickled.
"""

import contextlib
import json
import math
import multiprocessing
import multiprocessing.forkserver
import resource
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.workers import idle_process

Work = Callable[..., tuple[dict[str, Any], Sequence[Any]]]
"""A function of a module, called with plain arguments: JSON values and buffers of bytes."""

_PRELOAD = ("avhash_nas.serving.reading", "av", "numpy", "PIL.Image")
_START = 300  # seconds that the imports may take
_CLOSING = "the service is shutting down"


class SandboxError(AvnasError):
    """The work came to no end within its bounds. The message says why, in one line without the file's name."""


@dataclass(frozen=True)
class Done:
    """What the work gave.

    Attributes:
        header: JSON values.
        buffers: Bytes.
    """

    header: dict[str, Any]
    buffers: tuple[bytes, ...]


class Sandbox:
    """Runs functions, each in a fresh process that is forked from an idle one with the imports done.

    Args:
        seconds: Time that one may take, in real time and on the processor.
        memory: Bytes that one may take beyond what the imports take.
    """

    def __init__(self, seconds: float, memory: int) -> None:
        self.seconds = seconds
        self.memory = memory
        self._context = _context()
        self._running: set[BaseProcess] = set()
        self._lock = threading.Lock()
        self._closed = False

    def start(self) -> None:
        """Start the idle process and await its imports, which the first work would otherwise wait for.

        Raises:
            SandboxError: Processes cannot be started here.
        """
        self._run(_START, _nothing, ())

    def run(self, work: Work, *arguments: Any) -> Done:
        """Run a function; blocks until it is done or stopped. Any number of threads may call at once.

        Args:
            work: The function.
            arguments: What it is called with.

        Raises:
            SandboxError: The function raised an AvnasError, took too long or too much memory, or crashed.
        """
        return self._run(self.seconds, work, arguments)

    def _run(self, seconds: float, work: Work, arguments: Sequence[Any]) -> Done:
        reader, writer = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_child, args=(writer, work, arguments, seconds, self.memory), daemon=True
        )
        with reader:
            with writer, self._lock:
                if self._closed:
                    raise SandboxError(_CLOSING)
                process.start()
                self._running.add(process)
            late = threading.Timer(seconds, self._stop, (process,))
            late.start()
            done = None
            try:
                with contextlib.suppress(EOFError, OSError, ValueError):  # the exit code says more
                    done = self._received(reader)
            finally:
                in_time = late.is_alive()
                late.cancel()
                code = self._end(process, patience=0 if done else 1)
        if done:
            return done
        raise SandboxError(self._reason(code, None if in_time else seconds))

    def _received(self, reader: Connection) -> Done:
        message = json.loads(reader.recv_bytes(self.memory))
        if "error" in message:
            raise SandboxError(str(message["error"]))
        return Done(message["header"], tuple(reader.recv_bytes(self.memory) for _ in range(message["buffers"])))

    def _stop(self, process: BaseProcess) -> None:
        """Kill a process, if it has not been seen to its end. multiprocessing wants one thread at a time."""
        with self._lock:
            if process in self._running:
                process.kill()

    def _end(self, process: BaseProcess, patience: float) -> int | None:
        """See a process to its end and give its exit code."""
        with self._lock:
            self._running.discard(process)
            process.join(patience)
            process.kill()
            process.join()
            code = process.exitcode
            process.close()
        return code

    def _reason(self, code: int | None, seconds: float | None) -> str:
        if self._closed:
            return _CLOSING
        if code == -signal.SIGXCPU or seconds is not None:
            return f"takes longer than {seconds or self.seconds:g} s to read"
        return f"reading it crashed (exit code {code})"

    def close(self) -> None:
        """Stop what runs and take nothing more."""
        with self._lock:
            self._closed = True
            for process in self._running:
                process.kill()


def begin_imports() -> None:
    """Start the idle process in the background: its imports take seconds, in which a program can do other things."""
    _context()
    multiprocessing.forkserver.ensure_running()


def _context() -> ForkServerContext:
    context: ForkServerContext = idle_process(_PRELOAD)
    return context


def _child(writer: Connection, work: Work, arguments: Sequence[Any], seconds: float, memory: int) -> None:
    """The process's life: bounds first, then the work, then what it gave."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes of a terminal: the service decides
    _bound(seconds, memory)
    buffers: Sequence[Any] = ()
    try:
        header, buffers = work(*arguments)
        message = {"header": header, "buffers": len(buffers)}
    except MemoryError:
        message = {"error": f"needs more than {memory // 2**20} MiB of memory to read"}
    except AvnasError as error:
        message = {"error": str(error)}
    with contextlib.suppress(BrokenPipeError):  # nobody waits any more
        writer.send_bytes(json.dumps(message).encode())
        for buffer in buffers:
            writer.send_bytes(buffer)


def _nothing() -> tuple[dict[str, Any], Sequence[Any]]:
    return {}, ()


def _bound(seconds: float, memory: int) -> None:
    """Bounds that the system enforces; memory counts from what the process has already."""
    _lower(resource.RLIMIT_CPU, math.ceil(seconds) + 1)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_CORE, 0)
    pages = Path("/proc/self/statm")
    taken = int(pages.read_text().split()[5]) * resource.getpagesize() if pages.exists() else 0
    _lower(resource.RLIMIT_DATA, taken + memory)


def _lower(which: int, value: int) -> None:
    """Set a bound, unless a tighter one holds."""
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))
