"""Extraction of a folder of video files to a dataset of features."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from avhash_nas.data import read_media
from avhash_nas.errors import AvnasError
from avhash_nas.extraction.extraction import Extraction
from avhash_nas.extraction.feature_files import Entry, read_entries, write_features
from avhash_nas.extraction.labeling import Labeling
from avhash_nas.extraction.listing import SUFFIXES, Listing, VideoFile, describe_suffixes, list_videos
from avhash_nas.extraction.media_file import Limits
from avhash_nas.extraction.output_folder import locked, prepare_folder, write_lists, write_videos
from avhash_nas.extraction.workers import ExtractVideo, count_workers, extract_all


@dataclass(frozen=True)
class Outcome:
    """Result of an extraction.

    Attributes:
        videos: Number of videos in the feature files.
        new: Number of these that this run extracted.
        lists: Number of videos in the list of each split; all 0 if there are no lists.
        notes: Number of videos with each note.
        problems: Files without features, with the reason.
        remarks: Further messages for the user, one line each.
    """

    videos: int
    new: int
    lists: Mapping[str, int]
    notes: Counter[str]
    problems: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]


def extract_folder(
    videos: str | Path,
    out: str | Path,
    extraction: Extraction,
    labeling: Labeling | None = None,
    *,
    suffixes: Sequence[str] = SUFFIXES,
    workers: int | None = None,
    timeout: float | None = None,
    drop_missing: bool = False,
    overwrite: bool = False,
) -> Outcome:
    """Extracts the features of video files into a folder in the published layout.

    The folder gets image.h5 and audio.h5, dataset.yaml, videos.csv, extraction.json and, if there are labels,
    train.txt, val.txt and test.txt. The features of each video are saved at once, so the same call resumes after any
    interruption. A later call extracts new and changed files (by size and modification time) and retries those that
    failed.

    Each worker process handles whole videos on one thread, with its own copy of the models. A few processes also keep
    a GPU busy: one computes while others decode.

    Args:
        videos: Folder with video files at any depth, or one file.
        out: Output folder.
        extraction: Extractors and their settings.
        labeling: Labels and splits; none by default.
        suffixes: File name suffixes of videos; other files are skipped.
        workers: Processes; 0 works in this one. By default one per core, at most 4, as each loads the models.
        timeout: Seconds that reading a video may take; a slower one is reported as a problem.
        drop_missing: Remove videos whose files no longer exist from the features. Otherwise this is an error.
        overwrite: Remove an earlier extraction from `out`, and start anew.

    Raises:
        AvnasError: Invalid options, no videos, or a folder with other contents; all of this before any extraction. Or
            the disk is full: finished videos are kept.
    """
    labeling, folder, processes = labeling or Labeling(), Path(out), count_workers(workers)
    listing = list_videos(videos, suffixes)
    labels = labeling.read(listing.videos)
    record = extraction.to_dict()
    with locked(folder):
        parts = prepare_folder(folder, record, overwrite=overwrite)
        earlier = read_entries(folder)
        if not drop_missing:
            _check_none_missing(folder, [*earlier.values()], listing.videos)
        done = parts.keys() | earlier.keys()
        waiting = [video for video in listing.videos if video.key not in done]
        work = ExtractVideo(extraction, parts, Limits(time=timeout))
        problems = extract_all(work, waiting, len(listing.videos) - len(waiting), processes)
        entries, damaged = write_features(folder, listing.videos, parts)
        problems += [(str(video.path), "its features were damaged on disk; run again") for video in damaged]
        annotations, unmoved = labeling.assign_splits(
            {entry.id: labels[entry.id] for entry in entries if entry.id in labels},
            {name: media.split for name, media in read_media(folder).items() if media.split},
        )
        lists = write_lists(folder, entries, annotations, extraction.steps)
        write_videos(folder, entries, listing.videos, annotations)
        parts.clear()
    unlabeled = len(entries) - len(annotations) if labels else 0
    return Outcome(
        videos=len(entries),
        new=len({video.key for video in waiting} & {entry.key for entry in entries}),
        lists=lists,
        notes=Counter(note for entry in entries for note in entry.notes),
        problems=(*listing.unusable, *problems),
        remarks=tuple(_remarks(listing, lists, unlabeled, unmoved)),
    )


def _check_none_missing(folder: Path, earlier: Sequence[Entry], videos: Sequence[VideoFile]) -> None:
    keys, ids = {video.key for video in videos}, {video.id for video in videos}
    missing = [entry.id for entry in earlier if entry.key not in keys and entry.id not in ids]
    if missing:
        raise AvnasError(
            f"{folder}: the files of {len(missing)} of its {len(earlier)} videos are gone, such as {missing[0]}; "
            "name the original folder of videos, or remove these videos with --drop_missing"
        )


def _remarks(listing: Listing, lists: Mapping[str, int], unlabeled: int, unmoved: int) -> list[str]:
    lines = []
    if listing.others:
        lines.append(f"files with other suffixes, skipped: {describe_suffixes(listing.others)}")
    if unlabeled:
        lines.append(f"videos without a label, in no list: {unlabeled}")
    if unmoved:
        lines.append(f"videos that keep the split of an earlier extraction: {unmoved}; --resplit draws all anew")
    if any(lists.values()):
        lines += [f"the {split} list is empty, which training will refuse" for split, n in lists.items() if not n]
    return lines
