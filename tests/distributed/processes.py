"""Processes that stand for the ranks of a training run, for tests of what they compute together."""

import multiprocessing
import os
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from torch import distributed, set_num_threads

from forking import Forked

PATIENCE = 600
"""Seconds for one call, on a machine that has much else to do."""


class Ranks:
    """W processes under gloo. They start once and then answer one call after another.

    Args:
        size: W.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._ranks: dict[Connection, Forked] = {}

    def run(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """What `function(rank, *arguments)` returns on each rank; it must lie in a module that can be imported."""
        if not self._ranks:
            self._start()
        for pipe in self._ranks:
            pipe.send((function, arguments))
        answers: dict[Connection, Any] = {}
        try:
            while len(answers) < self.size:
                ready = wait([pipe for pipe in self._ranks if pipe not in answers], PATIENCE)
                assert ready, f"ranks that do not answer: {self.size - len(answers)}"
                for pipe in ready:
                    assert isinstance(pipe, Connection)
                    answers[pipe] = pipe.recv()
                    if isinstance(answers[pipe], BaseException):
                        raise answers[pipe]
        except BaseException:
            self.close()  # the others may wait for the one that has failed
            raise
        return [answers[pipe] for pipe in self._ranks]

    def close(self) -> None:
        """End the processes."""
        for process in self._ranks.values():
            process.kill()
            process.wait()
        self._ranks = {}

    def _start(self) -> None:
        store = Path(tempfile.mkdtemp()) / "store"
        for rank in range(self.size):
            ours, theirs = multiprocessing.Pipe()
            self._ranks[ours] = Forked(_serve, rank, self.size, str(store), descriptors=[theirs.fileno()])
            theirs.close()


def _serve(rank: int, size: int, store: str, descriptor: int) -> None:
    pipe = Connection(descriptor)
    set_num_threads(1)
    # What Lightning reads: it takes the ranks as they are and starts no others.
    os.environ |= {"LOCAL_RANK": str(rank), "NODE_RANK": "0", "WORLD_SIZE": str(size)}
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=size)
    while True:
        function, arguments = pipe.recv()
        try:
            pipe.send(function(rank, *arguments))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - for the test to see
            pipe.send(RuntimeError(f"rank {rank}: {type(error).__name__}: {error}"))
