"""The `events` entry of dataset.yaml: which files say what is heard and seen, and when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LLP_CLASSES = (
    *("Speech", "Car", "Cheering", "Dog", "Cat", "Frying_(food)", "Basketball_bounce", "Fire_alarm", "Chainsaw"),
    *("Cello", "Banjo", "Singing", "Chicken_rooster", "Violin_fiddle", "Vacuum_cleaner", "Baby_laughter", "Accordion"),
    *("Lawn_mower", "Motorcycle", "Helicopter", "Acoustic_guitar", "Telephone_bell_ringing", "Baby_cry_infant_cry"),
    *("Blender", "Clapping"),
)
"""The 25 classes of LLP (Tian et al., ECCV 2020), in label order: the classes of a dataset that names none."""

MODALITIES = ("audio", "visual")
_KEYS = ("classes", "audio", "visual", "weak", "seconds", "key", "pseudo", "texts")
_EXAMPLE = "events: {audio: AVVP_eval_audio.csv, visual: AVVP_eval_visual.csv, weak: {train: AVVP_train.csv}}"


@dataclass(frozen=True)
class EventFiles:
    """Files of a dataset's events.

    Args:
        classes: Names of the C event classes, in label order. They need not be the classes of the split lists.
        truth: For `audio` and `visual`, the list of what is heard or seen, and when.
        weak: The list of weak labels of each split that has one; other splits take the union of their events.
        seconds: Length of a time step.
        key: Number of first characters of a file name that are the video's id; None is all of them.
        pseudo: For `audio` and `visual`, the folder of pseudo labels; empty if there are none.
        filtered: Whether pseudo labels were cut to the video's weak label. Those of val and test then tell a network
            part of the truth.
        texts: For `audio` and `visual`, the file of the classes' text vectors; empty if there are none.
    """

    classes: tuple[str, ...]
    truth: Mapping[str, Path]
    weak: Mapping[str, Path] = field(default_factory=dict)
    seconds: float = 1.0
    key: int | None = None
    pseudo: Mapping[str, Path] = field(default_factory=dict)
    filtered: bool = True
    texts: Mapping[str, Path] = field(default_factory=dict)


def parse_event_files(entry: object, yaml: Path, splits: Sequence[str], problems: list[str]) -> EventFiles | None:
    """Reads the entry; adds one message to `problems` for everything that is wrong, and returns None then.

    Args:
        entry: The value of `events` in dataset.yaml.
        yaml: Path of dataset.yaml; paths are relative to its folder.
        splits: Names of the splits.
        problems: Where messages go.
    """
    known = len(problems)
    if not isinstance(entry, dict):
        problems.append(f"{yaml}: events: expected entries such as {_EXAMPLE}")
        return None
    content: dict[str, Any] = {str(name): value for name, value in entry.items() if value is not None}
    for name in content:
        if name not in _KEYS:
            problems.append(f"{yaml}: events: unknown entry {name!r}; known are {', '.join(_KEYS)}")
    reader = _Reader(yaml, content, problems)
    pseudo = dict(content.get("pseudo") or {}) if isinstance(content.get("pseudo", {}), dict) else content["pseudo"]
    filtered = pseudo.pop("filtered", True) if isinstance(pseudo, dict) else True
    if not isinstance(filtered, bool):
        problems.append(f"{yaml}: events: pseudo: filtered: {filtered!r} is not true or false")
    files = EventFiles(
        classes=reader.classes(),
        truth={name: yaml.parent / str(content.get(name)) for name in MODALITIES},
        weak=reader.paths("weak", content.get("weak", {}), splits),
        seconds=reader.positive("seconds", (int, float), 1.0),
        key=reader.positive("key", (int,), None),
        pseudo=reader.both("pseudo", pseudo),
        filtered=filtered is not False,
        texts=reader.both("texts", content.get("texts", {})),
    )
    for name in MODALITIES:
        if not isinstance(content.get(name), str):
            problems.append(
                f"{yaml}: events: {name}: name the list of what is {'heard' if name == 'audio' else 'seen'}"
            )
    return files if len(problems) == known else None


@dataclass
class _Reader:
    """Validates entries and records problems."""

    yaml: Path
    content: Mapping[str, Any]
    problems: list[str]

    def classes(self) -> tuple[str, ...]:
        value = self.content.get("classes", list(LLP_CLASSES))
        where = f"{self.yaml}: events: classes"
        if isinstance(value, str):
            where = str(self.yaml.parent / value)
            try:
                value = (self.yaml.parent / value).read_text(encoding="utf-8-sig").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
                self.problems.append(f"{where}: cannot be read: {reason}")
                return ()
        if not isinstance(value, list):
            self.problems.append(f"{where}: expected a list of names, or a file with one name a line")
            return ()
        names = tuple(str(name).strip() for name in value if str(name).strip())
        if not names or len(set(names)) < len(names):
            self.problems.append(f"{where}: names must be distinct and at least one")
        return names

    def paths(self, key: str, value: object, allowed: Sequence[str]) -> dict[str, Path]:
        if not isinstance(value, dict) or not all(isinstance(file, str) for file in value.values()):
            self.problems.append(
                f"{self.yaml}: events: {key}: expected a name of a file for some of {', '.join(allowed)}"
            )
            return {}
        for name in value:
            if name not in allowed:
                self.problems.append(
                    f"{self.yaml}: events: {key}: unknown entry {name!r}; known are {', '.join(allowed)}"
                )
        return {str(name): self.yaml.parent / file for name, file in value.items()}

    def both(self, key: str, value: object) -> dict[str, Path]:
        """Paths for audio and visual, or none at all."""
        paths = self.paths(key, value, MODALITIES)
        for name in MODALITIES:
            if paths and name not in paths:
                self.problems.append(f"{self.yaml}: events: {key}: {name} is missing beside {next(iter(paths))}")
        return paths

    def positive(self, key: str, types: tuple[type, ...], default: Any) -> Any:
        value = self.content.get(key, default)
        if value is default or (type(value) in types and value > 0):
            return value
        self.problems.append(f"{self.yaml}: events: {key}: {value!r} is not a positive number")
        return default
