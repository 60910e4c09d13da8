"""Progress of counted work on standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn


@contextmanager
def counting(command: str, what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar in a terminal, a line for every tenth of the work elsewhere.

    Args:
        command: In front of each line.
        what: What is counted.

    Yields:
        To be called with how much is done and how much there is.
    """
    if sys.stderr.isatty():
        columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(what)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return

    def line(done: int, total: int) -> None:
        if done * 10 // total > (done - 1) * 10 // total:
            print(f"{command}: {done} of {total} {what}", file=sys.stderr, flush=True)

    yield line
