"""Lightning data module of all videos of a feature folder, with or without lists."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from lightning import LightningDataModule
from numpy.typing import NDArray
from typing_extensions import override

from avhash_nas.data.epoch_loader import BatchLoader, batch_loader
from avhash_nas.data.extraction_record import read_extraction
from avhash_nas.data.features import open_both
from avhash_nas.data.hdf5 import list_videos
from avhash_nas.data.layout import Layout, read_layout
from avhash_nas.data.loading import OrderedBatches, Rank, Videos
from avhash_nas.data.problems import some
from avhash_nas.data.splits import Splits, read_splits
from avhash_nas.errors import AvnasError, DataError


class FeatureFolder(LightningDataModule):
    """Videos of a feature folder, to be encoded by one process or several.

    Unlike in a dataset for training, any of the lists may be missing or empty: a video has labels only if a list names
    it. Training on the same folder shares the cached features.

    Args:
        root: Folder with image.h5 and audio.h5, or the files that its dataset.yaml names.
        split: Use only the videos of this list, in its order, but those that an earlier list names first. None is all
            videos of the feature files: those of the lists in order, then the others by name.
        batch_size: Videos in a batch.
        workers: Processes that prefetch batches; 0 reads in the main process.
        cache_dir: Folder for the memory-mapped features; by default $XDG_CACHE_HOME/avhash-nas or ~/.cache/avhash-nas.
        first_label_only: Use only the first label of each video.

    Attributes:
        ids: Ids of the videos, in order, (n,).
        rows: Their rows in `Batch.index`, ascending, (n,).
        labels: Multi-hot labels, (n, C), all False for a video in no list; None without lists.
        class_names: Names of the C classes; empty without lists.
        extraction: Extraction record of the folder, if it has one.

    Raises:
        AvnasError: The folder cannot be used, has no such split or no video, or its two feature files hold different
            videos.
    """

    def __init__(
        self,
        root: str | Path,
        split: str | None = None,
        batch_size: int = 256,
        workers: int = 0,
        cache_dir: str | Path | None = None,
        *,
        first_label_only: bool = False,
    ) -> None:
        super().__init__()
        for name, value, least in (("batch_size", batch_size, 1), ("workers", workers, 0)):
            if value < least:
                raise AvnasError(f"{name}={value} must be at least {least}")
        self.root, self.split, self.batch_size, self.workers = Path(root), split, batch_size, workers
        layout = read_layout(root)
        splits = _read_lists(layout)
        if split is not None and (splits is None or split not in splits.names):
            known = ", ".join(splits.names) if splits else "no lists"
            raise DataError([f"{self.root}: there is no list of a split {split!r}; there are {known}"])
        listed = splits.ids if splits else ()
        ids = listed if split is not None else (*listed, *_unlisted(layout, set(listed)))
        if not ids:
            raise DataError([f"{self.root}: holds no video"])
        visual, audio = open_both(layout, ids, cache_dir)
        labels = _labels(splits, len(ids), first_label_only=first_label_only)
        self._videos = Videos(visual, audio, np.zeros((len(ids), 0), np.bool_) if labels is None else labels)
        self.rows = np.arange(len(ids)) if splits is None or split is None else splits.rows(split)
        self.visual_dim, self.audio_dim = visual.dim, audio.dim
        self.ids = np.array(ids)[self.rows]
        self.labels = None if labels is None else labels[self.rows]
        self.class_names = splits.class_names if splits else ()
        self.extraction = read_extraction(self.root)

    def __len__(self) -> int:
        return len(self.ids)

    @override
    def predict_dataloader(self) -> BatchLoader:
        """The videos in order, each once, divided among the ranks."""
        batches = OrderedBatches(self._videos, self.rows, self.batch_size, Rank.of(self.trainer))
        return batch_loader(batches, self.workers, torch.cuda.is_available())


def _read_lists(layout: Layout) -> Splits | None:
    """The splits whose lists exist and are not empty; None if there are none."""
    lists = {name: path for name, path in layout.lists.items() if path.exists() and path.stat().st_size}
    return read_splits(replace(layout, lists=lists)) if lists else None


def _unlisted(layout: Layout, known: set[str]) -> list[str]:
    """Videos of the feature files that are in no list.

    Raises:
        DataError: One file has videos that the other lacks.
    """
    inside = {path: set(list_videos(path, known)) for path in layout.modalities.values()}
    problems = []
    for path in inside:
        for other, ids in inside.items():
            if missing := sorted(ids - inside[path]):
                lacks = f"{len(missing)} videos of {other.name} are not in it"
                problems.append(f"{path}: {lacks}: {some(missing, len(missing))}")
    if problems:
        raise DataError(problems)
    return sorted(set.union(*inside.values()) - known)


def _labels(splits: Splits | None, count: int, *, first_label_only: bool) -> NDArray[np.bool_] | None:
    """Labels of all videos: those of the lists, then rows without labels."""
    if splits is None:
        return None
    table = splits.multi_hot(first_label_only=first_label_only)
    return np.concatenate([table, np.zeros((count - len(table), table.shape[1]), np.bool_)])
