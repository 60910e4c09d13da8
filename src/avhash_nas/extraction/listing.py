"""The video files of a folder, and their ids."""

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
"""File name suffixes of videos."""


@dataclass(frozen=True)
class VideoFile:
    """A file to extract.

    Attributes:
        path: The file, absolute.
        name: Its path below the listed folder, with `/`.
        id: Its name in feature files and lists.
        key: A digest of name, size and modification time, which identifies the content.
    """

    path: Path
    name: str
    id: str
    key: str


@dataclass(frozen=True)
class Listing:
    """Files of a folder.

    Attributes:
        videos: Video files, sorted by name.
        unusable: Files that cannot be read, with the reason.
        others: Number of other files, by suffix.
    """

    videos: tuple[VideoFile, ...]
    unusable: tuple[tuple[str, str], ...]
    others: Counter[str]


def list_videos(source: str | Path, suffixes: Collection[str] = SUFFIXES) -> Listing:
    """Finds the video files below a folder; a single file is used whatever its suffix.

    Hidden files and folders are skipped; links are followed, each folder once.

    Args:
        source: Folder or file.
        suffixes: Suffixes of video files, with the dot; case does not matter.

    Raises:
        AvnasError: The folder does not exist, one below it cannot be read, or there are no videos.
    """
    root = Path(source)
    if root.is_file():
        paths, folder = [root], root.parent
    elif root.is_dir():
        paths, folder = list(_files(root)), root
    else:
        raise AvnasError(f"{source}: no such file or folder")
    suffixes = {suffix.lower() for suffix in suffixes}
    candidates = [path for path in paths if path == root or path.suffix.lower() in suffixes]
    others = Counter(path.suffix.lower() for path in set(paths) - set(candidates))
    files, unusable = [], []
    for path in candidates:
        name = path.relative_to(folder).as_posix()
        try:
            files.append((name, path, _key(name, path.stat())))
        except OSError as error:
            unusable.append((str(path), f"cannot be read: {error.strerror}"))
        except UnicodeEncodeError:
            shown = os.fsencode(path).decode("utf-8", "backslashreplace")
            unusable.append((shown, "its name is not UTF-8 text: rename it"))
    if not candidates:
        kinds = f"; other files: {describe_suffixes(others)}" if others else ""
        raise AvnasError(f"{source}: holds no video files{kinds}")
    files.sort()
    ids = ids_of([name for name, _, _ in files])
    videos = [VideoFile(absolute(path), name, own, key) for (name, path, key), own in zip(files, ids, strict=True)]
    return Listing(tuple(videos), tuple(unusable), others)


def describe_suffixes(counts: Counter[str]) -> str:
    """The most frequent suffixes with their counts, such as "2 .txt, 1 without suffix"."""
    return ", ".join(f"{count} {suffix or 'without suffix'}" for suffix, count in counts.most_common(5))


def ids_of(names: Sequence[str]) -> list[str]:
    """Ids of video files: distinct, valid as HDF5 groups and in comma-separated lists, and the same in every run.

    An id is the path without its suffix, with folders joined by `:`. Files of one folder that differ only in the suffix
    keep it. `%`, `:`, `,`, `;`, control characters and leading or trailing white space are percent-encoded.

    Args:
        names: Distinct paths with `/`.

    >>> ids_of(["cats/tom.mp4", "dogs/tom.mp4", "dogs/tom.avi", "a, b.mp4"])
    ['cats:tom', 'dogs:tom.mp4', 'dogs:tom.avi', 'a%2C b']
    """
    full = {name: _id(PurePosixPath(name).parts) for name in names}
    ids = {name: _id((path := PurePosixPath(name)).with_name(path.stem).parts) for name in names}
    while ambiguous := {own for own, count in Counter(ids.values()).items() if count > 1}:
        ids = {name: full[name] if own in ambiguous else own for name, own in ids.items()}
    return [ids[name] for name in names]


def _id(parts: Iterable[str]) -> str:
    text = ":".join(map(_escape, parts))
    return "%2E" if text == "." else text


def _escape(part: str) -> str:
    inner = range(len(part) - len(part.lstrip()), len(part.rstrip()))
    return "".join(
        character
        if place in inner and character.isprintable() and character not in "%:,;"
        else _percent_encode(character)
        for place, character in enumerate(part)
    )


def _percent_encode(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())


def absolute(path: Path) -> Path:
    """The absolute path without `..`; links are not followed."""
    return Path(os.path.abspath(path))  # noqa: PTH100  # pathlib cannot do that


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
