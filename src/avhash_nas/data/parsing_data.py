"""A dataset with events as a Lightning data module."""

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from avhash_nas.data.datamodule import HashingData
from avhash_nas.data.dataset import OpenDataset, open_dataset
from avhash_nas.data.epoch_loader import BatchLoader
from avhash_nas.data.events import Events
from avhash_nas.data.shuffled import Shuffled
from avhash_nas.errors import AvnasError


class ParsingData(HashingData):
    """Videos with events, for audio-visual video parsing: `labels` are the weak labels, `classes` those of the events.

    Batches carry event labels (`Batch.events`). Evaluation has one loader: nothing is searched. Training batches are
    `Shuffled` by default. All options are those of `HashingData`.

    `setup` and `prepare` also set `events`.
    """

    default_sampling = Shuffled
    events: Events

    @override
    def val_dataloader(self) -> list[BatchLoader]:
        """The loader of the validation videos."""
        return [self.split_loader("val")]

    @override
    def test_dataloader(self) -> list[BatchLoader]:
        """The loader of the test videos."""
        return [self.split_loader("test")]

    def class_texts(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Vectors of the classes' names for audio and visual, (C, d) each.

        Raises:
            AvnasError: The dataset has none.
        """
        if self.events.texts is None:
            raise AvnasError(
                f"{self.root / 'dataset.yaml'}: events: has no `texts`, the vectors of the classes' names that the "
                "network reads; --network.texts=prototypes takes class means of the training features instead"
            )
        return self.events.texts

    @override
    def require_labels(self, reader: str) -> None:
        """Does nothing: a video without an event is a negative for all classes."""

    @override
    def _open(self) -> OpenDataset:
        dataset = open_dataset(self.root, self.cache_dir, self._database_option, events=True)
        assert dataset.events is not None
        self.events = dataset.events
        return dataset
