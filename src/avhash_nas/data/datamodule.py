"""A dataset as a Lightning data module."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self, cast

import numpy as np
import torch
from lightning import LightningDataModule
from lightning.pytorch.loops.progress import _ProcessedTracker
from numpy.typing import NDArray

from avhash_nas.data.balanced import ClassBalanced
from avhash_nas.data.batch import Batch
from avhash_nas.data.epoch_loader import BatchLoader, EpochSampler, in_own_group
from avhash_nas.data.features import open_both
from avhash_nas.data.layout import read_layout
from avhash_nas.data.loading import ALONE, Batches, OrderedBatches, Rank, Rows, SampledBatches, Videos
from avhash_nas.data.sampling import BatchSampling
from avhash_nas.data.splits import read_splits
from avhash_nas.data.stratified_split import split_stratified
from avhash_nas.errors import AvnasError, DataError


class HashingData(LightningDataModule):
    """Videos with visual and audio features, labels and splits, in the published layout.

    After ``setup`` or ``prepare`` it knows ``visual_dim``, ``audio_dim``, ``frames`` (T), ``classes`` (C),
    ``class_names``, ``ids`` (row -> video id), ``splits`` (name -> rows), ``labels`` (V, C) and ``database`` (a split's
    name). Evaluation loaders come in pairs: queries, database.

    A resumed run sees exactly the batches that an uninterrupted one sees: the training loader's state, which Lightning
    saves, holds the number of batches done, and the sampler skips as many.

    Args:
        root: Folder with image.h5, audio.h5, train.txt, val.txt, test.txt and, where these names or the format of the
            lists need stating, dataset.yaml.
        cache_dir: Folder for the memory-mapped features; by default $XDG_CACHE_HOME/avhash-nas or ~/.cache/avhash-nas.
        sampling: Which videos meet in a training batch; by default ClassBalanced, 16 classes x 8 videos.
        eval_batch_size: Videos in a batch of validation, test and encoding.
        workers: Processes that read batches ahead; 0 reads in the main process.
        first_label_only: Of several labels, only the first counts, as in the authors' code.
        database: Split that is searched; by default what dataset.yaml says, else train.
        seed: Seed of the sampling.
        pin_memory: Page-locked batches for faster copies to a GPU; by default, when CUDA is available.
    """

    visual_dim: int
    audio_dim: int
    frames: int
    classes: int
    class_names: tuple[str, ...]
    ids: tuple[str, ...]
    splits: dict[str, Rows]
    labels: NDArray[np.bool_]
    database: str

    def __init__(
        self,
        root: str | Path,
        cache_dir: str | Path | None = None,
        sampling: BatchSampling | None = None,
        eval_batch_size: int = 256,
        workers: int = 0,
        first_label_only: bool = False,
        database: str | None = None,
        seed: int = 0,
        pin_memory: bool | None = None,
    ) -> None:
        super().__init__()
        for name, value, least in (("eval_batch_size", eval_batch_size, 1), ("workers", workers, 0), ("seed", seed, 0)):
            if value < least:
                raise AvnasError(f"{name}={value} must be at least {least}")
        self.root = Path(root)
        self.cache_dir = cache_dir
        self.sampling = ClassBalanced() if sampling is None else sampling
        self.eval_batch_size = eval_batch_size
        self.workers = workers
        self.first_label_only = first_label_only
        self._wanted_database = database
        self.seed = seed
        self.pin_memory = torch.cuda.is_available() if pin_memory is None else pin_memory
        self._videos: Videos | None = None
        self._trained_on: Rows | None = None
        self._drawn_by: BatchSampling | None = None

    def prepare(self) -> Self:
        """Converts and opens the data, for use without a Trainer.

        Raises:
            DataError: The dataset cannot be used.
        """
        self.prepare_data()
        self.setup()
        return self

    def prepare_data(self) -> None:
        """Checks the data and converts it to the cache, on one process of each node.

        Raises:
            DataError: The dataset cannot be used.
        """
        layout = read_layout(self.root)
        open_both(layout, read_splits(layout).ids, self.cache_dir)

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002
        """Opens the data, which takes milliseconds once it is converted.

        Args:
            stage: Not used: all stages read the same data.

        Raises:
            DataError: The dataset cannot be used, or has no split of the database's name.
        """
        if self._videos is not None:
            return
        layout = read_layout(self.root)
        splits = read_splits(layout)
        self.database = self._wanted_database or layout.database
        if self.database not in splits.names:
            known = ", ".join(splits.names)
            raise DataError([f"{self.root}: database={self.database!r} is not a split; there are {known}"])
        visual, audio = open_both(layout, splits.ids, self.cache_dir)
        self.visual_dim, self.audio_dim, self.frames = visual.dim, audio.dim, visual.frames
        self.classes, self.class_names = len(splits.class_names), splits.class_names
        self.ids = splits.ids
        self.splits = {name: splits.rows(name) for name in splits.names}
        self.labels = splits.multi_hot(first_label_only=self.first_label_only)
        self._videos = Videos(visual, audio, self.labels)
        self.sampling.batches_per_epoch(self.labels[self.splits["train"]])  # refuses unusable labels early

    def batch(self, rows: Rows) -> Batch:
        """Reads some videos into memory.

        Args:
            rows: Their rows, (B,).
        """
        return self._opened().batch(rows)

    def pieces(self, rows: Rows, videos: int = 256) -> Iterator[Batch]:
        """Reads any number of videos in order, some at a time.

        Args:
            rows: Their rows, (V,).
            videos: How many at a time.
        """
        for start in range(0, len(rows), videos):
            yield self.batch(rows[start : start + videos])

    def sampled_loader(self, rows: Rows, sampling: BatchSampling | None = None, seed: int | None = None) -> BatchLoader:
        """Training batches of some videos, for instance of one half of the training split.

        Args:
            rows: The videos to draw from; their labels among themselves decide positives and negatives.
            sampling: How to draw; by default as in training.
            seed: Seed of the sampling; by default the module's. Two loaders of one run should differ in it.
        """
        seed = self.seed if seed is None else seed
        return self._loader(SampledBatches(self._opened(), rows, sampling or self.sampling, seed, rank=self._rank()))

    def split_train(self, train_fraction: float, seed: int) -> tuple[Rows, Rows]:
        """Two disjoint parts of the training split, for weights and architecture.

        Each class is cut in the same proportion (see `split_stratified`), unless training batches are drawn without
        labels: then the cut reads none either.

        Args:
            train_fraction: Share of the first part, between 0 and 1.
            seed: Of the draw.

        Raises:
            AvnasError: The portion is out of range.
        """
        rows = self._rows("train")
        labels = self.labels[rows] if self.sampling.reads_labels else np.ones((len(rows), 1), dtype=np.bool_)
        first, second = split_stratified(labels, train_fraction, seed)
        return rows[first], rows[second]

    def train_on(self, rows: Rows | None) -> None:
        """Draw the next training loader's batches from these videos only; an epoch keeps its number of batches.

        Args:
            rows: Some of the training split; None for all of it.
        """
        self._trained_on = rows

    def draw_by(self, sampling: BatchSampling | None) -> None:
        """Draw the next training loader's batches in another way; None for `sampling`.

        Args:
            sampling: How to draw.
        """
        self._drawn_by = sampling

    def stream(self, rows: Rows, seed: int) -> Callable[[int], Batch]:
        """An endless stream of batches drawn from some videos as in training: number -> this rank's share of the batch.

        Args:
            rows: The videos to draw from.
            seed: Seed of the sampling.
        """
        plan = SampledBatches(self._opened(), rows, self.sampling, seed, rank=self._rank()).plan(0)
        return lambda number: self.batch(plan(number))

    def split_loader(self, split: str) -> BatchLoader:
        """A split's videos in order, each once, shared out among the ranks.

        Args:
            split: The split's name.
        """
        return self._loader(OrderedBatches(self._opened(), self._rows(split), self.eval_batch_size, self._rank()))

    def train_dataloader(self) -> BatchLoader:
        """Training batches, drawn from the training split, or from what `train_on` has said of it.

        Raises:
            AvnasError: A part of the split is to be drawn by a sampling of the objective, which knows all of it only.
        """
        rows = self._rows("train")
        sampling = self.sampling if self._drawn_by is None else self._drawn_by
        if self._trained_on is None:
            return self.sampled_loader(rows, sampling)
        if sampling is not self.sampling:
            raise AvnasError(
                f"the objective draws its batches by {type(sampling).__name__} from all training videos, of which the "
                "strategy trains the weights on a part: take another strategy, such as avnas, or another objective"
            )
        count = sampling.batches_per_epoch(self.labels[rows])
        batches = SampledBatches(self._opened(), self._trained_on, sampling, self.seed, count, self._rank())
        return self._loader(batches)

    def val_dataloader(self) -> list[BatchLoader]:
        """Loaders of the validation queries and of the database."""
        return [self.split_loader("val"), self.split_loader(self.database)]

    def test_dataloader(self) -> list[BatchLoader]:
        """Loaders of the test queries and of the database."""
        return [self.split_loader("test"), self.split_loader(self.database)]

    def _opened(self) -> Videos:
        if self._videos is None:
            raise RuntimeError("HashingData is not open: call prepare() first, or let a Trainer do so")
        return self._videos

    def _rows(self, split: str) -> Rows:
        self._opened()
        return self.splits[split]

    def _rank(self) -> Rank:
        return ALONE if self.trainer is None else Rank(self.trainer.global_rank, self.trainer.world_size)

    def _progress(self) -> tuple[int, int]:
        """The epoch that training is in, and how many of its batches are done."""
        if self.trainer is None:
            return 0, 0
        fit = self.trainer.fit_loop
        epochs = cast(_ProcessedTracker, fit.epoch_progress.current)
        batches = self.trainer.num_training_batches  # infinite until the training loader is there
        if epochs.started <= epochs.processed or not math.isfinite(batches):  # between two epochs
            return epochs.processed, 0
        # `processed`, as `completed` is one behind in on_train_batch_end, where checkpoints are written.
        done = cast(_ProcessedTracker, fit.epoch_loop.batch_progress.current).processed
        whole, done = divmod(done, int(batches))
        return epochs.processed + whole, done

    def _loader(self, batches: Batches) -> BatchLoader:
        return BatchLoader(
            batches,
            sampler=EpochSampler(batches, self._progress),
            batch_size=None,  # an item is a batch already
            num_workers=self.workers,
            worker_init_fn=in_own_group,
            persistent_workers=self.workers > 0,
            pin_memory=self.pin_memory,
        )
