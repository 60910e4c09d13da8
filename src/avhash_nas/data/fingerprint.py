"""Fingerprints of what a run reads of a dataset, to notice that the data have changed since.

Only contents count: the videos, labels and order of the lists, the classes, and the features. Paths, file dates and
comments do not, so that a dataset may be moved or copied. Hashing the features takes one pass over the cached array;
the hashes of its videos are stored beside it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from avhash_nas.data.dataset import read_lists
from avhash_nas.data.features import Features, cached_file, open_both
from avhash_nas.data.layout import MODALITIES, Layout
from avhash_nas.data.splits import EXCLUSIVE, Splits
from avhash_nas.errors import AvnasError
from avhash_nas.files import write_whole

_BYTES = 16  # of a hash


def fingerprint(root: Path, cache_dir: str | Path | None, database: str | None = None) -> dict[str, Any]:
    """Fingerprint of the train, val, test and database splits of a dataset.

    Args:
        root: The dataset's folder.
        cache_dir: The cache folder; None is ``default_cache_dir()``.
        database: Split that queries search; None is the one of dataset.yaml.

    Returns:
        Plain values for JSON: ``digest`` identifies the data; ``lists`` and ``features`` say which part differs;
        ``cached`` names the cached arrays, by which unchanged files are recognized without reading them.

    Raises:
        DataError: The dataset cannot be used.
    """
    layout, splits = read_lists(root, events=True)
    return _fingerprint(layout, splits, cache_dir, database or layout.database)


def surely_equal(
    stored: Mapping[str, Any], root: Path, cache_dir: str | Path | None, database: str | None = None
) -> bool:
    """Whether a dataset has the lists of a fingerprint and the same files, without reading features.

    The files are the same by path, size and time of change; False leaves open whether their contents differ.

    Args:
        stored: The result of ``fingerprint``.
        root: The dataset's folder.
        cache_dir: The cache folder; None is ``default_cache_dir()``.
        database: Split that queries search; None is the one of dataset.yaml.

    Raises:
        DataError: The dataset cannot be used.
    """
    layout, splits = read_lists(root, events=True)
    lists = _lists(splits, database or layout.database)
    return bool(stored["lists"] == lists and stored["cached"] == _cached(layout, splits, cache_dir))


def differences(stored: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What has changed between two fingerprints, in words; empty if nothing has."""
    if now["digest"] == stored["digest"]:
        return ""
    changed = [f"other {part}" for part in ("classes", "database") if stored["lists"][part] != now["lists"][part]]
    for split in now["lists"]["splits"]:
        changed += _changes_of_split(split, stored, now)
    return "; ".join(changed)


def _changes_of_split(split: str, stored: Mapping[str, Any], now: Mapping[str, Any]) -> Iterable[str]:
    old, new = (each["lists"]["splits"].get(split) for each in (stored, now))
    if old is None:
        return
    if old["videos"] != new["videos"]:
        yield f"split {split} has other videos ({old['count']:,} then, {new['count']:,} now)"
        return
    if old["labels"] != new["labels"]:
        yield f"split {split} has other labels"
    elif old["order"] != new["order"]:
        yield f"split {split} is in another order"
    for modality in MODALITIES:
        if stored["features"][split].get(modality) != now["features"][split].get(modality):
            yield f"split {split} has other {modality} features"


def _fingerprint(layout: Layout, splits: Splits, cache_dir: str | Path | None, database: str) -> dict[str, Any]:
    opened = open_both(layout, splits.ids, cache_dir)
    hashes = {
        name: _video_hashes(features)
        for name, features in zip(MODALITIES, opened, strict=True)
        if name in layout.modalities
    }
    lists = _lists(splits, database)
    features = {
        split: {name: _digest(_by_id(splits, split, each)) for name, each in hashes.items()}
        for split in lists["splits"]
    }
    return {
        "digest": _digest([lists, features]),
        "lists": lists,
        "features": features,
        "cached": _cached(layout, splits, cache_dir),
    }


def _lists(splits: Splits, database: str) -> dict[str, Any]:
    """What the lists say: classes, and for each split its videos, their labels and their order."""
    found = {}
    for split in dict.fromkeys((*EXCLUSIVE, database)):
        videos = [splits.videos[row] for row in splits.rows(split)]
        labeled = [(video.id, video.labels) for video in videos]
        found[split] = {
            "count": len(videos),
            "videos": _digest(sorted(name for name, _ in labeled)),
            "labels": _digest(sorted(labeled)),
            "order": _digest(labeled),
        }
    return {"classes": _digest(splits.class_names), "database": database, "splits": found}


def _cached(layout: Layout, splits: Splits, cache_dir: str | Path | None) -> list[str]:
    return [cached_file(path, splits.ids, layout.frames, cache_dir).name for path in layout.modalities.values()]


def _by_id(splits: Splits, split: str, hashes: NDArray[np.uint8]) -> list[tuple[str, str]]:
    return sorted((splits.videos[row].id, hashes[row].tobytes().hex()) for row in splits.rows(split))


def _video_hashes(features: Features) -> NDArray[np.uint8]:
    """A hash of each video's values, type and shape, (V, 16), from the file beside the array or computed."""
    file = features.path.with_suffix(".hashes.npy")
    with suppress(OSError, ValueError, EOFError):
        stored: NDArray[np.uint8] = np.load(file, allow_pickle=False)
        if stored.shape == (len(features), _BYTES) and stored.dtype == np.uint8:
            return stored
    hashes = np.empty((len(features), _BYTES), np.uint8)
    console = Console(stderr=True)
    rows = track(
        range(len(features)), f"Fingerprint of {features.path.name}", console=console, transient=True,
        disable=not console.is_terminal,
    )  # fmt: skip
    for row in rows:
        hashes[row] = np.frombuffer(features.hash(row, _BYTES), np.uint8)
    with suppress(AvnasError):  # a cache that may not be written to: hashed again next time
        write_whole(file, lambda partial: _save(partial, hashes))
    return hashes


def _save(path: Path, hashes: NDArray[np.uint8]) -> None:
    with path.open("wb") as out:
        np.save(out, hashes)


def _digest(value: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
