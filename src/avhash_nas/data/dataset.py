"""A dataset opened for reading: its features, labels and splits."""

import warnings
from dataclasses import dataclass
from pathlib import Path

from avhash_nas.data.events import Events, open_events
from avhash_nas.data.features import Features, open_both
from avhash_nas.data.layout import MODALITIES, Layout, read_layout
from avhash_nas.data.loading import Rows, Videos
from avhash_nas.data.splits import Splits, query_problems, read_splits
from avhash_nas.errors import DataError


@dataclass(frozen=True)
class OpenDataset:
    """A dataset whose features are memory-mapped.

    Attributes:
        videos: Features and labels of all V videos.
        ids: Row -> video id.
        splits: Name of a split -> rows.
        class_names: Names of the C classes.
        database: Name of the split that queries search.
        events: What is heard and seen; None unless asked for.
    """

    videos: Videos
    ids: tuple[str, ...]
    splits: dict[str, Rows]
    class_names: tuple[str, ...]
    database: str
    events: Events | None = None


def convert_dataset(root: Path, cache_dir: str | Path | None) -> None:
    """Validates a dataset and converts its features to the cache; warns of suspicious features.

    Raises:
        DataError: The dataset cannot be used.
    """
    layout, splits = read_lists(root, events=read_layout(root).events is not None)
    opened = dict(zip(MODALITIES, open_both(layout, splits.ids, cache_dir), strict=True))
    for modality, path in layout.modalities.items():
        for line in opened[modality].suspicions.lines(path):
            warnings.warn(line, stacklevel=2)


def read_lists(root: Path, *, events: bool = False) -> tuple[Layout, Splits]:
    """Reads the layout and the lists of a dataset.

    Args:
        root: The dataset's folder.
        events: Labels come from the events, so that the lists need none.

    Raises:
        DataError: They cannot be used, or a query has no label.
    """
    layout = read_layout(root)
    splits = read_splits(layout)
    if not events and (problems := query_problems(layout, splits)):
        raise DataError(problems)
    return layout, splits


def open_dataset(
    root: Path,
    cache_dir: str | Path | None,
    database: str | None = None,
    *,
    first_label_only: bool = False,
    events: bool = False,
) -> OpenDataset:
    """Opens a dataset, which takes milliseconds once its features are in the cache.

    Args:
        root: The dataset's folder.
        cache_dir: The cache folder; None is ``default_cache_dir()``.
        database: Split that queries search; None is the one of dataset.yaml.
        first_label_only: Use only the first label of each video.
        events: Read the events; the labels and classes are then theirs.

    Raises:
        DataError: The dataset cannot be used, has no split of the database's name, or lacks events that are asked for.
    """
    layout, splits = read_lists(root, events=events)
    database = database or layout.database
    if database not in splits.names:
        raise DataError([f"{root}: database={database!r} is not a split; there are {', '.join(splits.names)}"])
    visual, audio = open_both(layout, splits.ids, cache_dir)
    if events:
        return _with_events(layout, splits, database, (visual, audio))
    videos = Videos(visual, audio, splits.multi_hot(first_label_only=first_label_only))
    rows = {name: splits.rows(name) for name in splits.names}
    return OpenDataset(videos, splits.ids, rows, splits.class_names, database)


def _with_events(layout: Layout, splits: Splits, database: str, features: tuple[Features, Features]) -> OpenDataset:
    if layout.events is None:
        yaml = layout.root / "dataset.yaml"
        raise DataError([f"{yaml}: has no entry `events`, which names the lists of what is heard and seen"])
    if len(layout.modalities) < 2:
        raise DataError([f"{layout.root / 'dataset.yaml'}: files: parsing needs features of both modalities"])
    events = open_events(layout.events, splits, features[0].frames)
    rows = {name: splits.rows(name) for name in splits.names}
    videos = Videos(*features, events.weak, events, rows["train"])
    return OpenDataset(videos, splits.ids, rows, events.class_names, database, events)
