"""Source of the labels of extracted videos, and assignment of the videos to splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avhash_nas.data.stratified_split import split_stratified
from avhash_nas.errors import AvnasError
from avhash_nas.extraction.annotations import SPLITS, Annotation, annotate_by_csv, annotate_by_folders
from avhash_nas.extraction.listing import VideoFile


@dataclass(frozen=True)
class Labeling:
    """Labels and splits of videos.

    Args:
        labels: `folders`: the class of a video is its topmost folder. `none`: no labels and no lists. Else a CSV file
            with the columns `file` (path below the folder of videos) or `id`, `labels` (names of classes separated by
            `;`) and optionally `split`.
        split: Shares of train, val and test, drawn in each class. Not used if the CSV file names splits, or if the
            topmost folders are train, val and test.
        seed: Seed of the splits.
        resplit: Draw the splits of all videos. Otherwise videos keep their split of an earlier extraction.

    Raises:
        AvnasError: The shares are not positive, or do not add up to 1.
    """

    labels: str = "none"
    split: tuple[float, ...] = (0.5, 0.25, 0.25)
    seed: int = 0
    resplit: bool = False

    def __post_init__(self) -> None:
        """Validates the options."""
        if len(self.split) != len(SPLITS) or not min(self.split) > 0 or abs(sum(self.split) - 1) > 1e-6:
            shares = ",".join(map(str, self.split))
            raise AvnasError(f"split={shares}: give three shares above 0 that add up to 1, for {', '.join(SPLITS)}")
        if self.seed < 0:
            raise AvnasError(f"seed={self.seed} must not be negative")

    def read(self, videos: Sequence[VideoFile]) -> dict[str, Annotation]:
        """Labels of videos by id, with the splits that the source names.

        Raises:
            AvnasError: Labels cannot be read, or there are too few videos to fill three splits.
        """
        if self.labels == "none":
            return {}
        annotations = annotate_by_folders(videos) if self.labels == "folders" else annotate_by_csv(self.labels, videos)
        filled = {each.split for each in self.assign_splits(annotations)[0].values()}
        if missing := [split for split in SPLITS if split not in filled]:
            raise AvnasError(
                f"labels={self.labels}: no labeled video is left for {' and '.join(missing)}: "
                "the dataset needs train, val and test; take more videos, other shares, or --labels=none"
            )
        return annotations

    def assign_splits(
        self, annotations: Mapping[str, Annotation], previous: Mapping[str, str] | None = None
    ) -> tuple[dict[str, Annotation], int]:
        """Assigns each video to a split. If the source names some splits, none is drawn.

        Args:
            annotations: Labels, by video id.
            previous: Splits of an earlier extraction, by video id.

        Returns:
            The annotations with splits, and the number of videos that keep their previous split.
        """
        if any(each.split for each in annotations.values()):
            return dict(annotations), 0
        labels = {name: each.labels for name, each in annotations.items()}
        keep = {} if self.resplit else {name: split for name, split in (previous or {}).items() if name in labels}
        splits = draw_splits(labels, self.split, self.seed, keep)
        return {name: replace(each, split=splits[name]) for name, each in annotations.items()}, len(keep)


def draw_splits(
    labels: Mapping[str, Sequence[str]], shares: Sequence[float], seed: int, keep: Mapping[str, str] | None = None
) -> dict[str, str]:
    """A random split for each video, with the same proportions in every class.

    Args:
        labels: Names of classes, by video id.
        shares: Shares of train, val and test, all above 0.
        seed: Seed of the splits.
        keep: Existing splits, by video id. Only the other videos are drawn, among themselves, so that new videos never
            move old ones: that would mix training and test data.

    Returns:
        `train`, `val` or `test` by id, in the order of the labels.
    """
    splits = {name: split for name, split in (keep or {}).items() if name in labels and split in SPLITS}
    new = [name for name in labels if name not in splits]
    if new:
        table = multi_hot([labels[name] for name in new])
        train, rest = split_stratified(table, shares[0], seed)
        val, test = split_stratified(table[rest], shares[1] / (shares[1] + shares[2]), seed + 1)
        for split, positions in zip(SPLITS, (train, rest[val], rest[test]), strict=True):
            splits |= {new[position]: split for position in positions}
    return {name: splits[name] for name in labels}


def multi_hot(labels: Sequence[Sequence[str]]) -> NDArray[np.bool_]:
    """Labels as a table, (videos, classes), with classes in alphabetical order."""
    columns = {name: column for column, name in enumerate(sorted({name for each in labels for name in each}))}
    table = np.zeros((len(labels), len(columns)), np.bool_)
    for row, each in enumerate(labels):
        table[row, [columns[name] for name in each]] = True
    return table
