"""A search space: the cells of a network and their candidates."""

import itertools
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from avhash_nas.errors import AvnasError
from avhash_nas.space.architecture import Architecture
from avhash_nas.space.cell import Cell, reading_order


@dataclass(frozen=True)
class SearchSpace:
    """The cells of a network, their candidates and the expansion of its encoders.

    A space in which every cell has one candidate describes one plain network.

    Args:
        cells: The cells, sorted in reading order (visual, audio, then the cells after the encoders).
        expand: Factor e of the Up map, D -> e * D (paper, section 4.1), or None for encoders without Up and Down maps
            (the "Transformer" row of the paper's Table 3).

    Raises:
        AvnasError: A cell name occurs twice or `expand` is smaller than 1.

    >>> space = SearchSpace((Cell("visual.U1", ("skip", "silu")), Cell("T", ("self_attention", "self_ssm"))))
    >>> space.size
    4
    """

    cells: tuple[Cell, ...]
    expand: int | None = 2

    def __post_init__(self) -> None:
        names = [cell.name for cell in self.cells]
        if len(set(names)) < len(names):
            raise AvnasError(f"search space: a cell is named twice in {names}")
        if self.expand is not None and (type(self.expand) is not int or self.expand < 1):
            raise AvnasError(f"search space: expand must be a whole number of at least 1, or null, not {self.expand!r}")
        object.__setattr__(self, "cells", tuple(sorted(self.cells, key=lambda cell: reading_order(cell.name))))

    def __getitem__(self, name: str) -> Cell:
        for cell in self.cells:
            if cell.name == name:
                return cell
        raise AvnasError(f"search space has no cell {name!r}; it has {', '.join(cell.name for cell in self.cells)}")

    def __contains__(self, name: object) -> bool:
        return any(cell.name == name for cell in self.cells)

    @property
    def size(self) -> int:
        """Number of architectures."""
        return math.prod(len(cell.candidates) for cell in self.cells)

    @property
    def size_kernels_merged(self) -> int:
        """Number of architectures if conv3, conv4 and conv5 count as one candidate, as in the paper."""
        return math.prod(
            len({"conv" if name.startswith("conv") else name for name in cell.candidates}) for cell in self.cells
        )

    @property
    def modalities(self) -> tuple[str, ...]:
        """The encoders of the cells: `visual`, `audio` or both."""
        present = {cell.modality for cell in self.cells}
        return tuple(name for name in ("visual", "audio") if name in present)

    @property
    def choices(self) -> tuple[Cell, ...]:
        """The cells with more than one candidate."""
        return tuple(cell for cell in self.cells if len(cell.candidates) > 1)

    def check(self, architecture: Architecture) -> None:
        """Raises AvnasError unless an architecture belongs to this space."""
        for cell in self.cells:
            if cell.name not in architecture:
                raise AvnasError(f"architecture: cell {cell.name} is missing")
            cell.index(architecture[cell.name])
        for name in architecture:
            self[name]

    def indices(self, architecture: Architecture) -> dict[str, int]:
        """Index of the chosen candidate of each cell: the route that runs this architecture in a supernet."""
        self.check(architecture)
        return {cell.name: cell.index(architecture[cell.name]) for cell in self.cells}

    def architecture(self, indices: Mapping[str, int]) -> Architecture:
        """The architecture of candidate indices, the inverse of `indices`."""
        return Architecture({cell.name: cell.candidates[indices[cell.name]] for cell in self.cells})

    def fix(self, architecture: Architecture) -> "SearchSpace":
        """The space of a single architecture."""
        self.check(architecture)
        return SearchSpace(tuple(Cell(cell.name, (architecture[cell.name],)) for cell in self.cells), self.expand)

    def only(self) -> Architecture:
        """The architecture of a space without choices; raises AvnasError if there are several."""
        if self.choices:
            raise AvnasError(f"search space holds {self.size:,} architectures, not one")
        return Architecture({cell.name: cell.candidates[0] for cell in self.cells})

    def sample(self, generator: np.random.Generator) -> Architecture:
        """Draws an architecture, uniformly and independently in every cell."""
        return self.architecture({cell.name: int(generator.integers(len(cell.candidates))) for cell in self.cells})

    def to_dict(self) -> dict[str, Any]:
        """The content of a JSON file."""
        return {"expand": self.expand, "cells": {cell.name: list(cell.candidates) for cell in self.cells}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "SearchSpace":
        """Inverse of `to_dict`; also accepts the form of an architecture, as the space of this architecture alone.

        Raises:
            AvnasError: The mapping is malformed.
        """
        cells = data.get("cells")
        if not isinstance(cells, Mapping):
            raise AvnasError('search space: expected {"expand": 2, "cells": {"visual.M1": ["skip", "ffn"], ...}}')
        return cls(
            tuple(Cell(name, (names,) if isinstance(names, str) else names) for name, names in cells.items()),
            data.get("expand", 2),
        )


def draw_distinct(
    space: SearchSpace, count: int, random: np.random.Generator, seen: Collection[Architecture] = frozenset()
) -> list[Architecture]:
    """Draws distinct architectures uniformly from those of a space that have not been seen.

    Always terminates: if fewer than half of the space would remain, the remaining architectures are listed and shuffled
    instead of drawn repeatedly.

    Args:
        space: The search space.
        count: Number of architectures.
        random: Random generator.
        seen: Architectures of the space to leave out.

    Returns:
        `count` architectures, or fewer if the space has no more.
    """
    if 2 * (len(seen) + count) > space.size:
        every = itertools.product(*(range(len(cell.candidates)) for cell in space.cells))
        remaining = [space.architecture(dict(zip((cell.name for cell in space.cells), indices))) for indices in every]
        remaining = [architecture for architecture in remaining if architecture not in seen]
        return [remaining[index] for index in random.permutation(len(remaining))[:count]]
    drawn: dict[Architecture, None] = {}
    while len(drawn) < count:
        architecture = space.sample(random)
        if architecture not in seen:
            drawn[architecture] = None
    return list(drawn)
