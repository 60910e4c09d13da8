"""The caption files of published datasets: MSR-VTT, VATEX, ActivityNet Captions, MSVD and DiDeMo."""

import csv
import json
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, NoReturn

from typing_extensions import override

from avhash_nas.data.captions import Caption
from avhash_nas.errors import AvnasError

_LANGUAGES = {"English": "en", "Chinese": "zh", "German": "de", "Spanish": "es", "French": "fr", "Italian": "it"}
"""Tags of the names that MSVD writes in full; other names stay as they are."""


@dataclass(frozen=True)
class CaptionSource:
    """What the files of a published dataset hold.

    Attributes:
        captions: All captions, those of a video one after the other or not.
        splits: Ids of the videos of `train`, `val` and `test`; without a `val` of its own, it has to be drawn.
        labels: Name of the category of each video, where the dataset has categories.
        remarks: What was left out, one line each.
    """

    captions: list[Caption]
    splits: dict[str, list[str]]
    labels: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def read_msrvtt(folder: Path, protocol: str) -> CaptionSource:
    """MSR-VTT: 10,000 clips of 20 captions.

    `9k` and `7k` train on the videos of MSRVTT_train.9k.csv or .7k.csv and test on 1k-A, one caption for each of the
    videos of MSRVTT_JSFUSION_test.csv; they have no validation split. `3k` is the split of the dataset's authors,
    6,513 / 497 / 2,990 videos, with all captions.
    """
    data = _read_json(folder / "MSRVTT_data.json", dict)
    videos = _list_of(data, "videos", folder / "MSRVTT_data.json")
    labels = {video["video_id"]: f"category {video['category']}" for video in videos if "category" in video}
    captions = [
        Caption(sentence["video_id"], sentence["caption"], "en")
        for sentence in _list_of(data, "sentences", folder / "MSRVTT_data.json")
    ]
    if protocol == "3k":
        names = {"train": "train", "validate": "val", "val": "val", "test": "test"}
        splits: dict[str, list[str]] = {"train": [], "val": [], "test": []}
        for video in videos:
            splits[names[video["split"]]].append(video["video_id"])
        return CaptionSource(captions, splits, labels)
    train = [row["video_id"] for row in _read_csv(folder / f"MSRVTT_train.{protocol}.csv", ("video_id",))]
    asked = _read_csv(folder / "MSRVTT_JSFUSION_test.csv", ("video_id", "sentence"))
    test = [Caption(row["video_id"], row["sentence"], "en") for row in asked]
    in_train = set(train)
    captions = [caption for caption in captions if caption.video in in_train]
    return CaptionSource([*captions, *test], {"train": train, "test": [caption.video for caption in test]}, labels)


def read_vatex(folder: Path) -> CaptionSource:
    """VATEX: `ref_captions.json`, or the authors' `vatex_*.json` with English and Chinese captions, and the lists."""
    captions: list[Caption] = []
    originals = sorted(folder.glob("vatex_*.json"))
    for path in originals:
        for video in _read_json(path, list):
            for key, language in (("enCap", "en"), ("chCap", "zh")):
                captions += [Caption(video["videoID"], text, language) for text in video.get(key, [])]
    if not originals:
        for video, texts in _read_json(folder / "ref_captions.json", dict).items():
            captions += [Caption(video, text, "en") for text in texts]
    return CaptionSource(captions, _read_lists(folder))


def read_activitynet(folder: Path) -> CaptionSource:
    """ActivityNet Captions, a paragraph for each video: its sentences in order; `val_1` is the test split.

    Ids lose the prefix `v_`, which the names of the video files lack.
    """
    captions, splits = [], {}
    for split, name, ids_name in (("train", "train", "train_ids"), ("test", "val_1", "val_ids")):
        paragraphs = _read_json(folder / f"{name}.json", dict)
        ids = _read_json(folder / f"{ids_name}.json", list)
        splits[split] = [video.removeprefix("v_") for video in ids if video in paragraphs]
        captions += [
            Caption(video.removeprefix("v_"), " ".join(map(str.strip, paragraphs[video]["sentences"])), "en")
            for video in ids
            if video in paragraphs
        ]
    return CaptionSource(captions, splits)


def read_msvd(folder: Path) -> CaptionSource:
    """MSVD: `raw-captions.pkl` of words, or the authors' `video_corpus.csv` in many languages, and the lists."""
    path, corpus = folder / "raw-captions.pkl", folder / "video_corpus.csv"
    captions: list[Caption] = []
    if corpus.exists():
        for row in _read_csv(corpus, ("VideoID", "Start", "End", "Language", "Description")):
            language = _LANGUAGES.get(row["Language"], row["Language"])
            captions.append(Caption(f"{row['VideoID']}_{row['Start']}_{row['End']}", row["Description"], language))
    else:
        for video, sentences in _read_words(path).items():
            captions += [Caption(video, " ".join(words), "en") for words in sentences]
    return CaptionSource(captions, _read_lists(folder))


def read_didemo(folder: Path) -> CaptionSource:
    """DiDeMo, a paragraph for each video: its descriptions in the order of the files.

    Ids lose the file extension.
    """
    paragraphs: dict[str, list[str]] = {}
    splits = _read_lists(folder)
    for split in splits:
        for moment in _read_json(folder / f"{split}_data.json", list):
            paragraphs.setdefault(_stem(moment["video"]), []).append(moment["description"].strip())
    splits = {split: [_stem(video) for video in videos] for split, videos in splits.items()}
    return CaptionSource([Caption(video, " ".join(texts), "en") for video, texts in paragraphs.items()], splits)


FORMATS: Mapping[str, Callable[[Path], CaptionSource]] = {
    "msrvtt-9k": lambda folder: read_msrvtt(folder, "9k"),
    "msrvtt-7k": lambda folder: read_msrvtt(folder, "7k"),
    "msrvtt-3k": lambda folder: read_msrvtt(folder, "3k"),
    "vatex": read_vatex,
    "activitynet": read_activitynet,
    "msvd": read_msvd,
    "didemo": read_didemo,
}
"""Readers by name."""


def read_source(folder: Path, name: str, *, holdout: int = 500, seed: int = 0) -> CaptionSource:
    """Reads the files of a published dataset.

    Videos in a list that have no caption, captions of videos in no list, empty captions, and videos of one list that
    an earlier list has are left out, with a remark. Without a validation split, one is drawn from the training videos:
    papers that select an epoch on the test split report its best score.

    Args:
        folder: The folder with the files.
        name: A key of `FORMATS`.
        holdout: Number of training videos that become the validation split if the dataset has none.
        seed: Seed of the draw, which depends on ids only.

    Raises:
        AvnasError: A file is missing or has another form, or too few training videos are left.
    """
    if name not in FORMATS:
        raise AvnasError(f"--dataset: there is no {name!r}; known are {', '.join(FORMATS)}")
    try:
        source = FORMATS[name](folder)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise AvnasError(f"{folder}: its files are not in the form of {name}: {error!r}") from error
    source = _cleaned(source)
    if not source.splits.get("val"):
        source.splits["val"], source.splits["train"] = _drawn(source.splits["train"], holdout, seed)
    empty = [split for split in ("train", "val", "test") if not source.splits.get(split)]
    if empty:
        raise AvnasError(f"{folder}: no video with a caption is left for {', '.join(empty)}")
    return source


def _cleaned(source: CaptionSource) -> CaptionSource:
    captions = [Caption(each.video, " ".join(each.text.split()), each.language) for each in source.captions]
    full = [caption for caption in captions if caption.text]
    told = {caption.video for caption in full}
    splits: dict[str, list[str]] = {}
    taken: set[str] = set()
    repeated = without = 0
    for split in ("train", "val", "test"):
        listed = list(dict.fromkeys(source.splits.get(split, [])))
        repeated += sum(video in taken for video in listed)
        without += sum(video not in told for video in listed)
        splits[split] = [video for video in listed if video in told and video not in taken]
        taken.update(listed)
    kept = [caption for caption in full if caption.video in taken]
    counts = {
        "empty captions": len(captions) - len(full),
        "captions of videos in no list": len(full) - len(kept),
        "listed videos without a caption": without,
        "videos that are in an earlier list as well": repeated,
    }
    remarks = [f"left out: {count:,} {what}" for what, count in counts.items() if count]
    return CaptionSource(kept, splits, source.labels, [*source.remarks, *remarks])


def _drawn(videos: Sequence[str], count: int, seed: int) -> tuple[list[str], list[str]]:
    """Some videos drawn by their ids, and the others."""
    if not 0 < count < len(videos):
        raise AvnasError(f"--holdout={count}: there are {len(videos)} training videos to draw from")
    first = sorted(videos, key=lambda video: blake2b(f"{seed} {video}".encode()).digest())[:count]
    chosen = set(first)
    return [video for video in videos if video in chosen], [video for video in videos if video not in chosen]


def _read_lists(folder: Path) -> dict[str, list[str]]:
    """`train_list.txt`, `val_list.txt` and `test_list.txt`; only the second may be missing."""
    splits = {}
    for split in ("train", "val", "test"):
        path = folder / f"{split}_list.txt"
        if path.exists() or split != "val":
            splits[split] = [line.strip() for line in _text(path).splitlines() if line.strip()]
    return splits


def _read_csv(path: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    rows = list(csv.DictReader(_text(path).splitlines()))
    missing = [name for name in columns if rows and rows[0].get(name) is None]
    if missing or not rows:
        raise AvnasError(f"{path}: lacks {f'the column {missing[0]!r}' if missing else 'rows'}")
    return rows


def _read_json(path: Path, kind: type) -> Any:
    try:
        data = json.loads(_text(path))
    except ValueError as error:
        raise AvnasError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(data, kind):
        raise AvnasError(f"{path}: expected a JSON {'object' if kind is dict else 'array'}")
    return data


def _list_of(data: Mapping[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    if not isinstance(data.get(key), list):
        raise AvnasError(f"{path}: has no list {key!r}")
    found: list[dict[str, Any]] = data[key]
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise AvnasError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AvnasError(f"{path}: is not UTF-8: {error}") from error


class _PlainUnpickler(pickle.Unpickler):
    """Reads dicts, lists and strings; a pickle that names a class or a function is refused, as it could run code."""

    @override
    def find_class(self, module: str, name: str, /) -> NoReturn:
        raise pickle.UnpicklingError(f"it holds {module}.{name}, not words alone")


def _read_words(path: Path) -> dict[str, list[list[str]]]:
    try:
        with path.open("rb") as file:
            words = _PlainUnpickler(file, encoding="utf-8").load()
    except OSError as error:
        raise AvnasError(f"{path}: cannot be read: {error.strerror}; nor is there a video_corpus.csv") from error
    except (pickle.UnpicklingError, EOFError, UnicodeDecodeError, IndexError) as error:
        raise AvnasError(f"{path}: not a file of captions: {error}") from error
    if not isinstance(words, dict):
        raise AvnasError(f"{path}: not a file of captions: it holds a {type(words).__name__}")
    return words


def _stem(name: str) -> str:
    """A file name without its extension, if it has one of a video."""
    stem, dot, extension = name.rpartition(".")
    return stem if dot and extension.lower() in ("mp4", "mov", "avi", "m4v", "mpg", "3gp", "wmv", "mkv") else name
