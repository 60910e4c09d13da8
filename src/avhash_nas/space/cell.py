"""Cells: the categorical choices of a network."""

import re
from dataclasses import dataclass

from avhash_nas.errors import AvnasError

_NAME = re.compile(r"(?:(?P<modality>visual|audio)\.)?(?P<kind>[A-Z])(?P<number>\d*)")
_ORDER = ("M1", "U1", "M2", "U2", "D1", "U3", "M3", "D2", "U4", "S", "I1", "I2", "F", "T")


@dataclass(frozen=True)
class Cell:
    """One categorical choice of the network (paper, section 4.1 and Fig. 2).

    Args:
        name: Position of the cell: `visual.M1`, `audio.D2`, `I1`, `F`, ... The letter is the kind of operation
            (M sequence model, U unary, D binary, I interaction, F fusion, T transformation, S self-fusion).
        candidates: Names of operators, or dotted paths of third-party classes.

    Raises:
        AvnasError: The name is malformed, or candidates are missing or repeated.
    """

    name: str
    candidates: tuple[str, ...]

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise AvnasError(f"cell name {self.name!r}: write it like 'visual.M1', 'audio.U3', 'I1' or 'F'")
        value: object = self.candidates  # files and command lines may violate the annotation
        if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
            raise AvnasError(f"cell {self.name}: expected a list of candidates' names, got {value!r}")
        object.__setattr__(self, "candidates", tuple(self.candidates))
        if not self.candidates:
            raise AvnasError(f"cell {self.name}: name at least one candidate")
        if len(set(self.candidates)) < len(self.candidates):
            raise AvnasError(f"cell {self.name}: a candidate is named twice in {list(self.candidates)}")

    @property
    def kind(self) -> str:
        """The letter of the operation type: M, U, D, I, F, T or S."""
        return self._name["kind"]

    @property
    def modality(self) -> str | None:
        """`visual`, `audio`, or None for a cell after the encoders."""
        return self._name["modality"]

    @property
    def _name(self) -> re.Match[str]:
        match = _NAME.fullmatch(self.name)
        assert match is not None
        return match

    def index(self, candidate: str) -> int:
        """Index of a candidate; raises AvnasError if the cell does not have it."""
        if candidate not in self.candidates:
            raise AvnasError(f"cell {self.name} has no candidate {candidate!r}; it has {', '.join(self.candidates)}")
        return self.candidates.index(candidate)


def reading_order(name: str) -> tuple[int, int, str]:
    """Sort key of cell names: visual encoder, audio encoder, then the cells after them, each in order of execution.

    >>> sorted(["T", "audio.M1", "visual.U2", "visual.M1", "F"], key=reading_order)
    ['visual.M1', 'visual.U2', 'audio.M1', 'F', 'T']
    """
    modality, _, leaf = name.rpartition(".")
    group = {"visual": 0, "audio": 1}.get(modality, 2)
    return group, _ORDER.index(leaf) if leaf in _ORDER else len(_ORDER), name
