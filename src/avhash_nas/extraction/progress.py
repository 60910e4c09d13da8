"""Progress of a long extraction: a bar on a terminal, otherwise a line every ten seconds."""

import time
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

_INTERVAL = 10.0


class Progress:
    """Shows finished videos, failures, rate and remaining time.

    The rate is measured from the first video finished here: before, processes start and load their models.

    Args:
        total: Number of videos.
        done: Number of videos finished earlier.
        console: By default the standard error stream.
    """

    def __init__(self, total: int, done: int = 0, console: Console | None = None) -> None:
        self.total = total
        self.done = done
        self.failed = 0
        self._printed = time.monotonic(), -1  # time of the last line, and the number of videos in it
        self._first: tuple[int, float] | None = None
        self._console = console or Console(stderr=True)
        self._bar = Bar(
            BarColumn(), TextColumn("{task.description}"), console=self._console, disable=not self._console.is_terminal
        )
        self._task = self._bar.add_task(self.line(), total=total, completed=done)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if kind is not None and not issubclass(kind, Exception):
            self._print(f"stopped at {self.line()}; the same command resumes from here")
        elif not self._console.is_terminal and self._printed[1] != self.done:
            self._print(self.line())

    def advance(self, *, failed: bool = False) -> None:
        """Counts one more video; a failed one gave no features."""
        now = time.monotonic()
        self.done += 1
        self.failed += failed
        self._first = self._first or (self.done, now)
        self._bar.update(self._task, completed=self.done, description=self.line())
        if not self._console.is_terminal and now - self._printed[0] >= _INTERVAL:
            self._printed = now, self.done
            self._print(self.line())

    def line(self) -> str:
        """The current state in words."""
        parts = [f"{self.done}/{self.total} videos"]
        if self._first is not None and self.done > self._first[0]:
            seconds = (time.monotonic() - self._first[1]) / (self.done - self._first[0])
            left = timedelta(seconds=round((self.total - self.done) * seconds))
            parts += [f"{1 / seconds:.3g} videos/s" if seconds else "", f"{left} left"]
        return ", ".join([*filter(None, parts), f"{self.failed} failed"])

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
