"""The folder of a run: its contents, and whether a command may write to it."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from avhash_nas.data import HashingData
from avhash_nas.distributed import of_first_rank, rank
from avhash_nas.errors import AvnasError
from avhash_nas.files import read_json, write_json, write_whole
from avhash_nas.legacy import renamed

SPEED_OPTIONS = ("data.workers", "data.cache_dir", "data.pin_memory", "scoring.memory")
"""Options of a run that may differ when it resumes: with any of them the result has the same bits."""


class RunFolder:
    """`config.yaml`, `data.json`, `metrics.json`, `architecture.json`, `model/`, `codes/`, and a folder for each stage.

    A run is identified by its options and its data: started again with the same ones it resumes, and a finished run is
    never changed. Options that affect speed but not the result (`SPEED_OPTIONS`) may differ. Runs of earlier versions
    do not know their data.

    Args:
        path: The folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.data = self.path / "data.json"
        self.metrics = self.path / "metrics.json"
        self.architecture = self.path / "architecture.json"
        self.model = self.path / "model"
        self.codes = self.path / "codes"
        self._options: dict[str, Any] | None = None
        self._overwrite = False

    def stage(self, name: str) -> Path:
        """Folder of a stage."""
        return self.path / name

    @property
    def finished(self) -> bool:
        """Whether the run has finished all its stages and is not to be overwritten."""
        return self.metrics.exists() and not self._overwrite

    def open(self, options: Mapping[str, Any], *, overwrite: bool) -> None:
        """Check that a run may start or resume here; nothing is written or removed before `start`.

        Args:
            options: All options that determine the result, as plain values.
            overwrite: Remove the folder's contents and start again.

        Raises:
            AvnasError: The folder holds a run with other options, or is not a run folder.
        """
        if rank() != 0:
            self._overwrite = overwrite  # the first rank removes what is there
            return
        if self.path.exists() and not self.path.is_dir():
            raise AvnasError(f"{self.path}: --out must name a folder, this is a file")
        here = self.config.exists()
        if not here and self.path.is_dir() and any(entry != self.data for entry in self.path.iterdir()):
            raise AvnasError(f"{self.path}: is not empty and holds no run; give another --out")
        if here and not overwrite:
            self._compare(self.read_options(), options)
        self._options, self._overwrite = dict(options), overwrite and here

    def check_data(self, data: HashingData) -> None:
        """Check that a run that started here has seen the same data; only the first rank does.

        Args:
            data: The dataset, which need not be open.

        Raises:
            AvnasError: It has seen other data.
            DataError: The dataset cannot be used.
        """
        if rank() != 0 or self._overwrite:
            return
        if changed := self.data_changes(data):
            raise AvnasError(
                f"{self.path}: this run saw other data: now {changed} in {data.root}. Restore the data, give another "
                "--out, or start anew (avnas fit --overwrite); `avnas test` scores a finished run on the data of now"
            )

    def data_changes(self, data: HashingData) -> str:
        """What has changed in the data since the run started, in words; empty if nothing has, or if it is not known.

        Args:
            data: The dataset, which need not be open.

        Raises:
            DataError: The dataset cannot be used.
        """
        return data.changes_since(read_json(self.data)) if self.data.exists() else ""

    def start(self, data: HashingData | None = None) -> None:
        """Start or resume, once options and data are checked, so that a typo does not remove a finished run.

        Only the first rank changes the folder; ranks that have been started already wait for it.

        Args:
            data: The dataset, whose fingerprint a new run stores.

        Raises:
            AvnasError: The folder is not writable.
        """
        if rank() == 0:
            self._write(data)
        self._overwrite = False
        of_first_rank(None)

    def _write(self, data: HashingData | None) -> None:
        new = self._options is not None and (self._overwrite or not self.config.exists())
        fingerprint = data.fingerprint if new and data is not None else None
        if self._overwrite:
            try:
                shutil.rmtree(self.path)
            except OSError as error:
                raise AvnasError(f"{self.path}: cannot be overwritten: {error.strerror}") from error
        if new:
            if fingerprint is not None:
                write_json(self.data, fingerprint)
            text = yaml.safe_dump(self._options, sort_keys=False)
            write_whole(self.config, lambda partial: partial.write_text(text, encoding="utf-8"))

    def read_options(self) -> dict[str, Any]:
        """The options of the run.

        Raises:
            AvnasError: This is not a run folder.
        """
        if not self.config.exists():
            raise AvnasError(f"{self.path}: no run here (config.yaml is missing)")
        options: dict[str, Any] = renamed(yaml.safe_load(self.config.read_text(encoding="utf-8")))
        return options

    def read_metrics(self) -> dict[str, Any]:
        """Metrics of the finished run.

        Raises:
            AvnasError: The run is not finished.
        """
        return read_json(self.metrics)

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Finish the run."""
        write_json(self.metrics, metrics)

    def _compare(self, stored: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        if changed := changes(stored, given):
            raise AvnasError(
                f"{self.path}: holds a run with other options ({changed}): "
                "give another --out, or --overwrite to start anew",
            )


def changes(stored: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """Differences between the options of a run and others, the first three by name; empty if none.

    `SPEED_OPTIONS` do not count.
    """
    old, new = flatten(stored), flatten(given)
    changed = [
        f"{name} was {old.get(name, 'not set')}, now {new.get(name, 'not set')}"
        for name in sorted({*old, *new} - {*SPEED_OPTIONS})
        if old.get(name) != new.get(name)
    ]
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return "; ".join(changed[:3]) + more


def flatten(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested options by dotted name.

    >>> flatten({"search": {"epochs": 3}, "bits": 64})
    {'search.epochs': 3, 'bits': 64}
    """
    flat: dict[str, Any] = {}
    for name, value in options.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat
