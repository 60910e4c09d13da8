"""Label sets: which clips have which labels, and the folder of each set in the published layout."""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from avhash_nas.data.captions import CAPTIONS_FILE, write_captions
from avhash_nas.files import write_whole
from wesnoth_data.captions import Translations, captions
from wesnoth_data.clip import SECONDS, STEPS, Clip
from wesnoth_data.events import CLASSES, Truth
from wesnoth_data.plan import EXCHANGES, gesture_of, kind_of
from wesnoth_data.splits import SHARES

KINDS = ("melee_hit", "melee_miss", "ranged", "defend", "die", "idle", "move", "heal")
_LEAST = 10
"""A race needs so many clips in each split to be a class."""


@dataclass(frozen=True)
class LabelSet:
    """Labels of some of the clips.

    Attributes:
        name: Of its folder.
        classes: Names of the classes.
        labels: Clip id -> numbers of its classes, at least one.
    """

    name: str
    classes: tuple[str, ...]
    labels: dict[str, list[int]]


def label_sets(clips: Sequence[Clip], splits: Mapping[str, str], truth: Mapping[str, Truth]) -> list[LabelSet]:
    """All label sets: exchange, kind, outcome, race, events.

    Args:
        clips: All clips.
        splits: Clip id -> split.
        truth: Clip id -> what is seen and heard.
    """
    singles = [clip for clip in clips if len(clip.parts) == 1]
    orders = {clip.id: "-".join(map(gesture_of, clip.parts)) for clip in clips if len(clip.parts) == 2}
    attacks = {clip.id: clip.parts[0].outcome for clip in singles if clip.parts[0].attack and clip.parts[0].outcome}
    races = {clip.id: clip.unit.race for clip in singles}
    events = {
        key: sorted({CLASSES.index(event.label) for event in (*of.visual, *of.audio)}) for key, of in truth.items()
    }
    sets = [
        _one_label("exchange", tuple("-".join(pair) for pair in EXCHANGES), orders),
        _one_label("kind", KINDS, {clip.id: kind_of(clip.parts[0]) for clip in singles}),
        _one_label("outcome", ("hit", "miss"), attacks),
        _one_label("race", _frequent(races, splits), races),
        LabelSet("events", CLASSES, events),
    ]
    return [chosen for chosen in sets if chosen.labels]


def _one_label(name: str, classes: tuple[str, ...], of: Mapping[str, str]) -> LabelSet:
    return LabelSet(name, classes, {key: [classes.index(label)] for key, label in of.items() if label in classes})


def _frequent(of: Mapping[str, str], splits: Mapping[str, str]) -> tuple[str, ...]:
    """The values that enough clips of every split have."""
    counts = Counter((value, splits[key]) for key, value in of.items())
    return tuple(sorted(v for v in set(of.values()) if all(counts[v, split] >= _LEAST for split in SHARES)))


def write_label_set(
    out: Path,
    chosen: LabelSet,
    clips: Sequence[Clip],
    splits: Mapping[str, str],
    truth: Mapping[str, Truth],
    translations: Translations,
) -> None:
    """Writes the folder of a label set; features are those of the folder above.

    Args:
        out: Folder of all sets.
        chosen: The set.
        clips: All clips, in order.
        splits: Clip id -> split.
        truth: Clip id -> what is seen and heard.
        translations: For captions.
    """
    folder = out / chosen.name
    used = [clip for clip in clips if clip.id in chosen.labels]
    for split in SHARES:
        lines = [
            ",".join([clip.id, *map(str, chosen.labels[clip.id])]) + "\n" for clip in used if splits[clip.id] == split
        ]
        _write(folder / f"{split}.txt", lines)
    write_captions(folder / CAPTIONS_FILE, (caption for clip in used for caption in captions(clip, translations)))
    for name in ("audio", "visual"):
        rows = (
            f"{clip.id}\t{event.onset:.2f}\t{event.offset:.2f}\t{event.label}\n"
            for clip in used
            for event in getattr(truth[clip.id], name)
        )
        _write(folder / f"{name}_events.csv", ["filename\tonset\toffset\tevent_labels\n", *rows])
    _write(folder / "dataset.yaml", [yaml.safe_dump(_description(chosen), sort_keys=False, allow_unicode=True)])


def _description(chosen: LabelSet) -> dict[str, object]:
    return {
        "files": {"visual": "../image.h5", "audio": "../audio.h5"},
        "lists": {split: f"{split}.txt" for split in SHARES},
        "line": "id,label...",
        "label_base": 0,
        "classes": list(chosen.classes),
        "database": "train",
        "frames": STEPS,
        "captions": CAPTIONS_FILE,
        "events": {
            "classes": list(CLASSES),
            "audio": "audio_events.csv",
            "visual": "visual_events.csv",
            "seconds": SECONDS / STEPS,
        },
    }


def write_table(path: Path, clips: Sequence[Clip], splits: Mapping[str, str], lines: Mapping[str, str]) -> None:
    """One row for each clip: what it is made of."""
    rows = [_row(clip) | {"split": splits[clip.id], "line": lines[clip.unit.id]} for clip in clips]

    def write(partial: Path) -> None:
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)

    write_whole(path, write)


def _row(clip: Clip) -> dict[str, str]:
    parts = clip.parts
    return {
        "clip": clip.id,
        "unit": clip.unit.id,
        "race": clip.unit.race,
        "actions": ";".join(part.kind for part in parts),
        "weapons": ";".join(part.attack.name if part.attack else "" for part in parts),
        "outcomes": ";".join(part.outcome for part in parts),
        "starts": ";".join(f"{part.begin:.2f}" for part in parts),
        "sounds": ";".join(f"{at:.2f} {name}" for at, name in clip.cues),
        "facing": clip.direction,
        "ground": clip.ground,
        "team": clip.team,
    }


def _write(path: Path, lines: Iterable[str]) -> None:
    write_whole(path, lambda partial: partial.write_text("".join(lines), encoding="utf-8"))
