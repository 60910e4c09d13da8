"""The architectures by which a comparison rates its searches."""

from dataclasses import dataclass

from avhash_nas.errors import AvnasError
from avhash_nas.random_streams import stream
from avhash_nas.space import Architecture, SearchSpace, draw_distinct


@dataclass(frozen=True)
class Ranking:
    """Rate the searches: train some architectures alone, and compare their scores with those of the supernets.

    Args:
        space: Preset or JSON file; all its architectures must lie in the space that the entries search.
        architectures: Number of architectures trained alone, once for each code length and seed.
        seed: Seed of their draw.

    Raises:
        AvnasError: Fewer than two architectures cannot be ranked.
    """

    space: str
    architectures: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if self.architectures < 2:
            raise AvnasError(f"ranking.architectures must be at least 2, got {self.architectures}")

    def draw(self, space: SearchSpace) -> list[Architecture]:
        """Draw the architectures: distinct, uniformly from a space.

        Raises:
            AvnasError: The space holds fewer.
        """
        if space.size < self.architectures:
            raise AvnasError(
                f"ranking.architectures is {self.architectures}, but ranking.space holds only {space.size}"
            )
        return draw_distinct(space, self.architectures, stream(self.seed, "ranking"))


def covers(searched: SearchSpace, ranked: SearchSpace, entry: str) -> bool:
    """Whether the supernet of one space can score the architectures of another.

    Args:
        searched: Space of the supernet.
        ranked: Space of the ranking.
        entry: Name of the entry, for errors.

    Returns:
        False if the networks differ in their cells (a single modality) or their expansion.

    Raises:
        AvnasError: The networks agree, but the supernet lacks a candidate.
    """
    if {cell.name for cell in searched.cells} != {cell.name for cell in ranked.cells}:
        return False
    for cell in ranked.cells:
        lacking = sorted(set(cell.candidates) - set(searched[cell.name].candidates))
        if lacking:
            raise AvnasError(f"ranking.space: cell {cell.name} has {', '.join(lacking)}, which {entry} does not search")
    return searched.expand == ranked.expand
