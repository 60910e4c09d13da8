"""Memory-mapped features: each modality of a dataset is converted once to one array in a cache folder."""

import hashlib
import os
import platform
import shutil
import warnings
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from typing_extensions import override

from avhash_nas.cache import default_cache_dir, locked_if_possible
from avhash_nas.data.cached_files import CachedFiles
from avhash_nas.data.hdf5 import Shape, open_file, scan, source_files, survey
from avhash_nas.data.layout import Layout, different_frames
from avhash_nas.data.problems import Problem, summarize
from avhash_nas.data.suspicions import Suspicions
from avhash_nas.errors import DataError
from avhash_nas.files import read_json, write_json

_QUEUED_WRITES = 16


class Features:
    """One modality's vectors of all videos, (V, T, dim), memory-mapped from a cached file.

    Processes on one machine share the memory pages. Only the path is pickled, so loader workers get no copy.

    Args:
        path: A file written by ``open_features``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._array: NDArray[np.floating[Any]] = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
        if self._array.ndim != 3:
            raise ValueError(f"{path}: holds {self._array.ndim} dimensions, not 3")

    def __len__(self) -> int:
        return len(self._array)

    @property
    def frames(self) -> int:
        """T, time steps of every video."""
        return int(self._array.shape[1])

    @property
    def dim(self) -> int:
        """Dimensions of a time step."""
        return int(self._array.shape[2])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the cached values: float32 or float16."""
        return self._array.dtype

    def read(self, rows: NDArray[np.int64], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Copies the vectors of some videos.

        Args:
            rows: Rows of the videos, (B,).
            out: Array to copy into, (B, T, dim); None allocates one.

        Returns:
            (B, T, dim), float32.
        """
        if out is None:
            out = np.empty((len(rows), self.frames, self.dim), np.float32)
        for position, row in enumerate(rows):
            out[position] = self._array[row]
        return out

    def hash(self, row: int, size: int) -> bytes:
        """BLAKE2b of a video's values, with their type and shape.

        Args:
            row: Row of the video.
            size: Bytes of the hash.
        """
        values = np.ascontiguousarray(self._array[row])
        seen = hashlib.blake2b(f"{values.dtype.str}{values.shape}".encode(), digest_size=size)
        seen.update(values.data)
        return seen.digest()

    @property
    def suspicions(self) -> Suspicions:
        """What is suspicious in the feature file; found when it was converted."""
        return Suspicions.from_dict(read_json(self.path.with_suffix(".json")))

    def __reduce__(self) -> tuple[type["Features"], tuple[Path]]:
        return Features, (self.path,)


def open_features(
    source: Path, ids: Sequence[str], *, frames: int | None = None, cache_dir: str | Path | None = None
) -> Features:
    """Opens the cached array of a feature file, converting the file first if needed.

    The cache key consists of the path, size and modification time of the file, and of every other file that the vectors
    depend on through links, virtual datasets or external values, and of the video ids: what changes is converted again.
    The array is written under a temporary name and then renamed: an interrupted conversion or a full
    disk leaves nothing behind. If several processes start at once, one converts and the others wait. Unused arrays are
    not removed; the folder can be emptied whenever no run uses it.

    Args:
        source: The HDF5 file.
        ids: The videos; the rows of the array follow their order.
        frames: T, if stated; else that of most videos.
        cache_dir: The cache folder; None is ``default_cache_dir()``.

    Raises:
        DataError: The file, videos in it (one line for each kind of problem) or the cache folder cannot be used.
    """
    cached = CachedFiles.of(source, ids, frames, Path(cache_dir) if cache_dir is not None else default_cache_dir())
    try:
        features = _open_cached(cached, len(ids))
        if features is not None:
            return features
        cached.folder.mkdir(parents=True, exist_ok=True)
        with locked_if_possible(cached.lock) as held:
            if held:
                _remove_stale(cached)
            cached = cached.looked_up()
            features = _open_cached(cached, len(ids))
            if features is None:
                if cached.array.exists():
                    warnings.warn(f"{cached.array}: damaged, so the features are converted again", stacklevel=2)
                features = _convert(source, ids, frames, cached)
    except OSError as error:
        raise DataError(
            [f"{error.filename or cached.folder}: the cache cannot be written: {error.strerror}"]
        ) from error
    return features


class AbsentFeatures(Features):
    """The features of a modality that a dataset lacks, of width 0.

    Args:
        videos: V.
        frames: T.
    """

    def __init__(self, videos: int, frames: int) -> None:
        self._array = np.empty((videos, frames, 0), np.float32)

    @property
    @override
    def suspicions(self) -> Suspicions:
        return Suspicions()

    @override
    def __reduce__(self) -> tuple[type["AbsentFeatures"], tuple[int, int]]:  # type: ignore[override]  # its own class
        return AbsentFeatures, (len(self), self.frames)


def open_both(layout: Layout, ids: Sequence[str], cache_dir: str | Path | None = None) -> tuple[Features, Features]:
    """Opens the visual and the audio features of a dataset with ``open_features``.

    Returns:
        Both; the features of a modality that the layout lacks have width 0.

    Raises:
        DataError: The problems of both files, or T differs between them.
    """
    problems: list[str] = []
    opened: dict[str, Features] = {}
    for modality, file in layout.modalities.items():
        try:
            opened[modality] = open_features(file, ids, frames=layout.frames, cache_dir=cache_dir)
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    frames = [features.frames for features in opened.values()]
    if len(set(frames)) > 1:
        raise DataError([different_frames(layout, *frames)])
    absent = AbsentFeatures(len(ids), frames[0])
    return opened.get("visual", absent), opened.get("audio", absent)


def cached_file(source: Path, ids: Sequence[str], frames: int | None, cache_dir: str | Path | None = None) -> Path:
    """The cached array of a feature file; another one as soon as anything that the features depend on changes.

    Args:
        source: The HDF5 file.
        ids: The videos.
        frames: T, if stated.
        cache_dir: The cache folder; None is ``default_cache_dir()``.

    Raises:
        DataError: The file cannot be found.
    """
    return CachedFiles.of(source, ids, frames, Path(cache_dir) if cache_dir is not None else default_cache_dir()).array


def _open_cached(cached: CachedFiles, count: int) -> Features | None:
    """The cached array; None if it is missing or damaged."""
    try:
        features = Features(cached.array)
    except (FileNotFoundError, NotADirectoryError, ValueError, EOFError):
        return None
    return features if len(features) == count and cached.suspicions.exists() else None


def _remove_stale(cached: CachedFiles) -> None:
    """Removes temporary files of killed processes of this machine. The caller must hold the lock."""
    try:
        for stale in cached.folder.glob(f"{cached.lock.stem}.{platform.node()}-*.tmp"):
            stale.unlink(missing_ok=True)
    except OSError as error:
        warnings.warn(f"{error.filename}: left by a killed process, cannot be removed: {error.strerror}", stacklevel=3)


def _convert(source: Path, ids: Sequence[str], frames: int | None, cached: CachedFiles) -> Features:
    """Validates every video and writes and opens the array, or raises all problems and leaves no file."""
    temporary = cached.lock.with_name(f"{cached.lock.stem}.{platform.node()}-{os.getpid()}.tmp")
    problems: list[Problem] = []
    try:
        with open_file(source) as file, temporary.open("wb") as out, ThreadPoolExecutor(1) as writer:
            shape = survey(file, ids, frames)
            if shape is not None:
                _write_header(out, shape, len(ids), temporary.parent)
            suspicions = Suspicions.of(shape)
            console = Console(stderr=True)
            videos = track(
                scan(file, ids, shape), f"Converting {source.name}", len(ids), console=console, transient=True,
                disable=not console.is_terminal,
            )  # fmt: skip
            queued: deque[Future[None]] = deque()  # writing overlaps with reading
            for video in videos:
                if video.problem is not None:
                    problems.append(video.problem)
                elif not problems and video.array is not None:
                    suspicions.look_at(video.id, video.array)
                    queued.append(writer.submit(_write, out, video.array))
                if len(queued) > _QUEUED_WRITES:
                    queued.popleft().result()
            for written in queued:
                written.result()
            out.flush()
            os.fsync(out.fileno())
            if problems:
                raise DataError(summarize(problems))
            cached = cached.depending_on(source_files(file, ids))
        write_json(cached.suspicions, suspicions.to_dict())
        temporary.replace(cached.array)
        return Features(cached.array)
    finally:
        temporary.unlink(missing_ok=True)


def _write_header(out: IO[bytes], shape: Shape, count: int, folder: Path) -> None:
    required = count * shape.frames * shape.dim * shape.dtype.itemsize
    free = shutil.disk_usage(folder).free
    if required > free:
        raise DataError(
            [f"{folder}: the cache needs {required / 1e9:.2f} GB and {free / 1e9:.2f} GB are free; name another folder"]
        )
    header = {"descr": shape.dtype.str, "fortran_order": False, "shape": (count, shape.frames, shape.dim)}
    np.lib.format.write_array_header_1_0(out, header)


def _write(out: IO[bytes], array: NDArray[np.floating[Any]]) -> None:
    """Appends one video. On a full disk, a plain write raises an error; one to a mapped file would kill the process."""
    out.write(np.ascontiguousarray(array).data)
