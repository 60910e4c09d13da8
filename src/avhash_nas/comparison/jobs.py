"""Run processes side by side, each with its log; a signal stops all of them."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from avhash_nas.errors import AvnasError
from avhash_nas.training.checkpoint import Interrupted, StopRequest, stop_requests

PAUSE = 0.1
"""Seconds between two polls of the processes."""


@dataclass(frozen=True)
class Job:
    """A process to run.

    Attributes:
        name: Name in progress and error messages.
        command: Program and arguments.
        log: File to which its output is appended.
    """

    name: str
    command: tuple[str, ...]
    log: Path


@dataclass
class _Running:
    job: Job
    process: subprocess.Popen[bytes]
    offset: int
    started: float = field(default_factory=time.perf_counter)


def run_jobs(jobs: Sequence[Job], at_once: int) -> dict[str, str]:
    """Run all jobs; a job that fails does not end the others.

    A job holds a lock on its log while it runs, so that two calls (on two nodes, say) share the jobs: each leaves out
    what the other is running. Every process gets its share of the cores, unless OMP_NUM_THREADS is set.

    Args:
        jobs: Jobs, in order.
        at_once: Maximum number of jobs that run at the same time.

    Returns:
        The reason in one line for each job that failed, by name.

    Raises:
        AvnasError: A program is missing, or a log cannot be written.
        Interrupted: SIGINT or SIGTERM arrived. It was forwarded to every process, and all have ended.
    """
    problems: dict[str, str] = {}
    waiting, running = list(reversed(jobs)), list[_Running]()
    with stop_requests() as stop, _terminated(running):
        stop.deferred = True
        while waiting or running:
            _stop_if_asked(stop, running)
            while waiting and len(running) < at_once:
                job = waiting.pop()
                started = _start(job, at_once)
                if started is None:
                    problems[job.name] = "another process is running it"
                else:
                    running.append(started)
            time.sleep(PAUSE)
            for each in [each for each in running if each.process.poll() is not None]:
                running.remove(each)
                problem = _problem(each)
                if problem is not None:
                    problems[each.job.name] = problem
                done = len(jobs) - len(waiting) - len(running)
                seconds = round(time.perf_counter() - each.started)
                _report(f"[{done}/{len(jobs)}] {each.job.name}: {problem or 'done'}, {seconds} s")
    return problems


def last_error(log: Path, start: int = 0) -> str:
    """The line of a log that best explains a failure: the last error, else the last line.

    In a traceback, that is the line with the exception: it is not indented and names an Error.

    Args:
        log: Log of the process.
        start: Byte offset at which the output of this process begins.
    """
    text = log.read_bytes()[start:].decode(errors="replace")
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower() and not line[0].isspace()]
    return (errors or lines or ["it printed nothing"])[-1].strip()


def _start(job: Job, at_once: int) -> _Running | None:
    """Start a process in its own session, so that a terminal's Ctrl-C reaches it once, forwarded by us."""
    try:
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with job.log.open("ab") as log:
            if not _lock(log):
                return None
            offset = log.seek(0, os.SEEK_END)
            share = max(1, (os.cpu_count() or 1) // at_once)
            environment = {"OMP_NUM_THREADS": str(share), **os.environ}
            process = subprocess.Popen(
                job.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
    except OSError as error:
        raise AvnasError(f"{job.name}: cannot be started: {error}") from error
    _report(f"{job.name}: started")
    return _Running(job, process, offset)


def _lock(log: BinaryIO) -> bool:
    """Lock a file until all holders of this file descriptor close it: the process inherits it as its output."""
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _problem(ended: _Running) -> str | None:
    code = ended.process.returncode
    if code < 0:
        return f"killed by signal {-code}"
    return last_error(ended.job.log, ended.offset) if code else None


def _stop_if_asked(stop: StopRequest, running: list[_Running]) -> None:
    """Forward a signal and wait for the processes, which end with a checkpoint; a second signal is forwarded too."""
    if stop.signum is None:
        return
    _report(f"stopping {len(running)} runs; the same command resumes them")
    signum = stop.signum
    _signal(running, signum)
    try:
        for each in running:
            each.process.wait()
    except Interrupted as again:
        _signal(running, again.signum)
    raise Interrupted(signum)


@contextmanager
def _terminated(running: list[_Running]) -> Iterator[None]:
    """Terminate all processes on exit."""
    try:
        yield
    finally:
        for each in running:
            if each.process.poll() is None:
                each.process.terminate()
        for each in running:
            each.process.wait()


def _signal(running: list[_Running], signum: int) -> None:
    for each in running:
        if each.process.poll() is None:
            each.process.send_signal(signum)


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
