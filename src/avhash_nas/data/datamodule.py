"""A dataset as a Lightning data module, whose arguments are the `--data.*` options."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from lightning import LightningDataModule
from numpy.typing import NDArray
from typing_extensions import override

from avhash_nas.data.balanced import ClassBalanced
from avhash_nas.data.batch import Batch
from avhash_nas.data.captions import CaptionSet, read_captions
from avhash_nas.data.dataset import OpenDataset, convert_dataset, open_dataset
from avhash_nas.data.epoch_loader import BatchLoader, batch_loader, training_progress
from avhash_nas.data.features import Features, open_features
from avhash_nas.data.fingerprint import differences, fingerprint, surely_equal
from avhash_nas.data.layout import read_layout
from avhash_nas.data.loading import Batches, OrderedBatches, Rank, Rows, SampledBatches, Videos
from avhash_nas.data.sampling import BatchSampling
from avhash_nas.data.stratified_split import split_stratified
from avhash_nas.errors import AvnasError, DataError


class HashingData(LightningDataModule):
    """Videos with visual and audio features, labels and splits, in the published layout.

    ``setup`` and ``prepare`` set ``visual_dim``, ``audio_dim``, ``frames`` (T), ``classes`` (C), ``class_names``,
    ``ids`` (row -> video id), ``splits`` (name -> rows), ``labels`` (V, C) and ``database`` (name of a split).
    Evaluation loaders come in pairs: queries, database.

    A resumed run gets exactly the batches of an uninterrupted one: Lightning saves the state of the training loader,
    the number of batches done, and the sampler skips as many.

    Args:
        root: Folder with image.h5, audio.h5, train.txt, val.txt, test.txt and, if these names or the format of the
            lists differ, dataset.yaml.
        cache_dir: Folder for the memory-mapped features; by default $XDG_CACHE_HOME/avhash-nas or ~/.cache/avhash-nas.
        sampling: How training batches are drawn; by default ClassBalanced, 16 classes x 8 videos.
        eval_batch_size: Videos in a batch of validation, test and encoding.
        workers: Processes that prefetch batches; 0 reads in the main process.
        first_label_only: Use only the first label of each video, as the authors' code does.
        database: Split that queries search; by default that of dataset.yaml, else train.
        include_self: Rank a query that is in the database for itself too, as the self-supervised papers do on FCVID; by
            default it is left out of its own ranking.
        seed: Seed of the sampling.
        pin_memory: Page-locked batches for faster copies to a GPU; by default, if CUDA is available.
    """

    default_sampling: Callable[[], BatchSampling] = ClassBalanced
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
        include_self: bool = False,
        seed: int = 0,
        pin_memory: bool | None = None,
    ) -> None:
        super().__init__()
        for name, value, least in (("eval_batch_size", eval_batch_size, 1), ("workers", workers, 0), ("seed", seed, 0)):
            if value < least:
                raise AvnasError(f"{name}={value} must be at least {least}")
        self.root = Path(root)
        self.cache_dir = cache_dir
        self.sampling = self.default_sampling() if sampling is None else sampling
        self.eval_batch_size = eval_batch_size
        self.workers = workers
        self.first_label_only = first_label_only
        self._database_option = database
        self.include_self = include_self
        self.seed = seed
        self.pin_memory = torch.cuda.is_available() if pin_memory is None else pin_memory
        self._videos: Videos | None = None
        self._train_rows: Rows | None = None
        self._train_sampling: BatchSampling | None = None

    def prepare(self) -> Self:
        """Converts and opens the data, for use without a Trainer.

        Raises:
            DataError: The dataset cannot be used.
        """
        self.prepare_data()
        self.setup()
        return self

    @override
    def prepare_data(self) -> None:
        convert_dataset(self.root, self.cache_dir)

    @override
    def setup(self, stage: str | None = None) -> None:
        if self._videos is not None:
            return
        dataset = self._open()
        videos = dataset.videos
        self.visual_dim, self.audio_dim, self.frames = videos.visual.dim, videos.audio.dim, videos.visual.frames
        self.classes, self.class_names = len(dataset.class_names), dataset.class_names
        self.ids, self.splits, self.labels, self.database = dataset.ids, dataset.splits, videos.labels, dataset.database
        if self.sampling.reads_labels:
            self.require_labels(type(self.sampling).__name__)
        self.sampling.batches_per_epoch(self.labels[self.splits["train"]])  # rejects unusable labels early
        self._videos = videos

    def require_labels(self, reader: str) -> None:
        """Checks that every training video has a label.

        Args:
            reader: Name of the objective or sampling that reads labels.

        Raises:
            DataError: A training video has none.
        """
        rows = self.splits["train"]
        unlabeled = rows[~self.labels[rows].any(axis=1)]
        if len(unlabeled):
            raise DataError(
                [
                    f"{self.root}: {len(unlabeled)} training videos have no label, such as {self.ids[unlabeled[0]]}, "
                    f"and {reader} reads labels: move them to a list of the database, or take an objective and a "
                    "sampling that read none"
                ]
            )

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """Fingerprint of the splits that a run reads (see ``avhash_nas.data.fingerprint``)."""
        return fingerprint(self.root, self.cache_dir, self._database_option)

    def changes_since(self, stored: Mapping[str, Any]) -> str:
        """What has changed in the data since a fingerprint was taken, in words; empty if nothing has.

        The data need not be open, and features are read only if their files are others.

        Args:
            stored: The fingerprint.

        Raises:
            DataError: The dataset cannot be used.
        """
        if "fingerprint" not in vars(self) and surely_equal(stored, self.root, self.cache_dir, self._database_option):
            return ""
        return differences(stored, self.fingerprint)

    @cached_property
    def captions(self) -> CaptionSet | None:
        """The captions and their vectors, read into memory on first use; None without captions.

        Raises:
            DataError: The files cannot be used.
        """
        layout = read_layout(self.root)
        if layout.captions is None:
            return None
        return read_captions(layout.captions, self.ids, layout.files.get("text"))

    @property
    def text_dim(self) -> int:
        """Width of the text vectors.

        Raises:
            DataError: The dataset has no captions or no text vectors.
        """
        if self.captions is None:
            line = "has no captions; write captions.jsonl, and captions: captions.jsonl in dataset.yaml"
            raise DataError([f"{self.root}: {line}"])
        if self.captions.vectors is None:
            raise DataError(
                [f"{self.root}: has captions but no text vectors; `avnas data text {self.root}` makes them"]
            )
        return int(self.captions.vectors.shape[1])

    @cached_property
    def patches(self) -> Features | None:
        """Patch vectors of the frames, (V, T, P * visual_dim), memory-mapped on first use; None without.

        Raises:
            DataError: The file cannot be used.
        """
        layout = read_layout(self.root)
        if "patches" not in layout.files:
            return None
        path = layout.files["patches"]
        patches = open_features(path, self.ids, frames=self.frames, cache_dir=self.cache_dir)
        if patches.dim % self.visual_dim:
            raise DataError(
                [f"{path}: time steps have {patches.dim} values, not a multiple of the frames' width {self.visual_dim}"]
            )
        return patches

    def batch(self, rows: Rows) -> Batch:
        """Reads some videos into memory.

        Args:
            rows: Rows of the videos, (B,).
        """
        return self._open_videos().batch(rows)

    def pieces(self, rows: Rows, videos: int = 256) -> Iterator[Batch]:
        """Reads any number of videos in order, in batches.

        Args:
            rows: Rows of the videos, (V,).
            videos: Videos in a batch.
        """
        for start in range(0, len(rows), videos):
            yield self.batch(rows[start : start + videos])

    def split_train(self, train_fraction: float, seed: int) -> tuple[Rows, Rows]:
        """Splits the training videos in two parts, for weights and architecture.

        Each class is split in the same proportion (see ``split_stratified``), unless training batches are drawn without
        labels: then the split uses none either.

        Args:
            train_fraction: Share of the first part, between 0 and 1.
            seed: Seed of the split.

        Raises:
            AvnasError: The fraction is out of range.
        """
        rows = self._rows("train")
        labels = self.labels[rows] if self.sampling.reads_labels else np.ones((len(rows), 1), dtype=np.bool_)
        first, second = split_stratified(labels, train_fraction, seed)
        return rows[first], rows[second]

    def train_on(self, rows: Rows | None) -> None:
        """Restricts the next training loader to some videos; the number of batches per epoch stays the same.

        Args:
            rows: Rows of training videos; None is all of them.
        """
        self._train_rows = rows

    def draw_by(self, sampling: BatchSampling | None) -> None:
        """Replaces the sampling of the next training loader.

        Args:
            sampling: The sampling; None is that of the constructor.
        """
        self._train_sampling = sampling

    def stream(self, rows: Rows, seed: int) -> Callable[[int], Batch]:
        """An endless stream of batches, drawn as in training: batch number -> this rank's share of the batch.

        Args:
            rows: The videos to draw from.
            seed: Seed of the sampling.
        """
        plan = self._sampled(rows, self.sampling, seed).plan(0)
        return lambda number: self.batch(plan(number))

    def sampled_loader(self, rows: Rows, sampling: BatchSampling | None = None, seed: int | None = None) -> BatchLoader:
        """Training batches of some videos, for instance of one half of the training split.

        Args:
            rows: The videos to draw from; positives and negatives are among them.
            sampling: How to draw; by default the sampling of training.
            seed: Seed of the sampling; by default the module's. Two loaders of one run should have different seeds.
        """
        return self._loader(self._sampled(rows, sampling or self.sampling, self.seed if seed is None else seed))

    def split_loader(self, split: str) -> BatchLoader:
        """The videos of a split in order, each once, divided among the ranks.

        Args:
            split: Name of the split.
        """
        batches = OrderedBatches(self._open_videos(), self._rows(split), self.eval_batch_size, Rank.of(self.trainer))
        return self._loader(batches)

    @override
    def train_dataloader(self) -> BatchLoader:
        """Training batches of the training split, or of the videos that ``train_on`` has set.

        Raises:
            AvnasError: ``train_on`` has set a part of the split, but the sampling of ``draw_by`` needs all of it.
        """
        rows = self._rows("train")
        sampling = self.sampling if self._train_sampling is None else self._train_sampling
        if self._train_rows is None:
            return self.sampled_loader(rows, sampling)
        if sampling is not self.sampling:
            raise AvnasError(
                f"the objective draws its batches by {type(sampling).__name__} from all training videos, of which the "
                "strategy trains the weights on a part: take another strategy, such as avnas, or another objective"
            )
        count = sampling.batches_per_epoch(self.labels[rows])
        return self._loader(self._sampled(self._train_rows, sampling, self.seed, count))

    @override
    def val_dataloader(self) -> list[BatchLoader]:
        """Loaders of the validation queries and of the database; none without a val list."""
        if "val" not in self.splits:
            return []
        return [self.split_loader("val"), self.split_loader(self.database)]

    @override
    def test_dataloader(self) -> list[BatchLoader]:
        """Loaders of the test queries and of the database."""
        return [self.split_loader("test"), self.split_loader(self.database)]

    def _open(self) -> OpenDataset:
        return open_dataset(self.root, self.cache_dir, self._database_option, first_label_only=self.first_label_only)

    def _open_videos(self) -> Videos:
        if self._videos is None:
            raise RuntimeError("HashingData is not open: call prepare() first, or let a Trainer do so")
        return self._videos

    def _rows(self, split: str) -> Rows:
        self._open_videos()
        return self.splits[split]

    def _sampled(self, rows: Rows, sampling: BatchSampling, seed: int, count: int | None = None) -> SampledBatches:
        return SampledBatches(self._open_videos(), rows, sampling, seed, count, Rank.of(self.trainer))

    def _loader(self, batches: Batches) -> BatchLoader:
        return batch_loader(batches, self.workers, self.pin_memory, lambda: training_progress(self.trainer))
