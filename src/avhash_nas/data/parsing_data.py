"""A dataset with events as a Lightning data module."""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from typing_extensions import override

from avhash_nas.data.datamodule import HashingData
from avhash_nas.data.dataset import OpenDataset, open_dataset
from avhash_nas.data.epoch_loader import BatchLoader
from avhash_nas.data.events import Events
from avhash_nas.data.shuffled import Shuffled


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

    @cached_property
    @override
    def fingerprint(self) -> dict[str, Any]:
        """That of `HashingData`, and a digest of the events."""
        of_features = super().fingerprint
        events = self.prepare().events
        parts = (events.weak, events.truth, *([] if events.pseudo is None else [events.pseudo]), *(events.texts or ()))
        digest = hashlib.sha256(json.dumps([events.class_names, events.filtered, events.seconds]).encode())
        for part in parts:
            digest.update(part.tobytes())
        own = digest.hexdigest()[:32]
        both = hashlib.sha256(f"{of_features['digest']} {own}".encode()).hexdigest()[:32]
        return {**of_features, "digest": both, "events": own}

    @override
    def changes_since(self, stored: Mapping[str, Any]) -> str:
        if stored.get("events") == self.fingerprint["events"]:
            return super().changes_since(stored)
        return "; ".join(part for part in (super().changes_since(stored), "other events") if part)

    @override
    def require_labels(self, reader: str) -> None:
        """Does nothing: a video without an event is a negative for all classes."""

    @override
    def _open(self) -> OpenDataset:
        dataset = open_dataset(self.root, self.cache_dir, self._database_option, events=True)
        assert dataset.events is not None
        self.events = dataset.events
        return dataset
