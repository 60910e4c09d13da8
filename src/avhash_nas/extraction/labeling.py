"""Where the labels of videos come from, and in which split each video is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avhash_nas.data.stratified_split import split_stratified
from avhash_nas.errors import AvnasError
from avhash_nas.extraction.labels import SPLITS, Annotation, by_csv, by_folders
from avhash_nas.extraction.listing import VideoFile


def draw_splits(
    labels: Mapping[str, Sequence[str]], portions: Sequence[float], seed: int, kept: Mapping[str, str] | None = None
) -> dict[str, str]:
    """A split for each video, every class cut in the same proportion.

    Args:
        labels: Names of classes by id.
        portions: Shares of train, val and test, all above 0.
        seed: Of the draw.
        kept: Splits, by id, of videos that have one already. The others are cut among themselves: videos that come
            later never move those that were there, which would mix what was trained on with what is tested.

    Returns:
        `train`, `val` or `test` by id, in the order of the labels.
    """
    known = {name: split for name, split in (kept or {}).items() if name in labels and split in SPLITS}
    new = [name for name in labels if name not in known]
    if not new:
        return {name: known[name] for name in labels}
    table = multi_hot([labels[name] for name in new])
    train, rest = split_stratified(table, portions[0], seed)
    val, test = split_stratified(table[rest], portions[1] / (portions[1] + portions[2]), seed + 1)
    for split, places in zip(SPLITS, (train, rest[val], rest[test]), strict=True):
        known |= {new[place]: split for place in places}
    return {name: known[name] for name in labels}


def multi_hot(labels: Sequence[Sequence[str]]) -> NDArray[np.bool_]:
    """Whether video i has class c, (videos, classes), classes in alphabetical order.

    Args:
        labels: Names of classes of each video.
    """
    columns = {name: column for column, name in enumerate(sorted({name for each in labels for name in each}))}
    table = np.zeros((len(labels), len(columns)), np.bool_)
    for row, each in enumerate(labels):
        table[row, [columns[name] for name in each]] = True
    return table


@dataclass(frozen=True)
class Labeling:
    """Labels and splits of videos.

    Args:
        labels: `folders`: each video's class is the topmost folder that it lies in. `none`: no labels and no lists.
            Else a CSV file with the columns `file` (path below the folder of videos) or `id`, `labels` (names of
            classes with `;` between them) and, if wanted, `split`.
        split: Shares of train, val and test, drawn for each class alike. Not used where the CSV file names splits, or
            the topmost folders are train, val and test.
        seed: Of the draw.
        resplit: Draw the splits of all videos. Else those that have a split from an earlier extraction keep it.

    Raises:
        AvnasError: The shares are not positive, or do not add up to 1.
    """

    labels: str = "none"
    split: tuple[float, ...] = (0.5, 0.25, 0.25)
    seed: int = 0
    resplit: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        if len(self.split) != len(SPLITS) or not min(self.split) > 0 or abs(sum(self.split) - 1) > 1e-6:
            shares = ",".join(map(str, self.split))
            raise AvnasError(f"split={shares}: give three shares above 0 that add up to 1, for {', '.join(SPLITS)}")
        if self.seed < 0:
            raise AvnasError(f"seed={self.seed} must not be negative")

    def read(self, videos: Sequence[VideoFile]) -> dict[str, Annotation]:
        """Labels of videos by id, with the splits that are given, before anything is drawn.

        Args:
            videos: The videos.

        Raises:
            AvnasError: Labels cannot be read, or the videos are too few to fill three splits.
        """
        if self.labels == "none":
            return {}
        given = by_folders(videos) if self.labels == "folders" else by_csv(self.labels, videos)
        filled = {each.split for each in self.split_up(given).values()}
        if missing := [split for split in SPLITS if split not in filled]:
            raise AvnasError(
                f"labels={self.labels}: no labeled video is left for {' and '.join(missing)}: "
                "the dataset needs train, val and test; take more videos, other shares, or --labels=none"
            )
        return given

    def draws(self, annotations: Mapping[str, Annotation]) -> bool:
        """Whether splits are drawn, as none is given.

        Args:
            annotations: What is known of the videos, by id.
        """
        return not any(each.split for each in annotations.values())

    def split_up(
        self, annotations: Mapping[str, Annotation], kept: Mapping[str, str] | None = None
    ) -> dict[str, Annotation]:
        """Annotations with a split for each video; where some splits are given, none is drawn.

        Args:
            annotations: What is known of the videos, by id.
            kept: Splits from an earlier extraction, by id.
        """
        if not self.draws(annotations):
            return dict(annotations)
        labels = {name: each.labels for name, each in annotations.items()}
        splits = draw_splits(labels, self.split, self.seed, {} if self.resplit else kept)
        return {name: replace(each, split=splits[name]) for name, each in annotations.items()}
