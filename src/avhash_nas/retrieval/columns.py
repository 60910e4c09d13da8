"""Concatenation of code sets, in memory and as the columns of a file."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avhash_nas.code_set import CodeSet, Labels
from avhash_nas.errors import AvnasError
from avhash_nas.retrieval.archive import Joined, Rows

Columns = Mapping[str, NDArray[Any]]

_OPTIONAL = ("values", "frames")


def join_codes(sets: Sequence[CodeSet], sources: Sequence[str]) -> CodeSet:
    """Concatenates code sets. Values and frames remain if all sets have them; classes are merged.

    Raises:
        AvnasError: The sets (named by `sources`) have different networks or code lengths, or a video occurs twice.
    """
    first = sets[0]
    for codes, source in zip(sets, sources, strict=True):
        if (codes.bits, codes.fingerprint) != (first.bits, first.fingerprint):
            raise AvnasError(
                f"{source}: {codes.bits} bits of network {codes.fingerprint}; {sources[0]} holds {first.bits} bits of "
                f"network {first.fingerprint}; an index holds codes of a single network"
            )
    names: tuple[str, ...] = ()
    for codes in sets:
        names = merge_classes(names, codes.class_names)
    parts: dict[str, Any] = {
        name: np.concatenate([getattr(codes, name) for codes in sets])
        if all(getattr(codes, name) is not None for codes in sets)
        else None
        for name in ("ids", "packed", *_OPTIONAL)
    }
    if any(codes.labels is not None for codes in sets):
        parts["labels"] = np.concatenate([labels_of(codes, names) for codes in sets])
    return replace(first, **{"labels": None, **parts}, class_names=names)


def merge_classes(old: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    """The old classes followed by the unknown ones.

    >>> merge_classes(("cat", "dog"), ("cow", "cat"))
    ('cat', 'dog', 'cow')
    """
    return tuple(dict.fromkeys((*old, *new)))


def labels_of(codes: CodeSet, class_names: tuple[str, ...]) -> Labels:
    """Labels with columns for other classes, which include the set's own, (n, C); all false without labels."""
    labels = np.zeros((len(codes), len(class_names)), np.bool_)
    if codes.labels is not None:
        labels[:, [class_names.index(name) for name in codes.class_names]] = codes.labels
    return labels


def columns_of(codes: CodeSet, class_names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """The columns of a file with classes in the order of its bits.

    Ids are UTF-8 of a fixed width, a quarter of their size in a `CodeSet`; file names that are not UTF-8 keep their
    bytes. Labels take one bit per class.
    """
    columns: dict[str, NDArray[Any]] = {
        "ids": np.char.encode(codes.ids, "utf-8", "surrogateescape"),
        "packed": codes.packed,
    }
    columns |= {name: getattr(codes, name) for name in _OPTIONAL if getattr(codes, name) is not None}
    if codes.labels is not None:
        columns["labels"] = np.packbits(labels_of(codes, class_names), axis=1)
    return columns


def join_columns(old: Columns, kept: Rows | None, new: Columns) -> dict[str, Joined]:
    """Keeps some rows of `old` (None: all) and appends those of `new`; drops names that `old` lacks, except labels."""
    names = ["ids", "packed", *(name for name in _OPTIONAL if name in old)]
    joined = {name: Joined((old[name], kept), (new[name], None)) for name in names}
    if "labels" in old or "labels" in new:
        joined["labels"] = Joined((_labels(old), kept), (_labels(new), None))
    return joined


def _labels(columns: Columns) -> NDArray[np.uint8]:
    """The label column, of width 0 if missing."""
    return columns.get("labels", np.zeros((len(columns["ids"]), 0), np.uint8))


def code_set(columns: Columns, rows: Rows, leave_out: Sequence[str], **others: Any) -> CodeSet:
    """Some rows of a file as a code set; `others` are the fields of `CodeSet` besides its arrays."""
    class_names = others.pop("class_names")
    arrays: dict[str, Any] = {
        name: columns[name][rows] for name in ("packed", *_OPTIONAL) if name in columns and name not in leave_out
    }
    if "labels" in columns:
        arrays["labels"] = np.unpackbits(columns["labels"][rows], axis=1, count=len(class_names)).astype(np.bool_)
        others["class_names"] = class_names
    return CodeSet(ids=decoded(columns["ids"][rows]), **arrays, **others)


def decoded(ids: NDArray[np.bytes_]) -> NDArray[np.str_]:
    """Decodes ids of a file."""
    return np.char.decode(ids, "utf-8", "surrogateescape") if ids.size else np.empty(ids.shape, np.str_)
