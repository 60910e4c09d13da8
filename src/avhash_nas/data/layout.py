"""The layout of a dataset: ``dataset.yaml``, or the published defaults without it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from avhash_nas.data.event_files import EventFiles, parse_event_files
from avhash_nas.errors import DataError

ID_LABELS = "id,label..."
ID_FRAMES_LABELS = "id,frames,label..."
_FILES = {"visual": "image.h5", "audio": "audio.h5"}
_LISTS = {"train": "train.txt", "val": "val.txt", "test": "test.txt"}
MODALITIES = ("visual", "audio")
_OPTIONAL_FILES = ("text", "patches")
_KEYS = ("files", "lists", "line", "label_base", "classes", "database", "frames", "events", "captions")


@dataclass(frozen=True)
class Layout:
    """Paths of a dataset's files and the format of its lists. None means "infer".

    Args:
        root: The dataset's folder.
        files: The HDF5 file of each modality that the dataset has, ``visual``, ``audio`` or both, and where named,
            ``text`` (vectors of the captions) and ``patches`` (patch vectors of the frames).
        lists: The list of each split: ``train``, ``test``, mostly ``val``, and any further ones.
        line: Line format: ``id,label...`` or ``id,frames,label...``.
        label_base: The smallest possible label, 0 or 1.
        classes: Number of classes.
        class_names: Names of the classes.
        database: The split that queries search.
        frames: T, time steps of every video.
        events: Files that say what is heard and seen, and when; None if the dataset has none.
        captions: The file of captions; None without captions.
    """

    root: Path
    files: Mapping[str, Path]
    lists: Mapping[str, Path]
    line: str | None = None
    label_base: int | None = None
    classes: int | None = None
    class_names: tuple[str, ...] | None = None
    database: str = "train"
    frames: int | None = None
    events: EventFiles | None = None
    captions: Path | None = None

    @property
    def modalities(self) -> dict[str, Path]:
        """The files of frames and audio segments."""
        return {name: self.files[name] for name in MODALITIES if name in self.files}


def read_layout(root: str | Path) -> Layout:
    """Reads ``dataset.yaml`` of a dataset; without the file, uses the published names.

    Args:
        root: The dataset's folder.

    Raises:
        DataError: The folder or ``dataset.yaml`` cannot be read, or has invalid entries; all of them are reported.
    """
    layout, problems = parse_layout(root)
    if problems:
        raise DataError(problems)
    return layout


def parse_layout(root: str | Path) -> tuple[Layout, tuple[str, ...]]:
    """Like ``read_layout``, but returns the problems next to a layout in which defaults replace invalid entries."""
    root = Path(root)
    path = root / "dataset.yaml"
    entries = _Entries(path)
    try:
        names = {entry.name for entry in root.iterdir()}
        content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.name in names else None
    except OSError as error:
        entries.problems.append(f"{error.filename or root}: cannot be read: {error.strerror}")
        content = None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        entries.problems.append(f"{path}: is not YAML: {' '.join(str(error).split())}")
        content = None
    entries.load(content)
    classes, class_names = entries.classes()
    files = entries.paths("files", _FILES, MODALITIES, _OPTIONAL_FILES)
    lists = entries.paths("lists", _LISTS, ("val",))
    captions = entries.name("captions")
    layout = Layout(
        root=root,
        files={name: root / file for name, file in files.items()},
        lists={name: root / file for name, file in lists.items()},
        line=entries.choice("line", (ID_LABELS, ID_FRAMES_LABELS)),
        label_base=entries.choice("label_base", (0, 1)),
        classes=classes,
        class_names=class_names,
        database=entries.choice("database", tuple(lists)) or "train",
        frames=entries.count("frames"),
        events=entries.events(tuple(lists)),
        captions=None if captions is None else root / captions,
    )
    return layout, tuple(entries.problems)


def different_frames(layout: Layout, visual: int, audio: int) -> str:
    """Message for modalities whose numbers of time steps differ."""
    return (
        f"{layout.files['audio']}: videos have {audio} time steps, those of {layout.files['visual']} {visual};"
        " both must have the same number"
    )


@dataclass
class _Entries:
    """The entries of ``dataset.yaml``; each method validates one and records its problems."""

    path: Path
    content: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def load(self, content: object) -> None:
        if isinstance(content, dict):
            self.content = {str(key): value for key, value in content.items() if value is not None}
            for key in self.content:
                if key not in _KEYS:
                    self.problems.append(f"{self.path}: unknown entry {key!r}; known are {', '.join(_KEYS)}")
        elif content is not None:
            self.problems.append(f"{self.path}: holds {type(content).__name__}, not entries like 'label_base: 0'")

    def choice(self, key: str, allowed: tuple[Any, ...]) -> Any:
        value = self.content.get(key)
        if value is None or any(value == other and type(value) is type(other) for other in allowed):
            return value
        self.problems.append(f"{self.path}: {key}: {value!r} is not one of {', '.join(map(repr, allowed))}")
        return None

    def count(self, key: str) -> int | None:
        value = self.content.get(key)
        if value is None or (type(value) is int and value > 0):
            return value
        self.problems.append(f"{self.path}: {key}: {value!r} is not a positive whole number")
        return None

    def events(self, splits: tuple[str, ...]) -> EventFiles | None:
        if "events" not in self.content:
            return None
        return parse_event_files(self.content["events"], self.path, splits, self.problems)

    def classes(self) -> tuple[int | None, tuple[str, ...] | None]:
        value = self.content.get("classes")
        if not isinstance(value, list):
            return self.count("classes"), None
        names = tuple(map(str, value))
        if not names or len(set(names)) < len(names):
            self.problems.append(f"{self.path}: classes: names must be distinct and at least one")
            return None, None
        return len(names), names

    def name(self, key: str) -> str | None:
        value = self.content.get(key)
        if value is None or (isinstance(value, str) and value):
            return value
        self.problems.append(f"{self.path}: {key}: {value!r} is not a file name")
        return None

    def paths(
        self, key: str, defaults: dict[str, str], absent: tuple[str, ...], others: tuple[str, ...] | None = None
    ) -> dict[str, str]:
        """File names by entry: the defaults, of which those in `absent` can be null, and `others`; None is any."""
        value = self.content.get(key, {})
        if not isinstance(value, dict) or not all(isinstance(file, str | None) for file in value.values()):
            self.problems.append(f"{self.path}: {key}: expected a file name for each of {', '.join(defaults)}")
            return defaults
        known = None if others is None else (*defaults, *others)
        for name, file in value.items():
            if known is not None and name not in known:
                self.problems.append(f"{self.path}: {key}: unknown entry {name!r}; known are {', '.join(known)}")
            elif file is None and name not in absent:
                self.problems.append(f"{self.path}: {key}: {name} needs a file name; null is for {', '.join(absent)}")
        named = {**defaults, **{str(name): file for name, file in value.items() if known is None or name in known}}
        left = {name: file for name, file in named.items() if file is not None}
        if not set(defaults) & set(left):
            self.problems.append(f"{self.path}: {key}: one of {', '.join(defaults)} is needed")
            return defaults
        return left
