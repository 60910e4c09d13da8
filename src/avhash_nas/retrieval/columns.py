"""Parts of several code sets put together, in memory and as the arrays of a file."""

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
    """One code set of several; it has the values and frames that all of them have, and the classes of each.

    Args:
        sets: At least one.
        sources: What each of them is, for messages.

    Raises:
        AvnasError: They are of several networks or lengths, or a video comes twice.
    """
    first = sets[0]
    for codes, source in zip(sets, sources, strict=True):
        if (codes.bits, codes.fingerprint) != (first.bits, first.fingerprint):
            raise AvnasError(
                f"{source}: {codes.bits} bits of network {codes.fingerprint}; {sources[0]} holds {first.bits} bits of "
                f"network {first.fingerprint}; one index takes the codes of one network"
            )
    names: tuple[str, ...] = ()
    for codes in sets:
        names = all_classes(names, codes.class_names)
    parts: dict[str, Any] = {
        name: np.concatenate([getattr(codes, name) for codes in sets])
        if all(getattr(codes, name) is not None for codes in sets)
        else None
        for name in ("ids", "packed", *_OPTIONAL)
    }
    if any(codes.labels is not None for codes in sets):
        parts["labels"] = np.concatenate([labels_of(codes, names) for codes in sets])
    return replace(first, **{"labels": None, **parts}, class_names=names)


def all_classes(former: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    """The former classes, and behind them those that are new.

    >>> all_classes(("cat", "dog"), ("cow", "cat"))
    ('cat', 'dog', 'cow')
    """
    return (*former, *(name for name in new if name not in former))


def labels_of(codes: CodeSet, class_names: tuple[str, ...]) -> Labels:
    """Labels by other classes than the set's own; videos without labels have none of the classes.

    Args:
        codes: n videos.
        class_names: C classes, the set's own among them.

    Returns:
        Shape (n, C).
    """
    labels = np.zeros((len(codes), len(class_names)), np.bool_)
    if codes.labels is not None:
        labels[:, [class_names.index(name) for name in codes.class_names]] = codes.labels
    return labels


def columns_of(codes: CodeSet, class_names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """What a file keeps of each video.

    Ids are UTF-8 of one width, a quarter of what they take in a `CodeSet`; names of files that are not UTF-8 keep their
    bytes. Labels are a bit for each class, an eighth.

    Args:
        codes: The videos.
        class_names: The file's classes, in the order of its bits.
    """
    columns: dict[str, NDArray[Any]] = {
        "ids": np.char.encode(codes.ids, "utf-8", "surrogateescape"),
        "packed": codes.packed,
    }
    columns |= {name: getattr(codes, name) for name in _OPTIONAL if getattr(codes, name) is not None}
    if codes.labels is not None:
        columns["labels"] = np.packbits(labels_of(codes, class_names), axis=1)
    return columns


def join_columns(former: Columns, kept: Rows | None, new: Columns) -> dict[str, Joined]:
    """A file's columns without some rows and with new ones below.

    Args:
        former: As they are.
        kept: The rows that stay; None for all.
        new: What `columns_of` made; it has what the file keeps, and what the file does not keep is left out.
    """
    names = ["ids", "packed", *(name for name in _OPTIONAL if name in former)]
    joined = {name: Joined((former[name], kept), (new[name], None)) for name in names}
    if "labels" in former or "labels" in new:
        joined["labels"] = Joined((_labels(former), kept), (_labels(new), None))
    return joined


def _labels(columns: Columns) -> NDArray[np.uint8]:
    """The column of labels; one of no width where there is none."""
    return columns.get("labels", np.zeros((len(columns["ids"]), 0), np.uint8))


def code_set(columns: Columns, rows: Rows, leave_out: Sequence[str], **others: Any) -> CodeSet:
    """Some videos of a file.

    Args:
        columns: The file's.
        rows: The videos wanted.
        leave_out: Names of columns that are not wanted.
        others: What a `CodeSet` has beside its arrays, with the file's `class_names`.
    """
    class_names = others.pop("class_names")
    taken: dict[str, Any] = {
        name: columns[name][rows] for name in ("packed", *_OPTIONAL) if name in columns and name not in leave_out
    }
    if "labels" in columns:
        taken["labels"] = np.unpackbits(columns["labels"][rows], axis=1, count=len(class_names)).astype(np.bool_)
        others["class_names"] = class_names
    return CodeSet(ids=decoded(columns["ids"][rows]), **taken, **others)


def decoded(ids: NDArray[np.bytes_]) -> NDArray[np.str_]:
    """Ids of a file as text."""
    return np.char.decode(ids, "utf-8", "surrogateescape") if ids.size else np.empty(ids.shape, np.str_)
