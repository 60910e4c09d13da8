"""Stopping politely: Ctrl-C and SIGTERM end a stage after the present batch, with a checkpoint."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(SystemExit):
    """A stage was stopped by a signal; the run goes on from its checkpoint when started again.

    Args:
        signum: The signal. The exit code is 128 plus its number, as shells have it.
    """

    def __init__(self, signum: int) -> None:
        self.signum = signum
        super().__init__(128 + signum)


class StopRequest:
    """Remembers that somebody asked to stop.

    While `polite` is set, the first signal is only remembered, for the training loop to act on; otherwise, and on a
    second Ctrl-C, the process is interrupted at once.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self.polite = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """The signal handler."""
        if not self.polite or self.signum is not None:
            raise Interrupted(signum)
        self.signum = signum

    def install(self) -> None:
        """Handle SIGINT and SIGTERM, if this is the main thread."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self)
            signal.signal(signal.SIGTERM, self)


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Handle SIGINT and SIGTERM within the block; the former handlers come back behind it."""
    main = threading.current_thread() is threading.main_thread()
    former = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    request = StopRequest()
    request.install()
    try:
        yield request
    finally:
        if main:
            for signum, handler in former.items():
                signal.signal(signum, handler)
