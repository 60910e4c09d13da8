"""Conversion between videos and rows of a Milvus collection."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray

from avhash_nas.code_set import CodeSet
from avhash_nas.errors import AvnasError
from avhash_nas.retrieval.store import StoreHeader

_TEXT = 65_535  # Milvus: bytes of a VARCHAR
_KEY = 1024  # bytes of an id
_BATCH = 2**22  # bytes per request; the limit of a server is 64 MiB
_MOST_ROWS = 5000
_NAMES = "names"


def key_of(video: str) -> str:
    """An id as a primary key: percent-encoded, as Milvus Lite accepts neither quotes nor backslashes in keys.

    >>> key_of("cats/it's ü.mp4")
    'cats/it%27s%20%C3%BC.mp4'
    """
    return quote(video, safe="/", errors="surrogateescape")


def video_of(key: str) -> str:
    """Inverse of `key_of`."""
    return unquote(key, errors="surrogateescape")


def fields_of(header: StoreHeader) -> dict[str, dict[str, Any]]:
    """The fields of the collection.

    Raises:
        AvnasError: A field exceeds the limits of Milvus.
    """
    text = {"type": "VARCHAR", "max_length": _TEXT}
    fields: dict[str, dict[str, Any]] = {
        "id": {"type": "VARCHAR", "max_length": _KEY, "is_primary": True},
        "code": {"type": "BINARY_VECTOR", "dim": 8 * -(-header.bits // 8)},
        "labels": {"type": "JSON"},
    }
    sizes = {"values": header.bits if header.values else 0, "frames": int(np.prod(header.frames or 0))}
    for name, size in sizes.items():
        if 4 * -(-2 * size // 3) > _TEXT:
            raise AvnasError(f"milvus: {name} of {size} numbers per video exceed the limit of Milvus; leave them out")
        if size:
            fields[name] = text
    return fields


def rows_of(codes: CodeSet, header: StoreHeader) -> Iterator[dict[str, Any]]:
    """One row per video.

    Raises:
        AvnasError: An id is too long for Milvus.
    """
    names = np.array(codes.class_names, np.str_)
    for row, video in enumerate(codes.ids.tolist()):
        key = key_of(video)
        if len(key) > _KEY:
            raise AvnasError(f"milvus: the id {video[:60]}... takes {len(key)} bytes; the limit of Milvus is {_KEY}")
        labels = [] if codes.labels is None else names[codes.labels[row]].tolist()
        fields = {"id": key, "code": codes.packed[row].tobytes(), "labels": {_NAMES: labels}}
        if header.values and codes.values is not None:
            fields["values"] = _text(codes.values[row])
        if header.frames and codes.frames is not None:
            fields["frames"] = _text(codes.frames[row])
        yield fields


def batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Splits rows into batches of the size of one request."""
    batch: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += sum(len(part) for part in row.values())
        if size >= _BATCH or len(batch) == _MOST_ROWS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def code_set(rows: Sequence[Mapping[str, Any]], header: StoreHeader, values: bool, frames: bool) -> CodeSet:
    """Rows as a code set; `values` and `frames` say whether the rows have them."""
    width = -(-header.bits // 8)
    packed = np.frombuffer(b"".join(row["code"][0] for row in rows), np.uint8).reshape(len(rows), width)
    of_rows = [_label_names(row["labels"]) for row in rows]
    labels = np.array([[name in names for name in header.class_names] for names in of_rows], np.bool_)
    return CodeSet(
        ids=np.array([video_of(row["id"]) for row in rows], np.str_),
        packed=packed,
        bits=header.bits,
        fingerprint=header.fingerprint,
        values=_numbers(rows, "values", (header.bits,)) if values else None,
        frames=_numbers(rows, "frames", header.frames) if frames and header.frames else None,
        labels=labels.reshape(len(rows), len(header.class_names)) if header.class_names else None,
        class_names=header.class_names,
        extraction=header.extraction,
    )


def _text(numbers: NDArray[np.float16]) -> str:
    return base64.b64encode(numbers.astype("<f2").tobytes()).decode("ascii")


def _numbers(rows: Sequence[Mapping[str, Any]], name: str, shape: tuple[int, ...]) -> NDArray[np.float16]:
    flat = b"".join(base64.b64decode(row[name]) for row in rows)
    return np.frombuffer(flat, "<f2").astype(np.float16).reshape(len(rows), *shape)


def _label_names(stored: Any) -> list[str]:
    """Names of a row's classes: a JSON object, as Milvus 2.3 takes no list; earlier versions of this program wrote one.

    >>> _label_names({"names": ["cat"]}), _label_names(["cat"])
    (['cat'], ['cat'])
    """
    names: list[str] = stored[_NAMES] if isinstance(stored, dict) else stored
    return names
