"""A lock for writing a file, across processes and threads."""

import fcntl
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from avhash_nas.errors import AvnasError


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on a file for the duration of the block, waiting for it if necessary.

    The lock file is `NAME.lock` beside the file, as the file itself is replaced on writing; its folder is created if
    missing. The lock ends with the process, however that ends.

    Raises:
        AvnasError: The folder is not writable.
    """
    name = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _acquire(name)
    except OSError as error:
        raise AvnasError(f"{name}: cannot be locked: {error.strerror or error}") from error
    with lock:
        try:
            yield
        finally:
            name.unlink(missing_ok=True)


def _acquire(name: Path) -> IO[str]:
    """The locked file. The previous holder removes it, which voids a lock on the file that we had opened."""
    while True:
        file = name.open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            warnings.warn(f"{name}: another process is writing; waiting until it is done", stacklevel=4)
            fcntl.flock(file, fcntl.LOCK_EX)
        if name.exists() and os.path.samestat(os.fstat(file.fileno()), name.stat()):
            return file
        file.close()
