"""The part of the network that is searched: encoders, fusion and transformation, the paper's Fig. 1 and 2."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, Self

from torch import nn
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.networks.encoder import CELLS, Encoder
from avhash_nas.networks.graph import GraphModule, Node
from avhash_nas.networks.init import identity_init_
from avhash_nas.networks.mixed_cell import MixedCell
from avhash_nas.networks.video_network import VideoNetwork
from avhash_nas.space import SearchSpace


class SearchableNetwork(VideoNetwork, GraphModule):
    """Encoders, fusion and transformation made of cells: T(F(I1(v, a), I2(a, v))), Eq. 12-14 and 33.

    In a space with choices it is a supernet and needs a route; in a space without choices it is a plain network. Both
    share their code and the names of their parameters, so that pruning only selects tensors. A subclass adds its output
    layers behind T, or behind any earlier node, and completes `graph`.

    Args:
        visual_dim: Width of the frame features. Mapped to D by a fully connected layer where it differs from D.
        audio_dim: Width of the segment features, likewise.
        space: Cells and candidates.
        width: Model width D.
        heads: Attention heads; they must divide D.
        states: N, states of each SSM channel.
        rank: Rank of the projection to an SSM's step sizes.
        dropout: Dropout of FFN, MLP and attention.
        input_dropout: Elementwise dropout of the input features.
        identity_init: Initialize the simplest route as the identity (`identity_init_`).

    Attributes:
        space: Cells and candidates.

    Raises:
        AvnasError: The space lacks a cell of this graph or has an unknown one, or a candidate cannot be built.
    """

    inputs = ("visual_features", "audio_features")
    space: SearchSpace

    def __init__(
        self,
        visual_dim: int,
        audio_dim: int,
        space: SearchSpace,
        *,
        width: int,
        heads: int,
        states: int,
        rank: int,
        dropout: float,
        input_dropout: float,
        identity_init: bool,
    ) -> None:
        super().__init__()
        behind = behind_encoders(space.modalities)
        _check_cells(space, behind)
        self.space = space
        self.modalities = space.modalities
        sizes: dict[str, float] = {
            **{"model_width": width, "hidden": 4 * width, "expand": space.expand or 1},
            **{"heads": heads, "states": states, "rank": rank, "dropout": dropout},
        }
        dims = {"visual": visual_dim, "audio": audio_dim}
        for modality in space.modalities:
            project = nn.Identity() if dims[modality] == width else nn.Linear(dims[modality], width)
            self.add_module(f"{modality}_input", nn.Sequential(nn.Dropout(input_dropout), project))
            self.add_module(modality, Encoder(modality, space, width, sizes))
        for node in behind:
            self.add_module(node.module, MixedCell(space[node.module], {**sizes, "width": width}))
        if identity_init:
            identity_init_(self)
        encoders = (
            (Node(f"{modality}_input", (f"{modality}_features",)), Node(modality, (f"{modality}_input",)))
            for modality in space.modalities
        )
        self.graph = (*chain.from_iterable(encoders), *behind)

    @override
    def arguments(self) -> dict[str, Any]:
        return {**super().arguments(), "space": self.space.to_dict()}

    @classmethod
    @override
    def from_arguments(cls, arguments: dict[str, Any]) -> Self:
        return cls(**{**arguments, "space": SearchSpace.from_dict(arguments["space"])})


def behind_encoders(modalities: Sequence[str]) -> tuple[Node, ...]:
    """The cells after the encoders."""
    fusion: tuple[Node, ...] = (Node("S", tuple(modalities)),)
    if len(modalities) == 2:
        fusion = (Node("I1", ("visual", "audio")), Node("I2", ("audio", "visual")), Node("F", ("I1", "I2")))
    return (*fusion, Node("T", (fusion[-1].module,)))


def _check_cells(space: SearchSpace, behind: tuple[Node, ...]) -> None:
    """Refuses cells that no forward pass runs: they would be searched, counted and written out for nothing."""
    if not space.modalities:
        raise AvnasError("search space: it has no encoder; name cells like visual.M1 or audio.M1")
    expected = {f"{modality}.{leaf}" for modality in space.modalities for leaf in CELLS}
    expected |= {node.module for node in behind}
    present = {cell.name for cell in space.cells}
    if foreign := sorted(present - expected):
        raise AvnasError(f"search space: the network has no place for {', '.join(foreign)}")
    if absent := sorted(expected - present):
        raise AvnasError(f"search space: the network needs {', '.join(absent)}")
