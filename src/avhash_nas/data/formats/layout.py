"""The layout of this library: a group per video in HDF5, lists of splits, `dataset.yaml`."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import h5py
import yaml
from typing_extensions import override

from avhash_nas.data.formats.base import Contents, Format, Item
from avhash_nas.data.hdf5 import VECTORS, open_file, scan, survey
from avhash_nas.data.layout import ID_LABELS, Layout, read_layout
from avhash_nas.data.splits import Splits, read_splits
from avhash_nas.errors import AvnasError, DataError

_FILES = {"visual": "image.h5", "audio": "audio.h5"}


class PublishedLayout(Format):
    """The layout that all other commands read: `image.h5`, `audio.h5`, lists and `dataset.yaml`.

    Videos that no list names are left out.
    """

    @override
    def read(self, source: Path) -> Contents:
        layout = read_layout(source)
        splits = read_splits(layout)
        return Contents(splits.names, layout.database, splits.class_names, len(splits.videos), _items(layout, splits))

    @override
    def write(self, contents: Contents, out: Path) -> None:
        columns = {name: str(column) for column, name in enumerate(contents.classes)}
        lists: dict[str, list[str]] = {split: [] for split in contents.splits}
        frames = None
        with ExitStack() as opened:
            files: dict[str, h5py.File] = {}
            for item in contents.items:
                _check_id(item.id)
                for modality, vectors in item.features.items():
                    if modality not in files:
                        files[modality] = opened.enter_context(h5py.File(out / _FILES[modality], "w"))
                    files[modality].create_group(item.id)[VECTORS] = vectors
                    frames = len(vectors)
                line = ",".join([item.id, *(columns[label] for label in item.labels)])
                for split in item.splits:
                    lists[split].append(line)
        for split, lines in lists.items():
            (out / f"{split}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        description = {
            "files": {modality: name if modality in files else None for modality, name in _FILES.items()},
            "lists": {"val": None, **{split: f"{split}.txt" for split in lists}},
            "line": ID_LABELS,
            "label_base": 0,
            **({"classes": list(contents.classes)} if contents.classes else {}),
            "database": contents.database,
            "frames": frames,
        }
        text = yaml.safe_dump(description, sort_keys=False, allow_unicode=True)
        (out / "dataset.yaml").write_text(text, encoding="utf-8")


def _check_id(name: str) -> None:
    """Refuse what would stand for something else in a line of a list, or as the name of a group."""
    if name != name.strip() or set(name) & set(",\n\r") or any(part in ("", ".") for part in name.split("/")):
        raise AvnasError(
            f"video {name!r}: an id cannot hold commas, line breaks, outer spaces or empty parts between slashes"
        )


def _items(layout: Layout, splits: Splits) -> Iterator[Item]:
    """The listed videos with the vectors of both files, validated."""
    with ExitStack() as opened:
        streams = {}
        for modality, path in layout.modalities.items():
            file = opened.enter_context(open_file(path))
            streams[modality] = scan(file, splits.ids, survey(file, splits.ids, layout.frames))
        for video in splits.videos:
            features = {}
            for modality, stream in streams.items():
                read = next(stream)
                if read.array is None:
                    raise DataError([str(read.problem)])
                features[modality] = read.array
            labels = tuple(splits.class_names[label] for label in video.labels)
            yield Item(video.id, (video.split, *video.also_in), labels, features)
