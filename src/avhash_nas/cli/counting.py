"""Progress bars on standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn


@contextmanager
def counting(command: str, what: str) -> Iterator[Callable[[int, int], None]]:
    """Show progress: a bar in a terminal, otherwise a line for each tenth of the work.

    Args:
        command: Printed before each line.
        what: What is counted, in the plural.

    Yields:
        A function that takes how many are done, and how many there are.
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
