"""Work for worker processes, in a module of its own, where they can import it."""

import os
import signal
import sys
import time
from pathlib import Path

import torch

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.workers import Work


class Odd(Work):
    """Does what an item says, and leaves a file for each that it did."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder.with_name(f"{folder.name}.log")

    def prepare(self) -> None:
        assert torch.get_num_threads() == 1

    def __call__(self, item: str) -> str | None:
        if item == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if item == "raise":
            sys.stderr = self.log.open("w")  # the server that forks has its own stderr, opened by whoever came first
            raise ZeroDivisionError
        if item == "stop":
            raise AvnasError("the disk is full")
        if item == "sleep":
            (self.folder / "asleep").touch()
            time.sleep(600)
        (self.folder / item).touch()
        return "does not like it" if item.startswith("bad") else None


class Unready(Odd):
    """Cannot begin."""

    def prepare(self) -> None:
        raise AvnasError("no such checkpoint")


class Stillborn(Odd):
    """Dies before it begins."""

    def prepare(self) -> None:
        os._exit(3)
