"""Architectures: one candidate for every cell, the result of a search."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from avhash_nas.errors import AvnasError
from avhash_nas.files import read_json
from avhash_nas.space.cell import reading_order


class Architecture(Mapping[str, str]):
    """One candidate for every cell: immutable, hashable, comparable, and serializable to JSON.

    Args:
        choices: Name of the chosen candidate by cell name, in any order.

    >>> architecture = Architecture({"visual.M1": "ffn", "T": "self_ssm"})
    >>> architecture["T"]
    'self_ssm'
    >>> architecture
    Architecture(visual: M1=ffn | T=self_ssm)
    >>> Architecture.from_dict(architecture.to_dict()) == architecture
    True
    """

    __slots__ = ("_choices",)

    def __init__(self, choices: Mapping[str, str]) -> None:
        for cell, candidate in choices.items():
            if not isinstance(candidate, str):
                raise AvnasError(f"architecture: cell {cell} needs the name of one candidate, not {candidate!r}")
        self._choices = {cell: choices[cell] for cell in sorted(choices, key=reading_order)}

    def __getitem__(self, cell: str) -> str:
        return self._choices[cell]

    def __iter__(self) -> Iterator[str]:
        return iter(self._choices)

    def __len__(self) -> int:
        return len(self._choices)

    def __hash__(self) -> int:
        return hash(tuple(self._choices.items()))

    def __repr__(self) -> str:
        groups: dict[str, list[str]] = {}
        for cell, candidate in self.items():
            group, _, leaf = cell.rpartition(".")
            groups.setdefault(group, []).append(f"{leaf}={candidate}")
        parts = [f"{group}: {' '.join(cells)}" if group else " ".join(cells) for group, cells in groups.items()]
        return f"Architecture({' | '.join(parts)})"

    def to_dict(self) -> dict[str, Any]:
        """The content of a JSON file: `{"cells": {cell: candidate}}`."""
        return {"cells": dict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Architecture":
        """Inverse of `to_dict`.

        Raises:
            AvnasError: The mapping is malformed.
        """
        cells = data.get("cells")
        if not isinstance(cells, Mapping):
            raise AvnasError('architecture: expected {"cells": {"visual.M1": "candidate", ...}}')
        return cls(cells)

    @classmethod
    def load(cls, path: str | Path) -> "Architecture":
        """Reads a JSON file.

        Raises:
            AvnasError: The file is missing or malformed.
        """
        data = read_json(path)
        try:
            return cls.from_dict(data)
        except AvnasError as error:
            raise AvnasError(f"{path}: {error}") from error
