"""How far a long extraction is: a bar on a terminal, else a line now and then."""

import time
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

_SECONDS = 10.0


class Progress:
    """Shows videos done, failures, rate and remaining time on the standard error stream.

    The rate counts from the first video that is done here: before, processes start and load their models.

    Args:
        total: Number of videos.
        done: Of these, done before.
        console: Where to show it.
    """

    def __init__(self, total: int, done: int = 0, console: Console | None = None) -> None:
        self.total = total
        self.done = done
        self.failed = 0
        self._shown = time.monotonic(), -1  # when a line was printed last, and how many videos it told
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
            self._print(f"stopped at {self.line()}; the same command goes on from here")
        elif not self._console.is_terminal and self._shown[1] != self.done:
            self._print(self.line())

    def advance(self, *, failed: bool = False) -> None:
        """One more video is done.

        Args:
            failed: It gave no features.
        """
        now = time.monotonic()
        self.done += 1
        self.failed += failed
        self._first = self._first or (self.done, now)
        self._bar.update(self._task, completed=self.done, description=self.line())
        if not self._console.is_terminal and now - self._shown[0] >= _SECONDS:
            self._shown = now, self.done
            self._print(self.line())

    def line(self) -> str:
        """All of it in words."""
        parts = [f"{self.done}/{self.total} videos"]
        if self._first is not None and self.done > self._first[0]:
            seconds = (time.monotonic() - self._first[1]) / (self.done - self._first[0])
            left = timedelta(seconds=round((self.total - self.done) * seconds))
            parts += [f"{1 / seconds:.3g} videos/s" if seconds else "", f"{left} left"]
        return ", ".join([*filter(None, parts), f"{self.failed} failed"])

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
