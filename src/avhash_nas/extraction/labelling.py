"""Where the labels of videos come from, and in which split each video is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from avhash_nas.errors import AvnasError
from avhash_nas.extraction.labels import SPLITS, Annotation, by_csv, by_folders
from avhash_nas.extraction.listing import VideoFile
from avhash_nas.extraction.splitting import draw_splits


@dataclass(frozen=True)
class Labelling:
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
                f"labels={self.labels}: no labelled video is left for {' and '.join(missing)}: "
                "the data set needs train, val and test; take more videos, other shares, or --labels=none"
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
