"""Reading and checking feature files: HDF5 with one group per video that holds the dataset ``vectors``, (T, dim)."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from avhash_nas.errors import DataError

_UNREADABLE = (OSError, KeyError, RuntimeError, ValueError)  # what h5py raises on damaged files


class Shape(NamedTuple):
    """Common shape and type of the vectors of a feature file.

    Args:
        frames: T, time steps of every video.
        dim: Dimensions of a time step.
        dtype: float16 if all sampled videos are stored as such, else float32.
    """

    frames: int
    dim: int
    dtype: np.dtype[Any]


class Vectors(NamedTuple):
    """One video of a feature file: its vectors, (T, dim), or an error message."""

    id: str
    array: NDArray[np.floating[Any]] | None
    problem: str | None
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
        raise DataError([f"{path}: not a whole HDF5 file, copy it again ({_line(error)})"]) from None
    with file:
        yield file


def list_videos(path: Path) -> list[str]:
    """Names of all groups of a feature file, sorted; raises as ``open_file``."""
    with open_file(path) as file:
        return sorted(file)


def survey(file: h5py.File, ids: Sequence[str], frames: int | None) -> Shape | None:
    """The most frequent shape in a sample of videos, with T = `frames` if stated; None if no video has a valid one."""
    sample = [ids[int(at)] for at in np.unique(np.linspace(0, len(ids) - 1, 64).astype(int))] if ids else []
    shapes = [shape for name in sample if (shape := _shape(file, name))]
    if not shapes:
        shapes = [shape for name in ids if (shape := _shape(file, name))][:1]
    if not shapes:
        return None
    most_frequent = Counter((shape.frames, shape.dim) for shape in shapes).most_common(1)[0][0]
    half = all(shape.dtype == np.float16 for shape in shapes)
    return Shape(frames or most_frequent[0], most_frequent[1], np.dtype(np.float16 if half else np.float32))


def scan(file: h5py.File, ids: Sequence[str], shape: Shape | None) -> Iterator[Vectors]:
    """Reads the videos one by one, in order, and validates them against the expected shape."""
    hdf5_type = None if shape is None else h5py.h5t.py_create(shape.dtype)
    for name in ids:
        where = f"{file.filename}: video {name}"
        try:
            array, problem = _read(file, name, shape, hdf5_type)
        except _UNREADABLE as error:
            array, problem = None, f"vectors cannot be read ({_line(error)}); copy the file again"
        if array is not None and not (finite := np.isfinite(array)).all():
            step, column = np.argwhere(~finite)[0]
            count = f"{int((~finite).sum())} of {array.size} values"
            message = f"{where}: {count} are NaN or infinite, first at time step {step}, dimension {column}"
            yield Vectors(name, None, message, non_finite=True)
        else:
            yield Vectors(name, array, problem and f"{where}: {problem}")


def _shape(file: h5py.File, name: str) -> Shape | None:
    try:
        vectors = _find(file, name)
    except _UNREADABLE:
        return None
    if isinstance(vectors, str) or vectors.rank != 2 or vectors.dtype.kind != "f" or 0 in vectors.shape:
        return None
    frames, dim = vectors.shape
    return Shape(frames, dim, vectors.dtype)


def _find(file: h5py.File, name: str) -> Any:
    """The HDF5 dataset of a video as h5py's low-level `DatasetID`, which is four times as fast, or an error message."""
    try:
        dataset = h5py.h5o.open(file.id, f"{name}/vectors".encode())
    except KeyError:
        if name not in file:
            return "no such group, though a list names it"
        group = file[name]
        if isinstance(group, h5py.Group) and "vectors" in group:
            raise
        return "the group has no dataset 'vectors'"
    return dataset if isinstance(dataset, h5py.h5d.DatasetID) else "'vectors' is not a dataset"


def _read(
    file: h5py.File, name: str, shape: Shape | None, hdf5_type: Any
) -> tuple[NDArray[np.floating[Any]] | None, str | None]:
    """The vectors of a video in the type of `shape`, whose HDF5 name is `hdf5_type`, or an error message."""
    vectors = _find(file, name)
    if isinstance(vectors, str):
        return None, vectors
    if shape is None or vectors.shape != (shape.frames, shape.dim):
        expected = f"({shape.frames}, {shape.dim})" if shape else "(T, dim) with T and dim above 0"
        return None, f"vectors have shape {tuple(vectors.shape)}, expected {expected}"
    if vectors.get_type().equal(hdf5_type):  # converting it to a NumPy type would take as long as reading the data
        array = np.empty((shape.frames, shape.dim), shape.dtype)
        vectors.read(h5py.h5s.ALL, h5py.h5s.ALL, array, hdf5_type)
        return array, None
    if vectors.dtype.kind != "f":
        return None, f"vectors are {vectors.dtype}, expected float32 or float16"
    if shape.dtype == np.float16 and vectors.dtype != np.float16:
        return None, f"vectors are {vectors.dtype} where other videos have float16"
    array = np.empty(vectors.shape, vectors.dtype)
    vectors.read(h5py.h5s.ALL, h5py.h5s.ALL, array)
    with np.errstate(over="ignore"):
        return array.astype(shape.dtype, copy=False), None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
