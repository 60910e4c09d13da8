"""Videos of a feature folder to encode, whether or not lists name them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from lightning import LightningDataModule
from numpy.typing import NDArray

from avhash_nas.data.epoch_loader import BatchLoader, EpochSampler, in_own_group
from avhash_nas.data.extraction_record import read_extraction
from avhash_nas.data.features import open_both
from avhash_nas.data.hdf5 import list_videos
from avhash_nas.data.layout import Layout, read_layout
from avhash_nas.data.loading import ALONE, OrderedBatches, Rank, Videos
from avhash_nas.data.splits import Splits, read_splits
from avhash_nas.errors import AvnasError, DataError


class FeatureFolder(LightningDataModule):
    """Videos of a feature folder, open to be encoded by one process or several.

    The folder is that of a dataset, of which any of the lists may be missing or empty: labels are known where a list
    gives them. Of the same folder, a run and this share the cached features.

    Args:
        root: Folder with image.h5 and audio.h5, or what its dataset.yaml names.
        split: Only the videos of this list, in its order. None takes all videos of the feature files: those of the
            lists in their order, then the others by name.
        batch_size: Videos in a batch.
        workers: Processes that read batches ahead; 0 reads in the main process.
        cache_dir: Folder for the memory-mapped features; by default $XDG_CACHE_HOME/avhash-nas or ~/.cache/avhash-nas.
        first_label_only: Of several labels, only the first counts.

    Attributes:
        ids: The videos' ids, in order, (n,).
        rows: What identifies them in `Batch.index`, ascending, (n,).
        labels: Whether video i has class c, (n, C), none of them for a video that no list names; None without lists.
        class_names: Names of the C classes; empty without lists.
        extraction: How the features were made from video files, if the folder says so.

    Raises:
        AvnasError: The folder cannot be used, holds no such split or no video, or its two feature files hold
            different videos.
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
        if batch_size < 1:
            raise AvnasError(f"batch_size={batch_size} must be at least 1")
        if workers < 0:
            raise AvnasError(f"workers={workers} must be at least 0")
        self.root, self.split, self.batch_size, self.workers = Path(root), split, batch_size, workers
        layout = read_layout(root)
        splits = _read_lists(layout)
        if split is not None and (splits is None or split not in splits.names):
            known = ", ".join(splits.names) if splits else "no lists"
            raise DataError([f"{self.root}: there is no list of a split {split!r}; there are {known}"])
        listed = splits.ids if splits else ()
        ids = listed if split is not None else (*listed, *_others(layout, listed))
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

    def predict_dataloader(self) -> BatchLoader:
        """The videos in order, each once, shared out among the ranks."""
        rank = ALONE if self.trainer is None else Rank(self.trainer.global_rank, self.trainer.world_size)
        batches = OrderedBatches(self._videos, self.rows, self.batch_size, rank)
        return BatchLoader(
            batches,
            sampler=EpochSampler(batches),
            batch_size=None,  # an item is a batch already
            num_workers=self.workers,
            worker_init_fn=in_own_group,
            pin_memory=torch.cuda.is_available(),
        )


def _read_lists(layout: Layout) -> Splits | None:
    """The lists that are there and not empty."""
    lists = {name: path for name, path in layout.lists.items() if path.exists() and path.stat().st_size}
    return read_splits(replace(layout, lists=lists)) if lists else None


def _others(layout: Layout, listed: tuple[str, ...]) -> list[str]:
    """Videos of the feature files that no list names.

    Raises:
        DataError: One file has videos that the other has not.
    """
    held = {path: set(list_videos(path)) for path in (layout.files["visual"], layout.files["audio"])}
    (visual, seen), (audio, heard) = held.items()
    problems = []
    for path, missing in ((audio, seen - heard), (visual, heard - seen)):
        if missing:
            named = ", ".join(sorted(missing)[:3]) + (", ..." if len(missing) > 3 else "")
            other = visual if path is audio else audio
            problems.append(f"{path}: {len(missing)} videos of {other.name} are not in it: {named}")
    if problems:
        raise DataError(problems)
    return sorted(seen - set(listed))


def _labels(splits: Splits | None, count: int, *, first_label_only: bool) -> NDArray[np.bool_] | None:
    """Labels of all videos: those of the lists, then none."""
    if splits is None:
        return None
    table = splits.multi_hot(first_label_only=first_label_only)
    return np.concatenate([table, np.zeros((count - len(table), table.shape[1]), np.bool_)])
