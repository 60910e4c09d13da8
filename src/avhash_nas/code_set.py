"""Codes of many videos with everything that is needed to search them, as a value and as a file."""

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
        ids: Distinct ids of the videos, (n,).
        packed: Codes, 8 bits to a byte, the first bit in the highest place (`avhash_nas.codes.pack`), (n, ceil(q / 8)).
        bits: Code length q.
        fingerprint: Of the network that made the codes (`HashNetwork.fingerprint`).
        values: The network's relaxed codes in (-1, 1), (n, q), float16, or None.
        frames: A vector for each time step, (n, T, d), float16, for reranking by frames, or None.
        labels: Whether video i has class c, (n, C), or None.
        class_names: Names of the C classes; empty without labels.
        extraction: How features were made from video files (`extraction.json` of the feature folder), or None.
        notes: Anything else worth keeping, as JSON values.
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
        """Check that all parts fit.

        Raises:
            AvnasError: They do not.
        """
        count = len(self.ids)
        wanted: dict[str, tuple[int | None, ...]] = {
            "packed": (count, -(-self.bits // 8)),
            "values": (count, self.bits),
            "frames": (count, None, None),
            "labels": (count, len(self.class_names)),
        }
        for name, shape in wanted.items():
            array = getattr(self, name)
            if array is None:
                continue
            got = array.shape
            if len(got) != len(shape) or any(w is not None and w != g for w, g in zip(shape, got)):
                raise AvnasError(f"codes: {name} has shape {got} for {count} videos of {self.bits} bits")
        if len(np.unique(self.ids)) != count:
            raise AvnasError(f"codes: video {_repeated(self.ids)} comes twice")

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[np.int64] | Sequence[int]) -> "CodeSet":
        """Some of the videos.

        Args:
            rows: Distinct positions, in the order wanted.
        """
        rows = np.asarray(rows, np.int64)
        parts = ("ids", "packed", "values", "frames", "labels")
        chosen = {name: getattr(self, name)[rows] for name in parts if getattr(self, name) is not None}
        return replace(self, **chosen)

    def save(self, path: str | Path) -> None:
        """Write an npz file, whole or not at all: the arrays, and `header`, a JSON text with everything else.

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
        """Read what `save` wrote.

        Raises:
            AvnasError: The file is missing, damaged, or holds something else.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            header = json.loads(str(arrays.pop("header")))
            if header.pop("format") != _FORMAT:
                raise AvnasError(f"{path}: codes of another format than {_FORMAT}, the one that this version reads")
            return cls(**arrays, **header | {"class_names": tuple(header["class_names"])})
        except FileNotFoundError as error:
            raise AvnasError(f"{path}: no such file; `avnas encode` makes one") from error
        except (OSError, ValueError, KeyError, TypeError, EOFError, AttributeError, zipfile.BadZipFile) as error:
            raise AvnasError(f"{path}: holds no codes, or is damaged: {error}") from error


def _repeated(ids: Ids) -> str:
    values, counts = np.unique(ids, return_counts=True)
    return str(values[counts > 1][0])
