"""One writer at a time."""

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
    """Within the block no other process and no other thread holds the lock of this file; it waits for its turn.

    The lock is `NAME.lock` beside the file, as the file itself is replaced when it is written. It ends with the
    process, however that ends.

    Args:
        path: The file that is to be written; its folder is made if missing.

    Raises:
        AvnasError: The folder cannot be written.
    """
    name = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = _hold(name)
    except OSError as error:
        raise AvnasError(f"{name}: cannot be locked: {error.strerror or error}") from error
    with held:
        try:
            yield
        finally:
            name.unlink(missing_ok=True)


def _hold(name: Path) -> IO[str]:
    """The locked file; the one before us removes it, and then the lock of what we had opened is worth nothing."""
    while True:
        file = name.open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            warnings.warn(f"{name}: another process writes; waiting until it is done", stacklevel=4)
            fcntl.flock(file, fcntl.LOCK_EX)
        if name.exists() and os.path.samestat(os.fstat(file.fileno()), name.stat()):
            return file
        file.close()
