"""Other files that vectors in a feature file depend on: links, virtual datasets, and values in external files."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py


def is_self_contained(file: h5py.File, dataset: Any) -> bool:
    """Whether a dataset (a low-level `DatasetID`) that was opened through a file lies in it with all its values."""
    plist = dataset.get_create_plist()
    virtual = plist.get_layout() == h5py.h5d.VIRTUAL
    return not virtual and plist.get_external_count() == 0 and h5py.h5f.get_name(dataset) == h5py.h5f.get_name(file.id)


@dataclass
class Sources:
    """The files that a video's vectors come from besides the feature file.

    Attributes:
        files: The files, each once.
        missing: What HDF5 would read as zeros, or as no group at all, because it is not there.
    """

    files: dict[Path, None] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    _seen: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def of(cls, file: h5py.File, name: str) -> "Sources":
        """Follows every link and every virtual source from a name in a file."""
        sources = cls()
        with ExitStack() as opened:
            sources._follow(file, name, opened)
        return sources

    def _follow(self, file: h5py.File, name: str, opened: ExitStack) -> None:
        if (place := (file.filename, name)) in self._seen:
            return
        self._seen.add(place)
        item = self._resolve(file, file, name, opened)
        if isinstance(item, h5py.Dataset):
            self._values(item, opened)

    def _resolve(self, file: h5py.File, start: h5py.Group, name: str, opened: ExitStack) -> Any:
        """The object that a path leads to from a group, through any links; None if it leads nowhere."""
        item: Any = file if name.startswith("/") else start
        for part in filter(None, name.split("/")):
            link = item.get(part, getlink=True) if isinstance(item, h5py.Group) else None
            if isinstance(link, h5py.SoftLink):
                item = self._resolve(item.file, item, link.path, opened)
            elif isinstance(link, h5py.ExternalLink):
                other = self._open(link.filename, item.file.filename, f"the file {link.filename} of a link", opened)
                item = None if other is None else self._resolve(other, other, link.path, opened)
            elif link is not None:
                item = item[part]
            if link is None or item is None:
                return None
        return item

    def _values(self, dataset: h5py.Dataset, opened: ExitStack) -> None:
        of = dataset.file.filename
        if dataset.is_virtual:
            for source in dataset.virtual_sources():
                label = f"the source {source.file_name} of a virtual dataset"
                other = dataset.file if source.file_name == "." else self._open(source.file_name, of, label, opened)
                if other is None:
                    continue
                if self._resolve(other, other, source.dset_name, opened) is None:
                    self.missing.append(f"the dataset {source.dset_name} in {label}")
                else:
                    self._follow(other, source.dset_name, opened)
        for name, offset, size in dataset.external or ():
            self._external(name, int(offset), int(size), Path(of))

    def _external(self, name: str, offset: int, size: int, of: Path) -> None:
        prefix = os.environ.get("HDF5_EXTFILE_PREFIX", "").replace("${ORIGIN}", str(of.parent))
        path = Path(prefix) / name
        label = f"the external file {name} of its values"
        if not path.is_file():
            self.missing.append(label)
            return
        self.files[path] = None
        if size != h5py.h5f.UNLIMITED and path.stat().st_size < offset + size:
            self.missing.append(f"the end of {label}")

    def _open(self, name: str, of: str, label: str, opened: ExitStack) -> h5py.File | None:
        """Another HDF5 file that a file names; found where HDF5 looks for it."""
        for path in _candidates(name, Path(of)):
            if path.is_file():
                self.files[path] = None
                try:
                    return opened.enter_context(h5py.File(path, "r"))
                except OSError:
                    break
        self.missing.append(label)
        return None


def _candidates(name: str, of: Path) -> Iterator[Path]:
    """Places in which HDF5 looks for a file that another one names, in its order."""
    path = Path(name)
    if path.is_absolute():
        yield path
        path = Path(path.name)
    for variable in ("HDF5_EXT_PREFIX", "HDF5_VDS_PREFIX"):
        for prefix in filter(None, os.environ.get(variable, "").split(":")):
            yield Path(prefix.replace("${ORIGIN}", str(of.parent))) / path
    yield of.parent / path
    yield path
    yield of.resolve().parent / path
