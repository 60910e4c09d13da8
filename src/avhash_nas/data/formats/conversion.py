"""Conversion of a dataset from one format to another."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import track

from avhash_nas.data.formats.base import Contents, Format, Item
from avhash_nas.errors import AvnasError

_WRITTEN = ("dataset.yaml", "database.txt", "videos.parquet", "dataset.json")
"""Files of which every format writes one."""


def convert(
    source: str | Path, reader: Format, out: str | Path, writer: Format, *, overwrite: bool = False
) -> Contents:
    """Converts a dataset video by video, so that it need not fit into memory.

    Args:
        source: Folder or file of the dataset.
        reader: Its format.
        out: Folder to write; appears whole, or not at all.
        writer: The format to write.
        overwrite: Replace the folder if it is there.

    Returns:
        What was written, without its videos.

    Raises:
        AvnasError: The dataset cannot be read, its videos differ in shape, or the folder cannot be written.
    """
    source, out = Path(source), Path(out)
    if out.exists() and not overwrite:
        raise AvnasError(f"{out}: exists; name another folder, or --overwrite to replace it")
    if out.exists() and not any((out / name).is_file() for name in _WRITTEN):
        raise AvnasError(f"{out}: is no dataset that was converted, so it is not replaced; name another folder")
    if out.resolve() == source.resolve() or out.resolve() in source.resolve().parents:
        raise AvnasError(f"{out}: would replace what is read; name another folder")
    if not source.exists():
        raise AvnasError(f"{source}: no such file or folder")
    contents = reader.read(source)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
            temporary = Path(folder) / out.name
            temporary.mkdir()
            writer.write(replace(contents, items=_checked(contents, str(source))), temporary)
            if out.exists():
                shutil.rmtree(out)
            temporary.replace(out)
    except OSError as error:
        raise AvnasError(f"{error.filename or out}: cannot be written: {error.strerror or error}") from error
    return replace(contents, items=iter(()))


def _checked(contents: Contents, source: str) -> Iterator[Item]:
    """The videos, all of one shape, with progress."""
    console = Console(stderr=True)
    items = track(
        contents.items, "Converting", contents.count, console=console, transient=True, disable=not console.is_terminal
    )
    first: Item | None = None
    for item in items:
        first = first or item
        if set(item.features) != set(first.features):
            raise AvnasError(f"{source}: video {item.id} has {' and '.join(item.features)}, unlike {first.id}")
        if len({len(vectors) for vectors in item.features.values()}) > 1:
            raise AvnasError(f"{source}: video {item.id}: its modalities differ in time steps; give --from.frames")
        for modality, vectors in item.features.items():
            expected = first.features[modality].shape
            if vectors.shape != expected:
                hint = "; --from.frames=25 takes as many from each" if vectors.shape[1:] == expected[1:] else ""
                raise AvnasError(
                    f"{source}: video {item.id}: {modality} vectors have shape {vectors.shape}, "
                    f"those of {first.id} {expected}{hint}"
                )
        yield item
    if first is None:
        raise AvnasError(f"{source}: holds no video")
