"""Codes of several videos with the data needed to search them, in memory and as a file."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avhash_nas.errors import AvnasError
from avhash_nas.files import write_whole

_FORMAT = 1

Ids = NDArray[np.str_]
Packed = NDArray[np.uint8]
Values = NDArray[np.float16]
Labels = NDArray[np.bool_]


@dataclass(frozen=True)
class CodeSet:
    """Codes of n videos by one network.

    Attributes:
        ids: Distinct video ids, (n,).
        packed: Codes, 8 bits to a byte, most significant bit first (`avhash_nas.codes.pack`), (n, ceil(q / 8)).
        bits: Code length q.
        fingerprint: Fingerprint of the network that computed the codes (`HashNetwork.fingerprint`).
        values: Relaxed codes in (-1, 1), (n, q), float16, or None.
        frames: One vector per time step, (n, T, d), float16, for reranking by frames, or None.
        labels: Whether video i has class c, (n, C), or None.
        class_names: Names of the C classes; empty without labels.
        extraction: Settings of the feature extraction (`extraction.json` of the feature folder), or None.
        notes: Other information, as JSON values.
    """

    ids: Ids
    packed: Packed
    bits: int
    fingerprint: str
    values: Values | None = None
    frames: Values | None = None
    labels: Labels | None = None
    class_names: tuple[str, ...] = ()
    extraction: dict[str, Any] | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises AvnasError unless all shapes match and ids are distinct."""
        count = len(self.ids)
        shapes: dict[str, tuple[int | None, ...]] = {
            "packed": (count, -(-self.bits // 8)),
            "values": (count, self.bits),
            "frames": (count, None, None),
            "labels": (count, len(self.class_names)),
        }
        for name, expected in shapes.items():
            shape = expected if getattr(self, name) is None else getattr(self, name).shape
            if len(shape) != len(expected) or any(size not in (None, got) for size, got in zip(expected, shape)):
                raise AvnasError(f"codes: {name} has shape {shape} for {count} videos of {self.bits} bits")
        if len(np.unique(self.ids)) != count:
            raise AvnasError(f"codes: video {_repeated(self.ids)} comes twice")

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[np.int64] | Sequence[int]) -> "CodeSet":
        """The videos at distinct positions, in their order."""
        rows = np.asarray(rows, np.int64)
        parts = ("ids", "packed", "values", "frames", "labels")
        chosen = {name: getattr(self, name)[rows] for name in parts if getattr(self, name) is not None}
        return replace(self, **chosen)

    def save(self, path: str | Path) -> None:
        """Writes an npz file atomically: the arrays, and `header`, a JSON text with the other attributes.

        Raises:
            AvnasError: The file cannot be written.
        """
        header = {
            "format": _FORMAT,
            "bits": self.bits,
            "fingerprint": self.fingerprint,
            "class_names": list(self.class_names),
            "extraction": self.extraction,
            "notes": self.notes,
        }
        optional = {"values": self.values, "frames": self.frames, "labels": self.labels}
        arrays: dict[str, NDArray[Any]] = {
            "header": np.array(json.dumps(header)),
            "ids": self.ids,
            "packed": self.packed,
            **{name: array for name, array in optional.items() if array is not None},
        }

        def write(partial: Path) -> None:
            with partial.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)

        write_whole(Path(path), write)

    @classmethod
    def load(cls, path: str | Path) -> "CodeSet":
        """Reads a file of `save`.

        Raises:
            AvnasError: The file is missing, damaged, or not a code set.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            header = json.loads(str(arrays.pop("header")))
            if header.pop("format") != _FORMAT:
                raise AvnasError(f"{path}: unknown format of codes; this version reads format {_FORMAT}")
            return cls(**arrays, **header | {"class_names": tuple(header["class_names"])})
        except FileNotFoundError as error:
            raise AvnasError(f"{path}: no such file; `avnas encode` makes one") from error
        except (OSError, ValueError, KeyError, TypeError, EOFError, AttributeError, zipfile.BadZipFile) as error:
            raise AvnasError(f"{path}: not a file of codes, or damaged: {error}") from error


def _repeated(ids: Ids) -> str:
    values, counts = np.unique(ids, return_counts=True)
    return str(values[counts > 1][0])
