"""One categorical choice of the network."""

import re
from dataclasses import dataclass

from avhash_nas.errors import AvnasError

_NAME = re.compile(r"(?:(?P<modality>visual|audio)\.)?(?P<kind>[A-Z])(?P<number>\d*)")
_WIRING = ("M1", "U1", "M2", "U2", "D1", "U3", "M3", "D2", "U4", "S", "I1", "I2", "F", "T")


@dataclass(frozen=True)
class Cell:
    """One categorical choice of the network (paper, section 4.1 and Fig. 2).

    Args:
        name: Where the cell sits: `visual.M1`, `audio.D2`, `I1`, `F`, ... The letter is the kind of operation
            (M sequence model, U unary, D binary, I interaction, F fusion, T transformation, S self-fusion).
        candidates: Names of the operators that the cell can take, or dotted paths of a third party's classes.

    Raises:
        AvnasError: The name is malformed, there is no candidate, or one is named twice.
    """

    name: str
    candidates: tuple[str, ...]

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise AvnasError(f"cell name {self.name!r}: write it like 'visual.M1', 'audio.U3', 'I1' or 'F'")
        given: object = self.candidates  # files and command lines do not keep to the annotation
        if not isinstance(given, list | tuple) or not all(isinstance(name, str) for name in given):
            raise AvnasError(f"cell {self.name}: expected a list of candidates' names, got {given!r}")
        object.__setattr__(self, "candidates", tuple(self.candidates))
        if not self.candidates:
            raise AvnasError(f"cell {self.name}: name at least one candidate")
        if len(set(self.candidates)) < len(self.candidates):
            raise AvnasError(f"cell {self.name}: a candidate is named twice in {list(self.candidates)}")

    @property
    def kind(self) -> str:
        """The letter of the operation type: M, U, D, I, F, T or S."""
        match = _NAME.fullmatch(self.name)
        assert match is not None
        return match["kind"]

    @property
    def modality(self) -> str | None:
        """`visual`, `audio`, or None for a cell behind the encoders."""
        match = _NAME.fullmatch(self.name)
        assert match is not None
        return match["modality"]

    def index(self, candidate: str) -> int:
        """Position of a candidate.

        Raises:
            AvnasError: The cell does not have it.
        """
        if candidate not in self.candidates:
            raise AvnasError(f"cell {self.name} has no candidate {candidate!r}; it has {', '.join(self.candidates)}")
        return self.candidates.index(candidate)


def reading_order(name: str) -> tuple[int, int, str]:
    """Sort key of cell names: visual encoder, audio encoder, then what lies behind them, each in wiring order.

    >>> sorted(["T", "audio.M1", "visual.U2", "visual.M1", "F"], key=reading_order)
    ['visual.M1', 'visual.U2', 'audio.M1', 'F', 'T']
    """
    modality, _, leaf = name.rpartition(".")
    group = {"visual": 0, "audio": 1}.get(modality, 2)
    return group, _WIRING.index(leaf) if leaf in _WIRING else len(_WIRING), name
