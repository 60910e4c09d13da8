"""The audio-visual hashing network of the paper's Fig. 1 and 2."""

from collections.abc import Sequence

from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.networks.encoder import Encoder
from avhash_nas.networks.graph import Node
from avhash_nas.networks.hash_layer import HashLayer
from avhash_nas.networks.hash_network import CodesAndSteps, HashNetwork
from avhash_nas.networks.route import Route
from avhash_nas.networks.searchable import SearchableNetwork, behind_encoders
from avhash_nas.space import SearchSpace


class AudioVisualNetwork(HashNetwork, SearchableNetwork):
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
        super().__init__(
            visual_dim,
            audio_dim,
            space,
            width=width,
            heads=heads,
            states=states,
            rank=rank,
            dropout=dropout,
            input_dropout=input_dropout,
            identity_init=identity_init,
        )
        self.bits = bits
        self.hash = HashLayer(
            width, bits, head_hidden, head_dropout, norm=head_norm, balance=balance, binary_steps=binary_steps
        )
        self.graph = (*self.graph, Node("hash", (self.graph[-1].module,)))

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
    for name, inputs in (*behind_encoders(modalities), Node("hash", ("T",))):
        graph.append(Node(name, tuple(output_of.get(source, source) for source in inputs)))
    return tuple(graph)
