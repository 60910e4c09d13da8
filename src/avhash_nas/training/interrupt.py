"""Stopping politely: Ctrl-C, SIGTERM and SIGUSR1 end a stage after the present batch, with a checkpoint."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))
"""Ctrl-C; what ends a job; and what SLURM is asked to send ahead of the time limit (`sbatch --signal=USR1@...`)."""


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

    While `polite` is set, a signal is only remembered, for the training loop to act on; otherwise, and on Ctrl-C after
    another signal, the process is interrupted at once. Launchers may send the same signal twice.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self.polite = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """The signal handler."""
        if not self.polite or (self.signum is not None and signum == signal.SIGINT):
            raise Interrupted(signum)
        self.signum = self.signum or signum

    def install(self) -> None:
        """Handle the signals, if this is the main thread."""
        if threading.current_thread() is threading.main_thread():
            for signum in SIGNALS:
                signal.signal(signum, self)


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Handle the signals within the block; the former handlers come back behind it."""
    main = threading.current_thread() is threading.main_thread()
    former = {signum: signal.getsignal(signum) for signum in SIGNALS}
    request = StopRequest()
    request.install()
    try:
        yield request
    finally:
        if main:
            for signum, handler in former.items():
                signal.signal(signum, handler)
