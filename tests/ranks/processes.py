"""Processes that stand for the ranks of a training run, for tests of what they compute together."""

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from torch import distributed, set_num_threads


class Ranks:
    """W processes under gloo. They start once and then answer one call after another, as starting takes seconds.

    Args:
        size: W.
        folder: For the file by which they find each other.
    """

    def __init__(self, size: int, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for rank in range(size):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, rank, size, str(folder / "store")), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def run(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """What `function(rank, *arguments)` returns on each rank; it must lie in a module that can be imported."""
        for pipe in self._pipes:
            pipe.send((function, arguments))
        answers = []
        for rank, pipe in enumerate(self._pipes):
            assert pipe.poll(120), f"rank {rank} does not answer"
            answers.append(pipe.recv())
        failed = [answer for answer in answers if isinstance(answer, BaseException)]
        if failed:
            raise failed[0]
        return answers

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.kill()
            process.join()


def _serve(pipe: Connection, rank: int, size: int, store: str) -> None:
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
