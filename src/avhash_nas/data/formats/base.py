"""What a conversion passes from one format to another: a stream of videos."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

Features = Mapping[str, NDArray[Any]]
"""Vectors of a video, (T, dim), by modality: `visual`, `audio` or both."""


class Item(NamedTuple):
    """One video.

    Args:
        id: Its id.
        splits: The splits that hold it, at least one.
        labels: Names of its classes; empty without labels.
        features: Its vectors.
    """

    id: str
    splits: tuple[str, ...]
    labels: tuple[str, ...]
    features: Features


@dataclass(frozen=True)
class Contents:
    """A dataset that is being read.

    Args:
        splits: Names of the splits.
        database: The split that queries search.
        classes: Names of the classes.
        count: Number of videos.
        items: The videos, read one by one.
    """

    splits: tuple[str, ...]
    database: str
    classes: tuple[str, ...]
    count: int
    items: Iterator[Item]


class Format(ABC):
    """A way to keep a dataset of features on disk.

    The constructor's arguments are options of ``avnas data convert``.
    """

    @abstractmethod
    def read(self, source: Path) -> Contents:
        """Opens a dataset.

        Args:
            source: Its folder or file.

        Raises:
            AvnasError: It cannot be read.
        """

    @abstractmethod
    def write(self, contents: Contents, out: Path) -> None:
        """Writes a dataset, video by video.

        Args:
            contents: The dataset.
            out: An empty folder.
        """
