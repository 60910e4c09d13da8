"""Decodes untrusted files in processes with limited memory and time.

A file that crashes FFmpeg, exhausts memory or never ends affects only its own process. Results are JSON values and
bytes; nothing is unpickled.
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
"""A module-level function that returns JSON values and buffers of bytes."""

_PRELOAD = ("avhash_nas.serving.reading", "av", "numpy", "PIL.Image")
_START = 300  # time limit of the imports, in seconds
_CLOSING = "the service is shutting down"


class SandboxError(AvnasError):
    """The work failed or exceeded its limits. The message is one line without the file's name."""


@dataclass(frozen=True)
class WorkResult:
    """Result of the work."""

    header: dict[str, Any]
    buffers: tuple[bytes, ...]


class Sandbox:
    """Runs each function in a new process, forked from an idle one with all imports done.

    Args:
        seconds: Limit of both wall-clock and CPU time.
        memory: Memory limit in bytes, excluding the imports.
    """

    def __init__(self, seconds: float, memory: int) -> None:
        self.seconds = seconds
        self.memory = memory
        self._context = _context()
        self._running: set[BaseProcess] = set()
        self._lock = threading.Lock()
        self._closed = False

    def start(self) -> None:
        """Starts the idle process and awaits its imports.

        Raises:
            SandboxError: Processes cannot be started.
        """
        self._run(_START, _nothing, ())

    def run(self, work: Work, *arguments: Any) -> WorkResult:
        """Runs a function and blocks until it is finished or stopped; thread-safe.

        Raises:
            SandboxError: The function raised an AvnasError, exceeded the limits, or crashed.
        """
        return self._run(self.seconds, work, arguments)

    def _run(self, seconds: float, work: Work, arguments: Sequence[Any]) -> WorkResult:
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
            timer = threading.Timer(seconds, self._stop, (process,))
            timer.start()
            result = None
            try:
                with contextlib.suppress(EOFError, OSError, ValueError):  # the exit code tells more
                    result = self._receive(reader)
            finally:
                in_time = timer.is_alive()
                timer.cancel()
                code = self._end(process, patience=0 if result else 1)
        if result:
            return result
        raise SandboxError(self._reason(code, None if in_time else seconds))

    def _receive(self, reader: Connection) -> WorkResult:
        message = json.loads(reader.recv_bytes(self.memory))
        if "error" in message:
            raise SandboxError(str(message["error"]))
        return WorkResult(message["header"], tuple(reader.recv_bytes(self.memory) for _ in range(message["buffers"])))

    def _stop(self, process: BaseProcess) -> None:
        """Kills a process unless it has ended. multiprocessing is not thread-safe, hence the lock."""
        with self._lock:
            if process in self._running:
                process.kill()

    def _end(self, process: BaseProcess, patience: float) -> int | None:
        """Ends a process and returns its exit code."""
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
        """Stops running work and refuses new work."""
        with self._lock:
            self._closed = True
            for process in self._running:
                process.kill()


def begin_imports() -> None:
    """Starts the idle process in the background, as its imports take seconds."""
    _context()
    multiprocessing.forkserver.ensure_running()


def _context() -> ForkServerContext:
    context: ForkServerContext = idle_process(_PRELOAD)
    return context


def _child(writer: Connection, work: Work, arguments: Sequence[Any], seconds: float, memory: int) -> None:
    """Entry point of a process: sets limits, runs the work, and sends the result."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the service handles it
    _set_limits(seconds, memory)
    buffers: Sequence[Any] = ()
    try:
        header, buffers = work(*arguments)
        message = {"header": header, "buffers": len(buffers)}
    except MemoryError:
        message = {"error": f"needs more than {memory // 2**20} MiB of memory to read"}
    except AvnasError as error:
        message = {"error": str(error)}
    with contextlib.suppress(BrokenPipeError):  # nobody awaits the result any more
        writer.send_bytes(json.dumps(message).encode())
        for buffer in buffers:
            writer.send_bytes(buffer)


def _nothing() -> tuple[dict[str, Any], Sequence[Any]]:
    return {}, ()


def _set_limits(seconds: float, memory: int) -> None:
    """Limits enforced by the system; memory counts on top of current usage."""
    _lower(resource.RLIMIT_CPU, math.ceil(seconds) + 1)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_CORE, 0)
    pages = Path("/proc/self/statm")
    used = int(pages.read_text().split()[5]) * resource.getpagesize() if pages.exists() else 0
    _lower(resource.RLIMIT_DATA, used + memory)


def _lower(which: int, value: int) -> None:
    """Lowers a limit, unless a lower one is set."""
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))
