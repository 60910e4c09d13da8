"""Which video files a folder holds, and their ids."""

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from avhash_nas.errors import AvnasError

SUFFIXES = (
    *(".3gp", ".asf", ".avi", ".divx", ".f4v", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"),
    *(".mts", ".mxf", ".ogv", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv"),
)
"""Endings of video files."""


@dataclass(frozen=True)
class VideoFile:
    """A file to extract.

    Attributes:
        path: The file, absolute.
        name: Its path below the folder that was listed, with `/`.
        id: What stands for it in feature files and lists.
        key: A digest of name, size and time of change: another one when the file has changed.
    """

    path: Path
    name: str
    id: str
    key: str


@dataclass(frozen=True)
class Listing:
    """What a folder holds.

    Attributes:
        videos: Video files, by name.
        unusable: Files that cannot be listed, with the reason.
        others: Number of files with other endings, by ending.
    """

    videos: tuple[VideoFile, ...]
    unusable: tuple[tuple[str, str], ...]
    others: Counter[str]


def list_videos(source: str | Path, suffixes: Collection[str] = SUFFIXES) -> Listing:
    """Find the video files below a folder, or take one file, whatever its ending.

    Files and folders whose names start with a dot are left out; links are followed, each folder once.

    Args:
        source: Folder or file.
        suffixes: Endings of video files, with the dot; case does not matter.

    Raises:
        AvnasError: There is no such folder, one below it cannot be read, or there are no videos.
    """
    root = Path(source)
    if root.is_file():
        paths, folder = [root], root.parent
    elif root.is_dir():
        paths, folder = list(_files(root)), root
    else:
        raise AvnasError(f"{source}: no such file or folder")
    endings = {suffix.lower() for suffix in suffixes}
    chosen = [path for path in paths if path == root or path.suffix.lower() in endings]
    others = Counter(path.suffix.lower() for path in set(paths) - set(chosen))
    found, unusable = [], []
    for path in chosen:
        name = path.relative_to(folder).as_posix()
        try:
            found.append((name, path, _key(name, path.stat())))
        except OSError as error:
            unusable.append((str(path), f"cannot be read: {error.strerror}"))
        except UnicodeEncodeError:
            shown = os.fsencode(path).decode("utf-8", "backslashreplace")
            unusable.append((shown, "its name is not UTF-8 text: rename it"))
    if not chosen:
        kinds = ", ".join(f"{count} {ending or 'without ending'}" for ending, count in others.most_common(5))
        raise AvnasError(f"{source}: holds no video files" + (f"; other files: {kinds}" if kinds else ""))
    found.sort()
    ids = ids_of([name for name, _, _ in found])
    videos = [VideoFile(_absolute(path), name, own, key) for (name, path, key), own in zip(found, ids, strict=True)]
    return Listing(tuple(videos), tuple(unusable), others)


def ids_of(names: Sequence[str]) -> list[str]:
    """Ids of video files: distinct, fit for HDF5 groups and for lists with commas, and the same on every run.

    An id is the path without its ending, folders joined by `:`. Of files of one folder that differ in the ending alone,
    each keeps it. `%`, `:`, `,`, `;`, control characters and white space at either end are written as in URLs.

    Args:
        names: Distinct paths with `/`.

    >>> ids_of(["cats/tom.mp4", "dogs/tom.mp4", "dogs/tom.avi", "a, b.mp4"])
    ['cats:tom', 'dogs:tom.mp4', 'dogs:tom.avi', 'a%2C b']
    """
    whole = {name: _id(PurePosixPath(name).parts) for name in names}
    ids = {name: _id((path := PurePosixPath(name)).with_name(path.stem).parts) for name in names}
    while clashing := {own for own, count in Counter(ids.values()).items() if count > 1}:
        ids = {name: whole[name] if own in clashing else own for name, own in ids.items()}
    return [ids[name] for name in names]


def _id(parts: Iterable[str]) -> str:
    text = ":".join(map(_escaped, parts))
    return "%2E" if text == "." else text


def _escaped(part: str) -> str:
    inner = range(len(part) - len(part.lstrip()), len(part.rstrip()))
    return "".join(
        character if place in inner and character.isprintable() and character not in "%:,;" else _percent(character)
        for place, character in enumerate(part)
    )


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  Path has no way to take out ".." without following links


def _key(name: str, status: os.stat_result) -> str:
    return hashlib.sha256(f"{name}\0{status.st_size}\0{status.st_mtime_ns}".encode()).hexdigest()[:32]


def _files(root: Path) -> Iterable[Path]:
    seen: set[tuple[int, int]] = set()

    def refuse(error: OSError) -> None:
        raise AvnasError(f"{error.filename}: cannot be read: {error.strerror}") from error

    for folder, folders, files in os.walk(root, onerror=refuse, followlinks=True):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        yield from (Path(folder) / each for each in files if not each.startswith("."))
