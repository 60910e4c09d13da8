"""Captions of a published dataset, brought into a dataset folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from avhash_nas.data.caption_sources import CaptionSource, read_source
from avhash_nas.data.captions import CAPTIONS_FILE, write_captions
from avhash_nas.data.layout import read_layout
from avhash_nas.data.splits import read_splits
from avhash_nas.errors import AvnasError
from avhash_nas.files import write_whole


@dataclass(frozen=True)
class ImportedCaptions:
    """What was written.

    Attributes:
        captions: Number of captions.
        videos: Number of videos by split.
        remarks: What was left out, one line each.
    """

    captions: int
    videos: dict[str, int]
    remarks: tuple[str, ...]


def import_captions(
    source: str | Path,
    dataset: str,
    out: str | Path,
    *,
    holdout: int = 500,
    seed: int = 0,
    drop_missing: bool = False,
) -> ImportedCaptions:
    """Writes `captions.jsonl` into a folder and names it in its `dataset.yaml`.

    A folder with lists keeps them: it gets the captions of the videos that its lists name. Any other folder gets the
    lists of the published splits as well, with the categories as labels, or label 0 without categories; the features
    of these videos are then all that a dataset lacks.

    Args:
        source: Folder with the published files.
        dataset: Which dataset, and where it has several, which splits: a key of
            `avhash_nas.data.caption_sources.FORMATS`.
        out: The dataset's folder.
        holdout: Number of training videos that become the validation split if the dataset has none.
        seed: Seed of that draw.
        drop_missing: Leave out captions of videos that the lists of the folder lack; otherwise they are an error.

    Raises:
        AvnasError: Files are missing or have another form, or captions are of videos that the lists lack.
    """
    out = Path(out)
    found = read_source(Path(source), dataset, holdout=holdout, seed=seed)
    if not (out / "dataset.yaml").exists() and not (out / "train.txt").exists():
        write_captions(out / CAPTIONS_FILE, found.captions)
        _write_lists(out, found)
        videos = {split: len(ids) for split, ids in found.splits.items()}
        return ImportedCaptions(len(found.captions), videos, tuple(found.remarks))
    splits = read_splits(read_layout(out))
    listed = set(splits.ids)
    kept = [caption for caption in found.captions if caption.video in listed]
    missing = {caption.video for caption in found.captions} - listed
    if not kept or (missing and not drop_missing):
        raise AvnasError(
            f"{out}: its lists lack {len(missing):,} of the videos with captions, such as {min(missing)!r}"
            + ("; --drop_missing leaves their captions out" if kept else "; are the ids those of the captions' files?")
        )
    write_captions(out / CAPTIONS_FILE, kept)
    _name_captions(out)
    told = {caption.video for caption in kept}
    videos = {name: sum(splits.ids[row] in told for row in splits.rows(name)) for name in splits.names}
    dropped = len(found.captions) - len(kept)
    remarks = [f"left out: {dropped:,} captions of {len(missing):,} videos that the lists lack"] if missing else []
    return ImportedCaptions(len(kept), videos, (*found.remarks, *remarks))


def _write_lists(out: Path, found: CaptionSource) -> None:
    names = sorted(
        {found.labels[video] for videos in found.splits.values() for video in videos if video in found.labels}
    )
    numbers = {name: number for number, name in enumerate(names)}
    for split, videos in found.splits.items():
        lines = "".join(f"{video},{numbers.get(found.labels.get(video, ''), 0)}\n" for video in videos)
        _write(out / f"{split}.txt", lines)
    layout = {"line": "id,label...", "label_base": 0, "classes": names or ["any"], "captions": CAPTIONS_FILE}
    _write(out / "dataset.yaml", yaml.safe_dump(layout, sort_keys=False, allow_unicode=True))


def _name_captions(out: Path) -> None:
    """Adds the captions to `dataset.yaml`; everything else in it stays as it is, comments too."""
    add_entry(out / "dataset.yaml", {"captions": CAPTIONS_FILE})


def add_entry(path: Path, entries: dict[str, Any]) -> None:
    """Sets entries of a `dataset.yaml`, of which those that are mappings gain keys; comments are kept if none changes.

    Args:
        path: The file, which need not exist.
        entries: The new entries.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    before = yaml.safe_load(text) or {}
    after = dict(before)
    for name, value in entries.items():
        after[name] = {**(before.get(name) or {}), **value} if isinstance(value, dict) else value
    new = {name: value for name, value in after.items() if name not in before}
    if after == before:
        return
    if {**before, **new} == after:
        joined = text + ("" if not text or text.endswith("\n") else "\n")
        _write(path, joined + yaml.safe_dump(new, sort_keys=False, allow_unicode=True))
    else:
        _write(path, yaml.safe_dump(after, sort_keys=False, allow_unicode=True))


def _write(path: Path, text: str) -> None:
    write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))
