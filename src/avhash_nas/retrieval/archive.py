"""Several arrays in one file, read by memory mapping.

The file is an uncompressed zip archive of npy members, readable by `numpy.load`. `numpy.load` cannot map a member but
reads it completely: 1.3 GB for the relaxed codes of ten million videos, of which a query needs a hundred rows. Members
start at multiples of 64 bytes, so that mapped arrays are aligned.
"""

import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

Rows = NDArray[np.int64]

_ALIGNMENT = 64
_LOCAL_HEADER = 30  # bytes before a member's name
_ZIP64_FIELD = 20  # bytes that zipfile inserts before our extra field
_PADDING_FIELD = 0xD935  # id of the extra field, as used by zipalign
_BLOCK = 2**26  # bytes per write


class Joined:
    """Lazily concatenated rows of several arrays.

    Args:
        pieces: Arrays of at least one dimension, each with its selected rows, or None for all. Two-dimensional arrays
            are zero-padded to the largest number of columns.
    """

    def __init__(self, *pieces: tuple[NDArray[Any], Rows | None]) -> None:
        self._pieces = pieces
        self.dtype = np.result_type(*(array.dtype for array, _ in pieces))
        count = sum(len(array if rows is None else rows) for array, rows in pieces)
        self.shape = (count, *np.max([array.shape[1:] for array, _ in pieces], axis=0).astype(int).tolist())

    def blocks(self) -> Iterator[NDArray[Any]]:
        """The rows in order, in contiguous blocks."""
        step = max(1, _BLOCK // max(1, self.dtype.itemsize * int(np.prod(self.shape[1:]))))
        for array, rows in self._pieces:
            count = len(array if rows is None else rows)
            for start in range(0, count, step):
                part = slice(start, start + step)
                yield self._padded(array[part] if rows is None else array[rows[part]])

    def whole(self) -> NDArray[Any]:
        """All rows, in memory."""
        return np.concatenate([np.empty((0, *self.shape[1:]), self.dtype), *self.blocks()])

    def _padded(self, block: NDArray[Any]) -> NDArray[Any]:
        if block.shape[1:] != self.shape[1:]:
            block = np.pad(block, [(0, 0), (0, self.shape[1] - block.shape[1])])
        return np.ascontiguousarray(block, self.dtype)


def write_archive(path: Path, parts: Mapping[str, NDArray[Any] | Joined]) -> None:
    """Writes arrays of at least one dimension, by name, to a file."""
    with path.open("wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, part in parts.items():
            joined = part if isinstance(part, Joined) else Joined((part, None))
            member = zipfile.ZipInfo(f"{name}.npy")
            start = file.tell() + _LOCAL_HEADER + len(member.filename) + _ZIP64_FIELD + 4
            padding = -start % _ALIGNMENT
            member.extra = struct.pack("<HH", _PADDING_FIELD, padding) + bytes(padding)
            with archive.open(member, "w", force_zip64=True) as out:
                description = {"descr": npy.dtype_to_descr(joined.dtype), "fortran_order": False, "shape": joined.shape}
                npy.write_array_header_2_0(out, description)
                for block in joined.blocks():
                    out.write(block.reshape(-1).view(np.uint8).data)


def map_archive(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file of `write_archive`, mapped read-only; replacing the file does not change them.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is truncated, or not an archive of arrays.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            return {member.filename.removesuffix(".npy"): _mapped(file, member) for member in archive.infolist()}
    except (zipfile.BadZipFile, struct.error, EOFError) as error:
        raise ValueError(str(error)) from error


def _mapped(file: BinaryIO, member: zipfile.ZipInfo) -> NDArray[Any]:
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{member.filename} is compressed")
    file.seek(member.header_offset)
    name, extra = struct.unpack_from("<HH", file.read(_LOCAL_HEADER), 26)
    file.seek(member.header_offset + _LOCAL_HEADER + name + extra)
    if npy.read_magic(file) != (2, 0):
        raise ValueError(f"{member.filename} has an unsupported npy version")
    shape, fortran_order, dtype = npy.read_array_header_2_0(file)
    if fortran_order or dtype.hasobject:
        raise ValueError(f"{member.filename} is not a plain array")
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.asarray(np.memmap(file, dtype, "r", file.tell(), shape))
