"""The audio-visual hashing network of the paper's Fig. 1 and 2."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, Self

from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.networks.encoder import CELLS, Encoder
from avhash_nas.networks.graph import GraphModule, Node
from avhash_nas.networks.hash_layer import HashLayer
from avhash_nas.networks.hash_network import CodesAndSteps, HashNetwork
from avhash_nas.networks.init import identity_init_
from avhash_nas.networks.mixed_cell import MixedCell
from avhash_nas.networks.route import Route
from avhash_nas.space import Architecture, SearchSpace


class AudioVisualNetwork(HashNetwork, GraphModule):
    """Encoders, fusion, transformation, hash layer: f = tanh(FC(mean_t T(F(I1(v, a), I2(a, v))))), Eq. 12-14, 33, 34.

    In a space with choices it is the supernet and needs a route; in a space without choices it is a plain network. Both
    share their code and the names of their parameters, so that pruning only selects tensors. A space with cells of one
    modality gives a network with one branch, and a self-fusion cell S in place of I1, I2 and F (paper, section 5.3);
    the other input is then ignored.

    Args:
        visual_dim: Width of the frame features. Mapped to D by a fully connected layer where it differs from D.
        audio_dim: Width of the segment features, likewise.
        bits: Code length q.
        space: Cells and candidates.
        width: Model width D (768 in the paper).
        heads: Attention heads; they must divide D (12 in the paper).
        states: N, states of each SSM channel.
        rank: Rank of the projection to an SSM's step sizes.
        dropout: Dropout of FFN, MLP and attention (0.1 in the paper).
        input_dropout: Elementwise dropout of the input features. Not in the paper.
        head_hidden: Width of the hash layer's hidden layer; 0 for the paper's plain FC.
        head_dropout: Dropout of that hidden layer.
        head_norm: Batch-normalize the pooled features before the hash layer; not in the paper.
        balance: Batch-normalize the value of every bit before tanh, for balanced bits; not in the paper.
        binary_steps: Code each time step by FC, LayerNorm and a sign with a gradient, and average these codes, as ConMH
            and S5VH do, instead of averaging before FC; for objectives that read time steps.
        identity_init: Initialize the simplest route as the identity (`identity_init_`), for few training videos.

    Raises:
        AvnasError: The space lacks a cell of this graph or has an unknown one, or a candidate cannot be built.
    """

    inputs = ("visual_features", "audio_features")

    def __init__(
        self,
        visual_dim: int,
        audio_dim: int,
        bits: int,
        space: SearchSpace,
        *,
        width: int = 768,
        heads: int = 12,
        states: int = 16,
        rank: int = 4,
        dropout: float = 0.1,
        input_dropout: float = 0.0,
        head_hidden: int = 0,
        head_dropout: float = 0.0,
        head_norm: bool = False,
        balance: bool = False,
        binary_steps: bool = False,
        identity_init: bool = False,
    ) -> None:
        super().__init__()
        behind = _behind_encoders(space.modalities)
        _check_cells(space, behind)
        self.space = space
        self.bits = bits
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
        self.hash = HashLayer(
            width, bits, head_hidden, head_dropout, norm=head_norm, balance=balance, binary_steps=binary_steps
        )
        encoders = (
            (Node(f"{modality}_input", (f"{modality}_features",)), Node(modality, (f"{modality}_input",)))
            for modality in space.modalities
        )
        self.graph = (*chain.from_iterable(encoders), *behind, Node("hash", (behind[-1].module,)))

    @override
    def forward(self, visual: Tensor, audio: Tensor, route: Route | None = None) -> Tensor:
        return self.run_graph((visual, audio), route)

    @override
    def codes_and_steps(
        self, visual: Tensor, audio: Tensor, route: Route | None = None, positions: Tensor | None = None
    ) -> CodesAndSteps:
        return self.hash.codes_and_steps(self.run_graph((visual, audio), route, nodes=-1))

    @property
    @override
    def head(self) -> nn.Module:
        return self.hash

    @override
    def arguments(self) -> dict[str, Any]:
        return {**super().arguments(), "space": self.space.to_dict()}

    @classmethod
    @override
    def from_arguments(cls, arguments: dict[str, Any]) -> Self:
        return cls(**{**arguments, "space": SearchSpace.from_dict(arguments["space"])})


def prune(supernet: AudioVisualNetwork, architecture: Architecture, *, inherit: bool = True) -> AudioVisualNetwork:
    """Keeps the chosen candidate of every cell (paper, section 4.3, stage 2).

    The result computes, bit for bit, what the supernet computes on the route of that architecture. The authors' code
    builds a new network at this point, of another width than the supernet's, in spite of Eq. 44.

    Args:
        supernet: The searched network; it stays unchanged.
        architecture: A candidate for every cell.
        inherit: Copy the supernet's weights (Eq. 44) instead of a new initialization.

    Returns:
        A network without choices, with the supernet's device, precision and training mode.

    Raises:
        AvnasError: The architecture is not in the supernet's space.
    """
    arguments = {**supernet.arguments(), "space": supernet.space.fix(architecture).to_dict()}
    plain = AudioVisualNetwork.from_arguments(arguments).to(next(supernet.parameters()))
    if inherit:
        weights = supernet.state_dict()
        plain.load_state_dict({name: weights[name] for name in plain.state_dict()})
    return plain.train(supernet.training)


def network_graph(modalities: Sequence[str]) -> tuple[Node, ...]:
    """Returns what `flat_graph()` returns for a network of these modalities, without building one.

    Args:
        modalities: `visual`, `audio` or both, in that order.
    """
    graph, output_of = [], {}
    for modality in modalities:
        graph.append(Node(f"{modality}_input", (f"{modality}_features",)))
        for name, inputs in Encoder.graph:
            read = (f"{modality}_input" if source in Encoder.inputs else f"{modality}.{source}" for source in inputs)
            graph.append(Node(f"{modality}.{name}", tuple(read)))
        output_of[modality] = graph[-1].module
    for name, inputs in (*_behind_encoders(modalities), Node("hash", ("T",))):
        graph.append(Node(name, tuple(output_of.get(source, source) for source in inputs)))
    return tuple(graph)


def _behind_encoders(modalities: Sequence[str]) -> tuple[Node, ...]:
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
