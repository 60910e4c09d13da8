"""Label files: matrices and lists of labels, one row for a video, in the order of the features."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from avhash_nas.data.formats.pickles import read_pickle
from avhash_nas.errors import AvnasError

KEYS = ("labels", "re_label", "q_label", "label")
"""Names under which the label files of the hashing papers keep their matrix."""

Rows = list[tuple[int, ...]]
"""The labels of each video."""


def read_labels(path: Path) -> tuple[Rows, int]:
    """Reads a label file: `.mat` of any version, `.npy`, `.npz`, `.h5`, `.pkl`, or text with a line for each video.

    A matrix (N, C) of zeros and ones is multi-hot. A vector, or a matrix with one row or column, holds one label a
    video. A list may hold several labels a video. A row of zeros is a video without label.

    Returns:
        The labels of each video, and the number of classes that a multi-hot matrix states, else 0.

    Raises:
        AvnasError: The file cannot be read, or holds no such table.
    """
    try:
        table = _READERS.get(path.suffix.lower(), _read_text)(path)
    except (OSError, ValueError, KeyError, NotImplementedError, UnicodeDecodeError) as error:
        raise AvnasError(f"{path}: cannot be read as labels: {' '.join(str(error).split())}") from error
    if isinstance(table, list | tuple) and any(isinstance(row, list | tuple | set | np.ndarray) for row in table):
        sizes = {len(row) for row in table}
        if len(sizes) > 1 or not _is_multi_hot(np.asarray([list(row) for row in table])):
            return [tuple(_whole(path, label) for label in row) for row in table], 0
        table = [list(row) for row in table]
    array = np.asarray(table)
    if array.dtype.kind not in "biuf":
        raise AvnasError(f"{path}: holds {array.dtype}, not labels")
    if _is_multi_hot(array):
        return [tuple(map(int, np.flatnonzero(row))) for row in array], array.shape[1]
    if array.ndim == 2 and 1 in array.shape:
        array = array.ravel()
    if array.ndim != 1:
        raise AvnasError(f"{path}: holds a table of shape {array.shape} that is neither multi-hot nor a label a video")
    return [(_whole(path, label),) for label in array], 0


def _is_multi_hot(array: NDArray[Any]) -> bool:
    return array.ndim == 2 and min(array.shape) > 1 and bool(np.isin(array, (0, 1)).all())


def _whole(path: Path, label: Any) -> int:
    if label != int(label):
        raise AvnasError(f"{path}: label {label} is not a whole number")
    return int(label)


def _read_mat(path: Path) -> Any:
    if h5py.is_hdf5(path):
        return _read_hdf5(path)
    from scipy.io import loadmat

    found = {name: value for name, value in loadmat(path).items() if not name.startswith("__")}
    table = _one_of(path, found)
    return table.toarray() if hasattr(table, "toarray") else table


def _read_hdf5(path: Path) -> Any:
    """The table of an HDF5 file; MATLAB lists axes in reverse, and keeps sparse matrices as groups by columns."""
    with h5py.File(path, "r") as file:
        item = _one_of(path, {name: file[name] for name in file if not name.startswith("#")})
        if isinstance(item, h5py.Dataset):
            return item[()].T if "MATLAB_class" in item.attrs else item[()]
        starts = item["jc"][()].astype(int)
        table = np.zeros((int(item.attrs["MATLAB_sparse"]), len(starts) - 1))
        if "ir" in item:
            table[item["ir"][()].astype(int), np.repeat(np.arange(len(starts) - 1), np.diff(starts))] = item["data"][()]
        return table


def _read_npy(path: Path) -> Any:
    return np.load(path, allow_pickle=False)


def _read_npz(path: Path) -> Any:
    with np.load(path, allow_pickle=False) as file:
        return _one_of(path, {name: file[name] for name in file.files})


def _read_pickle(path: Path) -> Any:
    table = read_pickle(path)
    return _one_of(path, table) if isinstance(table, dict) else table


def _read_text(path: Path) -> Any:
    return [[int(label) for label in line.replace(",", " ").split()] for line in path.read_text("utf-8").splitlines()]


def _one_of(path: Path, tables: dict[str, Any]) -> Any:
    """The table under a usual name, or the only one."""
    for key in KEYS:
        if key in tables:
            return tables[key]
    if len(tables) != 1:
        raise AvnasError(f"{path}: holds {', '.join(tables) or 'nothing'}, and none is named {' or '.join(KEYS)}")
    return next(iter(tables.values()))


_READERS: dict[str, Callable[[Path], Any]] = {
    ".mat": _read_mat,
    ".h5": _read_hdf5,
    ".hdf5": _read_hdf5,
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".pkl": _read_pickle,
    ".pickle": _read_pickle,
}


def joined_labels(paths: Sequence[Path]) -> tuple[Rows, int]:
    """The labels of several files, one after the other."""
    read = [read_labels(path) for path in paths]
    return [row for rows, _ in read for row in rows], max((classes for _, classes in read), default=0)


def multi_hot(rows: Iterator[tuple[str, ...]], classes: Sequence[str]) -> NDArray[np.uint8]:
    """A matrix of zeros and ones, (N, C), from the names of each video's classes."""
    columns = {name: column for column, name in enumerate(classes)}
    each = list(rows)
    table = np.zeros((len(each), len(classes)), np.uint8)
    for row, names in enumerate(each):
        table[row, [columns[name] for name in names]] = 1
    return table
