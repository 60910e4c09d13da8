"""The user's cache folder, and locks against concurrent writes."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def default_cache_dir() -> Path:
    """The user's cache folder: ``$XDG_CACHE_HOME/avhash-nas``, else ``~/.cache/avhash-nas``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "avhash-nas"


@contextmanager
def locked_if_possible(path: Path) -> Iterator[bool]:
    """Holds a lock that ends with the process, and yields whether it is held.

    Without the lock (no POSIX, or a file system without locks), processes may only repeat work. The folder of the lock
    file must exist.
    """
    try:
        import fcntl
    except ImportError:
        yield False
        return
    with path.open("w") as file:
        held = True
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            held = False
            warnings.warn(f"{path}: no lock ({error.strerror}): processes may do the same work at once", stacklevel=3)
        yield held
