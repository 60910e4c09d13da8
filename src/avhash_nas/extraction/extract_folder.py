"""A folder of video files becomes a dataset of features."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from avhash_nas.data import read_media
from avhash_nas.errors import AvnasError
from avhash_nas.extraction.dataset import write_lists, write_videos
from avhash_nas.extraction.extraction import Extraction
from avhash_nas.extraction.feature_files import Entry, read_entries, write_features
from avhash_nas.extraction.folder import alone, begin, check_folder, parts_of
from avhash_nas.extraction.labeling import Labeling
from avhash_nas.extraction.listing import SUFFIXES, Listing, VideoFile, list_videos
from avhash_nas.extraction.media_file import Limits
from avhash_nas.extraction.workers import ExtractVideo, count_workers, extract_all


@dataclass(frozen=True)
class Outcome:
    """What an extraction leaves.

    Attributes:
        videos: Videos in the feature files.
        new: Of these, extracted by this run.
        lists: Number of videos in each split's list; all 0 where there are no lists.
        notes: Number of videos with each note.
        problems: Files that gave no features, with the reason.
        remarks: What else the user should know, a line each.
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
    """Extract the features of video files into a folder in the published layout.

    The folder gets image.h5 and audio.h5, dataset.yaml, videos.csv, extraction.json and, where there are labels,
    train.txt, val.txt and test.txt. A video is done when its features are on disk, so the same call goes on after any
    interruption. A later call extracts the files that are new or have changed (size or time of change) and tries again
    those that gave no features.

    Each worker process does the whole of a video on one thread, with its own copy of the models. So it is on a GPU,
    too: a few processes keep it busy, one computing while others decode.

    Args:
        videos: Folder with video files at any depth, or one file.
        out: Folder of the features.
        extraction: How to make them.
        labeling: Labels and splits; none by default.
        suffixes: Endings of video files; other files are passed over.
        workers: Processes; 0 works in this one. By default one for each core, at most 4, as each loads the models.
        timeout: Seconds that reading a video may take; one that takes longer is reported as a problem.
        drop_missing: Take videos whose files are gone out of the features. Else this is an error.
        overwrite: Remove what an extraction has left in `out`, and start anew.

    Raises:
        AvnasError: Options that make no sense, no videos, or a folder that holds something else; all of this before
            anything is extracted. Or the disk is full: what is done stays.
    """
    labeling, folder, processes = labeling or Labeling(), Path(out), count_workers(workers)
    listing = list_videos(videos, suffixes)
    labeled = labeling.read(listing.videos)
    described = extraction.to_dict()
    with alone(folder):
        check_folder(folder, described, overwrite=overwrite)
        begin(folder, described, anew=overwrite)
        before, parts = read_entries(folder), parts_of(folder)
        if not drop_missing:
            _refuse_missing(folder, before, listing.videos)
        done = parts.keys() | before.keys()
        waiting = [video for video in listing.videos if video.key not in done]
        work = ExtractVideo(extraction, parts, Limits(time=timeout))
        problems = extract_all(work, waiting, len(listing.videos) - len(waiting), processes)
        entries, damaged = write_features(folder, listing.videos, parts)
        problems += [(str(video.path), "its features were damaged on disk; run again") for video in damaged]
        known = {entry.id: labeled[entry.id] for entry in entries if entry.id in labeled}
        kept = {name: media.split for name, media in read_media(folder).items() if media.split and name in known}
        annotations = labeling.split_up(known, kept)
        lists = write_lists(folder, entries, annotations, extraction.steps)
        write_videos(folder, entries, listing.videos, annotations)
        parts.clear()
    return Outcome(
        videos=len(entries),
        new=len({video.key for video in waiting} & {entry.key for entry in entries}),
        lists=lists,
        notes=Counter(note for entry in entries for note in entry.notes),
        problems=(*listing.unusable, *problems),
        remarks=tuple(
            _remarks(
                listing,
                lists,
                unlabeled=len(entries) - len(known) if labeled else 0,
                kept=len(kept) if labeling.draws(known) and not labeling.resplit else 0,
            )
        ),
    )


def _refuse_missing(folder: Path, before: Mapping[str, Entry], videos: Sequence[VideoFile]) -> None:
    keys, ids = {video.key for video in videos}, {video.id for video in videos}
    missing = [entry.id for entry in before.values() if entry.key not in keys and entry.id not in ids]
    if missing:
        raise AvnasError(
            f"{folder}: the files of {len(missing)} of its {len(before)} videos are gone, such as that of {missing[0]};"
            " name the folder of videos that it was made from, or take them out by --drop_missing"
        )


def _remarks(listing: Listing, lists: Mapping[str, int], unlabeled: int, kept: int) -> list[str]:
    lines = []
    if listing.others:
        kinds = ", ".join(f"{count} {ending or 'without ending'}" for ending, count in listing.others.most_common(5))
        lines.append(f"files with other endings, passed over: {kinds}")
    if unlabeled:
        lines.append(f"videos without a label, in no list: {unlabeled}")
    if kept:
        lines.append(f"videos that keep the split of an earlier extraction: {kept}; --resplit draws all anew")
    if any(lists.values()):
        lines += [f"the {split} list is empty, which training will refuse" for split, n in lists.items() if not n]
    return lines
