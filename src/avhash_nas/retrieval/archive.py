"""Many arrays in one file, read by mapping them into memory.

The file is a zip archive of npy members without compression, which `numpy.load` reads as any npz. What `numpy.load`
cannot do is map a member: it reads it whole, 1.3 GB for the relaxed codes of ten million videos, of which a query needs
a hundred rows. Members begin at multiples of 64 bytes here, so that a mapped array is aligned.
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
_ZIP64_FIELD = 20  # bytes that zipfile puts in front of our extra field for members of any size
_PADDING_FIELD = 0xD935  # the extra field's number that zipalign uses
_BLOCK = 2**26  # bytes written at once


class Joined:
    """Rows of several arrays one below the other, which are never in memory all at once.

    Args:
        pieces: Arrays of at least one dimension, each with the rows that are taken of it, or None for all. A
            two-dimensional array with fewer columns than another is filled with zeros.
    """

    def __init__(self, *pieces: tuple[NDArray[Any], Rows | None]) -> None:
        self._pieces = pieces
        self.dtype = np.result_type(*(array.dtype for array, _ in pieces))
        count = sum(len(array if rows is None else rows) for array, rows in pieces)
        self.shape = (count, *np.max([array.shape[1:] for array, _ in pieces], axis=0).astype(int).tolist())

    def blocks(self) -> Iterator[NDArray[Any]]:
        """The rows in order, a few at a time, contiguous."""
        step = max(1, _BLOCK // max(1, self.dtype.itemsize * int(np.prod(self.shape[1:]))))
        for array, rows in self._pieces:
            count = len(array if rows is None else rows)
            for start in range(0, count, step):
                part = slice(start, start + step)
                yield self._fitted(array[part] if rows is None else array[rows[part]])

    def whole(self) -> NDArray[Any]:
        """All rows, in memory."""
        return np.concatenate([np.empty((0, *self.shape[1:]), self.dtype), *self.blocks()])

    def _fitted(self, block: NDArray[Any]) -> NDArray[Any]:
        if block.shape[1:] != self.shape[1:]:
            block = np.pad(block, [(0, 0), (0, self.shape[1] - block.shape[1])])
        return np.ascontiguousarray(block, self.dtype)


def write_archive(path: Path, parts: Mapping[str, NDArray[Any] | Joined]) -> None:
    """Write arrays of at least one dimension to a file.

    Args:
        path: The file.
        parts: By name.
    """
    with path.open("wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, part in parts.items():
            joined = part if isinstance(part, Joined) else Joined((part, None))
            member = zipfile.ZipInfo(f"{name}.npy")
            start = file.tell() + _LOCAL_HEADER + len(member.filename) + _ZIP64_FIELD + 4
            padding = -start % _ALIGNMENT
            member.extra = struct.pack("<HH", _PADDING_FIELD, padding) + bytes(padding)
            with archive.open(member, "w", force_zip64=True) as out:
                described = {"descr": npy.dtype_to_descr(joined.dtype), "fortran_order": False, "shape": joined.shape}
                npy.write_array_header_2_0(out, described)
                for block in joined.blocks():
                    out.write(block.reshape(-1).view(np.uint8).data)


def map_archive(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file, mapped and read-only; they stay what they are when another file takes the name.

    Args:
        path: A file of `write_archive`.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no archive of arrays, or is cut short.
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
        raise ValueError(f"{member.filename} is of another npy version")
    shape, fortran_order, dtype = npy.read_array_header_2_0(file)
    if fortran_order or dtype.hasobject:
        raise ValueError(f"{member.filename} is no plain array")
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.asarray(np.memmap(file, dtype, "r", file.tell(), shape))
