"""WebDataset shards: tar files with a few files for each video."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import override

from avhash_nas.data.formats.base import Contents, Format, Item
from avhash_nas.errors import AvnasError, MissingExtraError

_INDEX = "dataset.json"


class WebDataset(Format):
    """Shards `train-000000.tar` of each split, with `KEY.json`, `KEY.visual.npy` and `KEY.audio.npy` for a video.

    The JSON holds `id`, `labels` and, where a video is in several splits, `splits`. Without it the key is the id, and
    `KEY.cls` may hold a label. `dataset.json` beside the shards names classes and database. Pickles in shards are not
    read.

    Args:
        visual: Extension of the frame vectors.
        audio: Extension of the segment vectors.
        videos: Videos in a shard that is written.
        database: The split that queries search, where `dataset.json` is missing.
    """

    def __init__(
        self, visual: str = "visual.npy", audio: str = "audio.npy", videos: int = 10_000, database: str = "train"
    ) -> None:
        self.extensions = {"visual": visual, "audio": audio}
        self.videos, self.database = videos, database
        for extension in self.extensions.values():
            if not extension.endswith("npy"):
                raise AvnasError(f"{extension!r}: vectors are read from .npy files")
        if videos < 1:
            raise AvnasError(f"videos={videos} must be at least 1")

    @override
    def read(self, source: Path) -> Contents:
        paths = sorted(source.glob("*.tar")) if source.is_dir() else [source]
        if not paths:
            raise AvnasError(f"{source}: holds no .tar file")
        index = paths[0].parent / _INDEX
        stored = json.loads(index.read_text(encoding="utf-8")) if index.exists() else {}
        rows = list(self._items(paths, features=False))
        splits = tuple(stored.get("splits") or dict.fromkeys(split for row in rows for split in row.splits))
        classes = tuple(stored.get("classes") or sorted({label for row in rows for label in row.labels}))
        database = stored.get("database", self.database)
        if database not in splits:
            raise AvnasError(f"{source}: database={database!r} is not a split; there are {', '.join(splits)}")
        return Contents(splits, database, classes, len(rows), self._items(paths, features=True))

    @override
    def write(self, contents: Contents, out: Path) -> None:
        webdataset = _webdataset()
        writers: dict[str, Any] = {}
        try:
            for number, item in enumerate(contents.items):
                split = item.splits[0]
                if split not in writers:
                    pattern = str(out / f"{split}-%06d.tar").replace("%", "%%").replace("%%06d", "%06d")
                    writers[split] = webdataset.ShardWriter(pattern, maxcount=self.videos, maxsize=1e12, verbose=0)
                described = {"id": item.id, "splits": item.splits, "labels": item.labels}
                arrays = {self.extensions[modality]: _npy(array) for modality, array in item.features.items()}
                text = json.dumps(described, ensure_ascii=False).encode()
                writers[split].write({"__key__": f"{number:09d}", "json": text, **arrays})
        finally:
            for writer in writers.values():
                writer.close()
        named = {"splits": contents.splits, "classes": contents.classes, "database": contents.database}
        (out / _INDEX).write_text(json.dumps(named, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def _items(self, paths: list[Path], *, features: bool) -> Iterator[Item]:
        for path in paths:
            for sample in _samples(path):
                yield self._item(path, sample, features=features)

    def _item(self, path: Path, sample: dict[str, Any], *, features: bool) -> Item:
        key = sample["__key__"]
        try:
            described = json.loads(sample.get("json", b"{}"))
            labels = described.get("labels", [sample["cls"].decode().strip()] if "cls" in sample else [])
            arrays = {
                modality: np.load(io.BytesIO(sample[extension]), allow_pickle=False)
                for modality, extension in self.extensions.items()
                if features and extension in sample
            }
        except (ValueError, EOFError, AttributeError) as error:
            raise AvnasError(f"{path}: {key}: cannot be read: {' '.join(str(error).split())}") from error
        if features and not arrays:
            inside = ", ".join(name for name in sample if not name.startswith("__"))
            raise AvnasError(f"{path}: {key}: holds {inside}, and no {self.extensions['visual']}; see --from.visual")
        splits = described.get("splits", [path.stem.rpartition("-")[0] or path.stem])
        return Item(str(described.get("id", key)), tuple(splits), tuple(map(str, labels)), arrays)


def _samples(path: Path) -> Iterator[dict[str, Any]]:
    """The videos of a shard as bytes by extension. The library's own opening by URL would run what a name can say."""
    from tarfile import TarError

    webdataset = _webdataset()
    try:
        with path.open("rb") as stream:
            files = ({**each, "__url__": str(path)} for each in webdataset.tariterators.tar_file_iterator(stream))
            yield from webdataset.tariterators.group_by_keys(files)
    except (OSError, TarError, ValueError) as error:
        raise AvnasError(f"{path}: not a WebDataset shard: {' '.join(str(error).split())}") from error


def _npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _webdataset() -> Any:
    try:
        import webdataset
    except ImportError:
        raise MissingExtraError("webdataset", "convert", "WebDataset shards") from None
    return webdataset
