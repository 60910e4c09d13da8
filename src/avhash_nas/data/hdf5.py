"""Reading and checking feature files: HDF5 with one group per video that holds the dataset ``vectors``, (T, dim)."""

import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from avhash_nas.data.hdf5_sources import Sources, is_self_contained
from avhash_nas.data.problems import Problem
from avhash_nas.errors import DataError

VECTORS = "vectors"
"""Name of a video's dataset in its group."""

_UNREADABLE = (OSError, KeyError, RuntimeError, ValueError)  # what h5py raises on damaged files
_MATLAB = b"MATLAB_class"  # attribute of every array that MATLAB saves, whose axes HDF5 lists in reverse


class Shape(NamedTuple):
    """Common shape and type of the vectors of a feature file.

    Args:
        frames: T, time steps of every video.
        dim: Dimensions of a time step.
        dtype: float16 if all videos are stored as such, else float32.
    """

    frames: int
    dim: int
    dtype: np.dtype[Any]


class Vectors(NamedTuple):
    """One video of a feature file: its vectors, (T, dim), or what is wrong with it."""

    id: str
    array: NDArray[np.floating[Any]] | None
    problem: Problem | None
    non_finite: bool = False  # whether the problem is NaN or infinite values


@contextmanager
def open_file(path: Path) -> Iterator[h5py.File]:
    """Opens a feature file for reading.

    Raises:
        DataError: It is missing, unreadable, truncated or not HDF5.
    """
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise DataError([f"{path}: no such file; dataset.yaml can name another, under files"]) from None
    except OSError as error:
        if error.errno is not None:
            raise DataError([f"{path}: cannot be read: {os.strerror(error.errno)}"]) from None
        raise DataError([_damaged(path, error)]) from None
    with file:
        try:
            len(file)  # a file whose writer was killed opens, but may lack its table of groups
        except _UNREADABLE as error:
            raise DataError([_damaged(path, error)]) from None
        yield file


def list_videos(path: Path, known: Collection[str] = ()) -> list[str]:
    """Ids of all videos of a feature file, sorted; raises as ``open_file``.

    Args:
        path: The file.
        known: Ids that need not be looked at, as in ``video_ids``.
    """
    with open_file(path) as file:
        return sorted(video_ids(file, known))


def video_ids(file: h5py.File, known: Collection[str] = ()) -> list[str]:
    """Ids of all videos of a feature file.

    A video is a group with the dataset `vectors`, at any depth, and its id is its path, such as `class/video`. What
    holds neither vectors nor groups counts as a video as well, so that it is reported.

    Args:
        file: The file.
        known: Ids that are taken for videos without a look into their groups, which takes most of the time.

    Raises:
        DataError: The file is damaged.
    """
    ids: list[str] = []
    try:
        root = h5py.h5g.open(file.id, b"/")
        _collect(root, "", known, ids, (_identity(root),))
    except _UNREADABLE as error:
        raise DataError([_damaged(Path(file.filename), error)]) from None
    return ids


def _collect(group: Any, prefix: str, known: Collection[str], ids: list[str], above: tuple[Any, ...]) -> None:
    """Adds the videos below a low-level group.

    `above` holds the groups that it lies in, because links can be circular.
    """
    for member in group:
        name = prefix + member.decode("utf-8", "surrogateescape")
        if name in known:
            ids.append(name)
            continue
        if name in ("#refs#", "#subsystem#"):  # MATLAB's own
            continue
        try:
            child = h5py.h5o.open(group, member)
        except KeyError:  # a link that leads nowhere
            child = None
        if not isinstance(child, h5py.h5g.GroupID):
            if not prefix:
                ids.append(name)
            continue
        is_video = VECTORS.encode() in child
        inner: list[str] = []
        if child.get_num_objs() > is_video:
            if (identity := _identity(child)) in above:
                continue
            _collect(child, f"{name}/", known, inner, (*above, identity))
        if is_video or not inner:
            ids.append(name)
        ids += inner


def _identity(group: Any) -> tuple[int, int]:
    information = h5py.h5o.get_info(group)
    return information.fileno, information.addr


def survey(file: h5py.File, ids: Sequence[str], frames: int | None) -> Shape | None:
    """The most frequent shape in a sample of videos, with T = `frames` if stated; None if no video has a valid one.

    Raises:
        DataError: The file has another layout than a group per video.
    """
    sample = [ids[int(at)] for at in np.unique(np.linspace(0, len(ids) - 1, 64).astype(int))] if ids else []
    shapes = [shape for name in sample if (shape := _shape(file, name))]
    if not shapes:
        if stacked := [f"{name!r} {item.shape}" for name, item in _arrays(file) if item.ndim == 3]:
            raise DataError(
                [
                    f"{file.filename}: holds {', '.join(stacked)}, one array of all videos, where a group per video is "
                    "expected: `avnas data convert --from=stacked` turns it into such a file"
                ]
            )
        shapes = [shape for name in ids if (shape := _shape(file, name))][:1]
    if not shapes:
        return None
    most_frequent = Counter((shape.frames, shape.dim) for shape in shapes).most_common(1)[0][0]
    half = all(shape.dtype == np.float16 for shape in shapes)
    half = half and all((shape := _shape(file, name)) is None or shape.dtype == np.float16 for name in ids)
    return Shape(frames or most_frequent[0], most_frequent[1], np.dtype(np.float16 if half else np.float32))


def _arrays(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    """The arrays that lie beside the groups."""
    for name in file:
        try:
            item = file.get(name)
        except _UNREADABLE:
            continue
        if isinstance(item, h5py.Dataset):
            yield name, item


def scan(file: h5py.File, ids: Sequence[str], shape: Shape | None) -> Iterator[Vectors]:
    """Reads the videos one by one, in order, and validates them against the expected shape."""
    hdf5_type = None if shape is None else h5py.h5t.py_create(shape.dtype)
    path = Path(file.filename)
    for name in ids:
        try:
            read = _read(file, name, shape, hdf5_type)
        except _UNREADABLE as error:
            reason = f"({_line(error)}); copy the file again"
            read = Problem.of_video(
                path, name, f"vectors cannot be read {reason}", "vectors cannot be read; copy the file again"
            )
        if isinstance(read, Problem):
            yield Vectors(name, None, read)
        elif (finite := np.isfinite(read)).all():
            yield Vectors(name, read, None)
        else:
            step, column = np.argwhere(~finite)[0]
            count = f"{int((~finite).sum())} of {read.size}"
            text = f"{count} values are NaN or infinite, first at time step {step}, dimension {column}"
            problem = Problem.of_video(path, name, text, "values are NaN or infinite", f"({count})")
            yield Vectors(name, None, problem, non_finite=True)


def source_files(file: h5py.File, ids: Sequence[str]) -> list[Path]:
    """Every other file that the vectors of some videos depend on, sorted."""
    files: dict[Path, None] = {}
    for name in ids:
        vectors = _dataset(file, name)
        if vectors is not None and not is_self_contained(file, vectors):
            files.update(Sources.of(file, f"{name}/{VECTORS}").files)
    return sorted(path.absolute() for path in files)


def _dataset(file: h5py.File, name: str) -> Any:
    """The dataset of a video as a low-level `DatasetID`, or None if it cannot be opened."""
    try:
        found = _find(file, name)
    except _UNREADABLE:
        return None
    return None if isinstance(found, Problem) else found


def _shape(file: h5py.File, name: str) -> Shape | None:
    vectors = _dataset(file, name)
    if vectors is None or vectors.rank != 2 or vectors.dtype.kind != "f" or 0 in vectors.shape:
        return None
    frames, dim = _axes(vectors)
    return Shape(frames, dim, vectors.dtype)


def _is_matlab(vectors: Any) -> bool:
    return bool(h5py.h5a.exists(vectors, _MATLAB))


def _axes(vectors: Any) -> tuple[int, ...]:
    """The shape as its writer had it."""
    shape = tuple(map(int, vectors.shape))
    return shape[::-1] if _is_matlab(vectors) else shape


def _find(file: h5py.File, name: str) -> Any:
    """The HDF5 dataset of a video as h5py's low-level `DatasetID`, which is four times as fast, or a problem."""
    try:
        dataset = h5py.h5o.open(file.id, f"{name}/{VECTORS}".encode())
    except KeyError:
        dataset = None
    if isinstance(dataset, h5py.h5d.DatasetID):
        return dataset
    path = Path(file.filename)
    if dataset is not None:
        return Problem.of_video(path, name, "'vectors' is not a dataset")
    if missing := Sources.of(file, f"{name}/{VECTORS}").missing:
        return Problem.of_video(path, name, f"{missing[0]} is missing")
    if name not in file:
        hint = "; the file has it without the suffix" if (stem := name.rpartition(".")[0]) and stem in file else ""
        return Problem.of_video(path, name, f"no such group, though a list names it{hint}")
    group = file[name]
    if isinstance(group, h5py.Group) and VECTORS in group:
        raise KeyError("vectors cannot be opened")
    return Problem.of_video(path, name, "the group has no dataset 'vectors'")


def _read(file: h5py.File, name: str, shape: Shape | None, hdf5_type: Any) -> NDArray[np.floating[Any]] | Problem:
    """The vectors of a video in the type of `shape`, whose HDF5 name is `hdf5_type`, or a problem."""
    path = Path(file.filename)
    vectors = _find(file, name)
    if isinstance(vectors, Problem):
        return vectors
    if not is_self_contained(file, vectors) and (missing := Sources.of(file, f"{name}/{VECTORS}").missing):
        return Problem.of_video(path, name, f"{missing[0]} is missing")
    # NumPy's name of the type would take as long as reading the data
    exact = hdf5_type is not None and vectors.get_type().equal(hdf5_type)
    if not exact and vectors.dtype.kind != "f":
        return Problem.of_video(path, name, f"vectors are {vectors.dtype}, expected float32 or float16")
    if shape is None or _axes(vectors) != (shape.frames, shape.dim):
        expected = f"({shape.frames}, {shape.dim})" if shape else "(T, dim) with T and dim above 0"
        actual = str(_axes(vectors))
        text = f"vectors have shape {actual}, expected {expected}"
        return Problem.of_video(path, name, text, f"vectors have another shape than {expected}", actual)
    array = np.empty(vectors.shape, shape.dtype if exact else vectors.dtype)
    vectors.read(h5py.h5s.ALL, h5py.h5s.ALL, array, *([hdf5_type] if exact else []))
    if _is_matlab(vectors):
        array = array.T
    with np.errstate(over="ignore"):
        return array.astype(shape.dtype, copy=False)


def _damaged(path: Path, error: Exception) -> str:
    return f"{path}: not a whole HDF5 file, copy it again ({_line(error)})"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
