"""The folder that an extraction fills: whether it may be used, and by one process at a time."""

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from avhash_nas.data import EXTRACTION_FILE
from avhash_nas.data.media import MEDIA_FILE
from avhash_nas.errors import AvnasError
from avhash_nas.extraction.feature_files import FILES, Parts
from avhash_nas.extraction.labels import SPLITS
from avhash_nas.files import read_json, write_json
from avhash_nas.legacy import renamed

_OWN = (*FILES.values(), "dataset.yaml", *(f"{split}.txt" for split in SPLITS), MEDIA_FILE, EXTRACTION_FILE)


def parts_of(folder: Path) -> Parts:
    """The parts of a folder that are not yet in its feature files.

    Args:
        folder: The feature folder.
    """
    return Parts(folder / "parts")


def check_folder(folder: Path, described: Mapping[str, Any], *, overwrite: bool = False) -> None:
    """Refuse a folder that the extraction must not write to.

    Args:
        folder: The feature folder.
        described: `Extraction.to_dict()` of the extraction.
        overwrite: Features of another extraction are no reason to refuse it.

    Raises:
        AvnasError: The folder holds features of another extraction, or something else.
    """
    if not (folder / EXTRACTION_FILE).exists():
        if held := sorted(entry.name for entry in folder.iterdir()):
            raise AvnasError(f"{folder}: holds {held[0]}, which no extraction has made; name another folder")
        return
    before = renamed(read_json(folder / EXTRACTION_FILE))
    different = [name for name in described if before.get(name) != described[name]]
    if different and not overwrite:
        was, now = (json.dumps(each.get(different[0])) for each in (before, described))
        raise AvnasError(
            f"{folder}: holds features of another extraction: {different[0]} was {was} and is {now} now; "
            "name another folder, or start anew with --overwrite"
        )


def begin(folder: Path, described: Mapping[str, Any], *, anew: bool) -> None:
    """Make the folder ready; what belongs to other files in it is left alone.

    Args:
        folder: Made if it is not there.
        described: `Extraction.to_dict()` of the extraction.
        anew: Remove all that extractions have written.
    """
    if anew:
        parts_of(folder).clear()
        for name in _OWN:
            (folder / name).unlink(missing_ok=True)
    if not (folder / EXTRACTION_FILE).exists():
        write_json(folder / EXTRACTION_FILE, dict(described))


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other extractions away from a folder; the lock ends with the process.

    Where the system or the file system has no locks (no POSIX, some network folders), nothing is kept away.

    Args:
        folder: Made if it is not there.

    Raises:
        AvnasError: Another extraction is at work in it, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AvnasError(f"{folder}: cannot be made: {error.strerror}") from error
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise AvnasError(f"{folder}: another extraction is at work in it") from None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP):
            raise
    try:
        yield
    finally:
        os.close(descriptor)
