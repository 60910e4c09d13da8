"""The cells of a network and what each can become."""

import itertools
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avhash_nas.errors import AvnasError
from avhash_nas.files import read_json
from avhash_nas.space.architecture import Architecture
from avhash_nas.space.cell import Cell, reading_order


@dataclass(frozen=True)
class SearchSpace:
    """The cells of a network, their candidates and the expansion of its encoders.

    A space in which every cell has one candidate describes one plain network.

    Args:
        cells: The cells; kept in reading order (visual, audio, then what lies behind the encoders).
        expand: Factor e of the Up map, D -> e * D (paper, section 4.1; 2 by default), or None for encoders
            without Up and Down maps (the "Transformer" row of the paper's Table 3).

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
        """Number of architectures when conv3, conv4 and conv5 count as one candidate, as the paper counts."""
        return math.prod(
            len({"conv" if name.startswith("conv") else name for name in cell.candidates}) for cell in self.cells
        )

    @property
    def modalities(self) -> tuple[str, ...]:
        """The encoders that the cells call for: `visual`, `audio` or both."""
        present = {cell.modality for cell in self.cells}
        return tuple(name for name in ("visual", "audio") if name in present)

    @property
    def choices(self) -> tuple[Cell, ...]:
        """The cells that leave a choice."""
        return tuple(cell for cell in self.cells if len(cell.candidates) > 1)

    def check(self, architecture: Architecture) -> None:
        """Make sure that an architecture lies in this space.

        Raises:
            AvnasError: A cell is missing, unknown, or takes a candidate that it does not have.
        """
        for cell in self.cells:
            if cell.name not in architecture:
                raise AvnasError(f"architecture: cell {cell.name} is missing")
            cell.index(architecture[cell.name])
        for name in architecture:
            self[name]

    def indices(self, architecture: Architecture) -> dict[str, int]:
        """Position of the chosen candidate in each cell: the route that runs this architecture in a supernet."""
        self.check(architecture)
        return {cell.name: cell.index(architecture[cell.name]) for cell in self.cells}

    def architecture(self, indices: Mapping[str, int]) -> Architecture:
        """The architecture with the given candidate positions, the inverse of `indices`."""
        return Architecture({cell.name: cell.candidates[indices[cell.name]] for cell in self.cells})

    def fix(self, architecture: Architecture) -> "SearchSpace":
        """The space that holds this architecture alone."""
        self.check(architecture)
        return SearchSpace(tuple(Cell(cell.name, (architecture[cell.name],)) for cell in self.cells), self.expand)

    def only(self) -> Architecture:
        """The single architecture of a space without choices.

        Raises:
            AvnasError: There is more than one.
        """
        if self.choices:
            raise AvnasError(f"search space holds {self.size:,} architectures, not one")
        return Architecture({cell.name: cell.candidates[0] for cell in self.cells})

    def sample(self, generator: np.random.Generator) -> Architecture:
        """Draw one architecture, uniformly and independently in every cell."""
        return self.architecture({cell.name: int(generator.integers(len(cell.candidates))) for cell in self.cells})

    def to_dict(self) -> dict[str, Any]:
        """The form that JSON files hold."""
        return {"expand": self.expand, "cells": {cell.name: list(cell.candidates) for cell in self.cells}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "SearchSpace":
        """Inverse of `to_dict`; also takes an architecture's form, as the space that holds it alone.

        Raises:
            AvnasError: The mapping has another form.
        """
        cells = data.get("cells")
        if not isinstance(cells, Mapping):
            raise AvnasError('search space: expected {"expand": 2, "cells": {"visual.M1": ["skip", "ffn"], ...}}')
        return cls(
            tuple(Cell(name, (names,) if isinstance(names, str) else names) for name, names in cells.items()),
            data.get("expand", 2),
        )


def load_space(source: str | Path) -> SearchSpace:
    """A preset by name, or a space or architecture from a JSON file.

    Raises:
        AvnasError: There is neither such a preset nor such a file, or the file holds something else.
    """
    from avhash_nas.space import presets

    name = str(source).replace("-", "_")
    if name in presets.__all__:
        space: SearchSpace = getattr(presets, name)()
        return space
    if Path(source).suffix != ".json":
        known = ", ".join(preset.replace("_", "-") for preset in presets.__all__)
        raise AvnasError(f"unknown space {str(source)!r}: name a preset ({known}) or a .json file")
    data = read_json(source)
    try:
        return SearchSpace.from_dict(data)
    except AvnasError as error:
        raise AvnasError(f"{source}: {error}") from error


def draw_distinct(
    space: SearchSpace, count: int, random: np.random.Generator, seen: Collection[Architecture] = frozenset()
) -> list[Architecture]:
    """Architectures drawn uniformly from those of a space that are not yet seen, none twice.

    Always ends: once fewer than half of the space would be left, what is left is listed and shuffled instead of drawn
    until something new comes.

    Args:
        space: Where to draw from.
        count: How many are wanted.
        random: Drawn from.
        seen: Architectures of the space that must not come.

    Returns:
        `count` architectures, or fewer where the space holds no more.
    """
    if 2 * (len(seen) + count) > space.size:
        every = itertools.product(*(range(len(cell.candidates)) for cell in space.cells))
        left = [space.architecture(dict(zip((cell.name for cell in space.cells), indices))) for indices in every]
        left = [architecture for architecture in left if architecture not in seen]
        return [left[position] for position in random.permutation(len(left))[:count]]
    drawn: dict[Architecture, None] = {}
    while len(drawn) < count:
        architecture = space.sample(random)
        if architecture not in seen:
            drawn[architecture] = None
    return list(drawn)
