"""What ``dataset.yaml`` says of a dataset, or what is taken without it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from avhash_nas.errors import DataError

ID_LABELS = "id,label..."
ID_FRAMES_LABELS = "id,frames,label..."
_FILES = {"visual": "image.h5", "audio": "audio.h5"}
_LISTS = {"train": "train.txt", "val": "val.txt", "test": "test.txt"}
_KEYS = ("files", "lists", "line", "label_base", "classes", "database", "frames")


@dataclass(frozen=True)
class Layout:
    """Where a dataset's parts lie and how its lists are written. None stands for "infer it".

    Args:
        root: The dataset's folder.
        files: The HDF5 file of each modality: ``visual`` and ``audio``.
        lists: The list of each split: ``train``, ``val``, ``test`` and any further ones.
        line: Line format: ``id,label...`` or ``id,frames,label...``.
        label_base: The first class's label in the lists, 0 or 1.
        classes: Number of classes.
        class_names: Their names, or None.
        database: The split that is searched.
        frames: T, time steps of every video.
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


def read_layout(root: str | Path) -> Layout:
    """Reads ``dataset.yaml`` of a dataset, or takes the published names without it.

    Args:
        root: The dataset's folder.

    Raises:
        DataError: The folder or ``dataset.yaml`` cannot be read, or has entries that make no sense: all of them.
    """
    layout, problems = parse_layout(root)
    if problems:
        raise DataError(problems)
    return layout


def parse_layout(root: str | Path) -> tuple[Layout, tuple[str, ...]]:
    """As ``read_layout``, but returns the problems beside a layout in which defaults replace the bad entries.

    Args:
        root: The dataset's folder.
    """
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
    entries.take(content)
    count, names_of_classes = entries.classes()
    files = entries.paths("files", _FILES, more=False)
    lists = entries.paths("lists", _LISTS, more=True)
    layout = Layout(
        root=root,
        files={name: root / file for name, file in files.items()},
        lists={name: root / file for name, file in lists.items()},
        line=entries.choice("line", (ID_LABELS, ID_FRAMES_LABELS)),
        label_base=entries.choice("label_base", (0, 1)),
        classes=count,
        class_names=names_of_classes,
        database=entries.choice("database", tuple(lists)) or "train",
        frames=entries.count("frames"),
    )
    return layout, tuple(entries.problems)


def different_frames(layout: Layout, visual: int, audio: int) -> str:
    """The problem that the two modalities differ in T.

    Args:
        layout: The dataset.
        visual: T of the visual file.
        audio: T of the audio file.
    """
    return (
        f"{layout.files['audio']}: videos have {audio} time steps, those of {layout.files['visual']} {visual};"
        " both must have the same number"
    )


@dataclass
class _Entries:
    """The entries of ``dataset.yaml``; each method checks one and notes what is wrong with it."""

    path: Path
    content: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def take(self, content: object) -> None:
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

    def classes(self) -> tuple[int | None, tuple[str, ...] | None]:
        value = self.content.get("classes")
        if not isinstance(value, list):
            return self.count("classes"), None
        names = tuple(map(str, value))
        if not names or len(set(names)) < len(names):
            self.problems.append(f"{self.path}: classes: names must be distinct and at least one")
            return None, None
        return len(names), names

    def paths(self, key: str, defaults: dict[str, str], *, more: bool) -> dict[str, str]:
        value = self.content.get(key, {})
        if not isinstance(value, dict) or not all(isinstance(file, str) for file in value.values()):
            self.problems.append(f"{self.path}: {key}: expected a file name for each of {', '.join(defaults)}")
            return defaults
        for name in value:
            if not more and name not in defaults:
                self.problems.append(f"{self.path}: {key}: unknown entry {name!r}; known are {', '.join(defaults)}")
        return {**defaults, **{str(name): file for name, file in value.items() if more or name in defaults}}
