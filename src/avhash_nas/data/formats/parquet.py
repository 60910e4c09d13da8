"""Parquet files with a row for each video."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from avhash_nas.data.formats.base import Contents, Format, Item
from avhash_nas.errors import AvnasError, MissingExtraError

_META = b"avhash_nas"
_ROWS = 256  # of a row group


class Parquet(Format):
    """Parquet with the columns `id`, `split`, `labels`, `visual` and `audio`, of which `audio` may be missing.

    `split` and `labels` are a text or a list of texts. Vectors are lists of T lists of dim numbers. Without a column of
    splits, a file belongs to the split that its name begins with, as in `train-00000-of-00004.parquet`.

    Args:
        id: Column of the ids.
        split: Column of the splits.
        labels: Column of the labels: texts or whole numbers.
        visual: Column of the frame vectors.
        audio: Column of the segment vectors.
        database: The split that queries search, where the files do not say.
    """

    def __init__(
        self,
        id: str = "id",  # noqa: A002  # the column's own name
        split: str = "split",
        labels: str = "labels",
        visual: str = "visual",
        audio: str = "audio",
        database: str = "train",
    ) -> None:
        self.id, self.split, self.labels, self.visual, self.audio = id, split, labels, visual, audio
        self.database = database

    @override
    def read(self, source: Path) -> Contents:
        paths = sorted(source.glob("*.parquet")) if source.is_dir() else [source]
        if not paths:
            raise AvnasError(f"{source}: holds no .parquet file")
        rows = [row for path in paths for row in self._lists(path)]
        splits = tuple(dict.fromkeys(split for each, _ in rows for split in each))
        stored = _stored(paths[0])
        classes = tuple(stored.get("classes") or sorted({label for _, labels in rows for label in labels}))
        database = stored.get("database", self.database)
        if database not in splits:
            raise AvnasError(f"{source}: database={database!r} is not a split; there are {', '.join(splits)}")
        return Contents(tuple(stored.get("splits") or splits), database, classes, len(rows), self._items(paths))

    @override
    def write(self, contents: Contents, out: Path) -> None:
        arrow, parquet = _pyarrow()
        writer, group = None, []
        named = {"classes": contents.classes, "database": contents.database, "splits": contents.splits}
        try:
            for number, item in enumerate(contents.items, 1):
                group.append(item)
                if writer is None:
                    schema = self._schema(arrow, item).with_metadata({_META: json.dumps(named).encode()})
                    writer = parquet.ParquetWriter(out / "videos.parquet", schema)
                if len(group) == _ROWS or number == contents.count:
                    writer.write_table(self._table(arrow, group, schema))
                    group = []
        finally:
            if writer is not None:
                writer.close()

    def _schema(self, arrow: Any, item: Item) -> Any:
        texts = arrow.list_(arrow.string())
        columns = [(self.id, arrow.string()), (self.split, texts), (self.labels, texts)]
        for modality, vectors in item.features.items():
            steps, width = vectors.shape
            values = arrow.list_(arrow.from_numpy_dtype(vectors.dtype), width)
            columns.append((getattr(self, modality), arrow.list_(values, steps)))
        return arrow.schema(columns)

    def _table(self, arrow: Any, items: list[Item], schema: Any) -> Any:
        columns = [
            arrow.array([item.id for item in items]),
            *(arrow.array([list(row) for row in rows], schema.field(1).type) for rows in _texts(items)),
        ]
        for field, modality in zip(list(schema)[3:], items[0].features, strict=True):
            values = arrow.array(np.concatenate([item.features[modality].ravel() for item in items]))
            width, steps = field.type.value_type.list_size, field.type.list_size
            steps_of = arrow.FixedSizeListArray.from_arrays(values, width)
            columns.append(arrow.FixedSizeListArray.from_arrays(steps_of, steps))
        return arrow.Table.from_arrays(columns, schema=schema)

    def _lists(self, path: Path) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
        """Splits and labels of each row."""
        file = _open(path)
        wanted = [name for name in (self.split, self.labels) if name in file.schema_arrow.names]
        for batch in file.iter_batches(columns=wanted) if wanted else ():
            for row in batch.to_pylist():
                yield self._split(path, row), _names(row.get(self.labels))
        if not wanted:
            yield from [(self._split(path, {}), ())] * file.metadata.num_rows

    def _split(self, path: Path, row: dict[str, Any]) -> tuple[str, ...]:
        return _names(row[self.split]) if self.split in row else (path.stem.split("-")[0],)

    def _items(self, paths: list[Path]) -> Iterator[Item]:
        for path in paths:
            file = _open(path)
            columns = {each: getattr(self, each) for each in ("visual", "audio")}
            inside = {each: name for each, name in columns.items() if name in file.schema_arrow.names}
            if not inside or self.id not in file.schema_arrow.names:
                names = ", ".join(file.schema_arrow.names)
                raise AvnasError(
                    f"{path}: has the columns {names}; name them by --from.id, --from.visual, --from.audio"
                )
            for batch in file.iter_batches(batch_size=_ROWS):
                lists = batch.select([name for name in (self.split, self.labels) if name in batch.schema.names])
                texts = lists.to_pylist() if lists.num_columns else [{}] * batch.num_rows
                for number, row in enumerate(texts):
                    name = str(batch.column(self.id)[number].as_py())
                    features = {each: _vectors(path, name, batch.column(inside[each])[number]) for each in inside}
                    yield Item(name, self._split(path, row), _names(row.get(self.labels)), features)


def _vectors(path: Path, name: str, cell: Any) -> NDArray[Any]:
    """A cell of lists as (T, dim)."""
    rows = cell.values
    if rows is None or not hasattr(rows, "flatten") or len(rows) == 0:
        raise AvnasError(f"{path}: video {name}: its vectors are empty or no lists of lists")
    flat = rows.flatten()
    if len(flat) % len(rows):
        raise AvnasError(f"{path}: video {name}: its time steps differ in width")
    return np.asarray(flat.to_numpy(zero_copy_only=False)).reshape(len(rows), -1)


def _texts(items: list[Item]) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    return [item.splits for item in items], [item.labels for item in items]


def _names(cell: Any) -> tuple[str, ...]:
    values = cell if isinstance(cell, list) else [] if cell is None else [cell]
    return tuple(map(str, values))


def _stored(path: Path) -> dict[str, Any]:
    metadata = _open(path).schema_arrow.metadata or {}
    stored: dict[str, Any] = json.loads(metadata.get(_META, b"{}"))
    return stored


def _open(path: Path) -> Any:
    arrow, parquet = _pyarrow()
    try:
        return parquet.ParquetFile(path)
    except (OSError, arrow.ArrowInvalid) as error:
        raise AvnasError(f"{path}: not a Parquet file: {' '.join(str(error).split())}") from error


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError("pyarrow", "convert", "Parquet") from None
    return pyarrow, pyarrow.parquet
