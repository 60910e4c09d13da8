"""The audio-visual hashing network of the paper's Fig. 1 and 2."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, Self

from torch import Tensor, nn

from avhash_nas.errors import AvnasError
from avhash_nas.networks.encoder import CELLS, Encoder
from avhash_nas.networks.graph import GraphModule, Node
from avhash_nas.networks.hash_layer import HashLayer
from avhash_nas.networks.hash_network import CodesAndSteps, HashNetwork
from avhash_nas.networks.init import identity_init_
from avhash_nas.networks.mixed_cell import MixedCell
from avhash_nas.networks.route import Route
from avhash_nas.space import SearchSpace


class AudioVisualNetwork(HashNetwork, GraphModule):
    """Encoders, fusion, transformation, hash layer: f = tanh(FC(mean_t T(F(I1(v, a), I2(a, v))))), Eq. 12-14, 33, 34.

    In a space with choices it is the supernet and needs a route; in one without it is a plain network. Both are wired
    by the same code and name their parameters alike, so that pruning is a matter of picking tensors. A space with
    cells of one modality gives a network with one branch, and a self-fusion cell S in place of I1, I2 and F
    (paper, section 5.3); the other input is then ignored.

    Args:
        visual_dim: Width of the frame features. Mapped to D by a fully connected layer where it differs from D.
        audio_dim: Width of the segment features, likewise.
        bits: Code length q.
        space: Cells and candidates.
        width: Model width D (768 in the paper).
        heads: Attention heads; they must divide D (12 in the paper).
        states: N, states of each SSM channel.
        rank: Rank of the map that makes an SSM's step sizes.
        dropout: In FFN, MLP and attention (0.1 in the paper).
        input_dropout: Of input features, element by element. Not in the paper.
        head_hidden: Width of the hash layer's hidden layer; 0 for the paper's plain FC.
        head_dropout: Of that hidden layer.
        head_norm: Batch-normalize the pooled features before it; not in the paper.
        balance: Batch-normalize every bit's value before tanh, for balanced bits; not in the paper.
        binary_steps: Code each time step by FC, LayerNorm and a sign with a gradient, and average these codes, as ConMH
            and S5VH do, instead of averaging before FC; for objectives that look at time steps.
        identity_init: Start so that the simplest route passes its input on (networks/init.py), for few training videos.

    Raises:
        AvnasError: The space lacks a cell of this wiring or has one that is no part of it, or a candidate cannot be
            built.
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
        _check_wiring(space, behind)
        self.space = space
        self.bits = bits
        self.modalities = space.modalities
        self._arguments: dict[str, Any] = {
            **{"visual_dim": visual_dim, "audio_dim": audio_dim, "bits": bits, "space": space.to_dict()},
            **{"width": width, "heads": heads, "states": states, "rank": rank, "dropout": dropout},
            **{"input_dropout": input_dropout, "head_hidden": head_hidden, "head_dropout": head_dropout},
            "head_norm": head_norm,
            "balance": balance,
            "binary_steps": binary_steps,
            "identity_init": identity_init,
        }
        sizes: dict[str, float] = {
            **{"model_width": width, "hidden": 4 * width, "expand": space.expand or 1},
            **{"heads": heads, "states": states, "rank": rank, "dropout": dropout},
        }
        dims = {"visual": visual_dim, "audio": audio_dim}
        for modality in space.modalities:
            project = nn.Identity() if dims[modality] == width else nn.Linear(dims[modality], width)
            self.add_module(f"{modality}_input", nn.Sequential(nn.Dropout(input_dropout), project))
            self.add_module(modality, Encoder(modality, space, width, sizes))
        for step in behind:
            self.add_module(step.module, MixedCell(space[step.module], {**sizes, "width": width}))
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

    def forward(self, visual: Tensor, audio: Tensor, route: Route | None = None) -> Tensor:
        """Relaxed codes.

        Args:
            visual: Frame features, shape (B, T, visual_dim).
            audio: Segment features, shape (B, T, audio_dim).
            route: A choice for every cell that has several candidates.

        Returns:
            Shape (B, q), values in (-1, 1).
        """
        return self.run_graph((visual, audio), route)

    def codes_and_steps(
        self,
        visual: Tensor,
        audio: Tensor,
        route: Route | None = None,
        positions: Tensor | None = None,  # noqa: ARG002
    ) -> CodesAndSteps:
        """Relaxed codes of videos, and what the hash layer makes of each time step of the sequence that it averages.

        Args:
            visual: Frame features, shape (B, T, visual_dim).
            audio: Segment features, shape (B, T, audio_dim).
            route: A choice for every cell that has several candidates.
            positions: Not used: the network knows order alone.
        """
        return self.hash.codes_and_steps(self.run_graph((visual, audio), route, steps=-1))

    @property
    def head(self) -> nn.Module:
        """The hash layer."""
        return self.hash

    @classmethod
    def from_arguments(cls, arguments: dict[str, Any]) -> Self:
        """Inverse of `arguments`."""
        return cls(**{**arguments, "space": SearchSpace.from_dict(arguments["space"])})


def network_graph(modalities: Sequence[str]) -> tuple[Node, ...]:
    """What `steps()` gives of a network for some modalities, without building one.

    Args:
        modalities: `visual`, `audio` or both, in that order.
    """
    found, output_of = [], {}
    for modality in modalities:
        found.append(Node(f"{modality}_input", (f"{modality}_features",)))
        for name, inputs in Encoder.graph:
            read = (f"{modality}_input" if source in Encoder.inputs else f"{modality}.{source}" for source in inputs)
            found.append(Node(f"{modality}.{name}", tuple(read)))
        output_of[modality] = found[-1].module
    for name, inputs in (*_behind_encoders(modalities), Node("hash", ("T",))):
        found.append(Node(name, tuple(output_of.get(source, source) for source in inputs)))
    return tuple(found)


def _behind_encoders(modalities: Sequence[str]) -> tuple[Node, ...]:
    """The cells behind the encoders."""
    fusion: tuple[Node, ...] = (Node("S", tuple(modalities)),)
    if len(modalities) == 2:
        fusion = (Node("I1", ("visual", "audio")), Node("I2", ("audio", "visual")), Node("F", ("I1", "I2")))
    return (*fusion, Node("T", (fusion[-1].module,)))


def _check_wiring(space: SearchSpace, behind: tuple[Node, ...]) -> None:
    """A cell that no forward pass runs would be searched, counted and written out for nothing."""
    if not space.modalities:
        raise AvnasError("search space: it has no encoder; name cells like visual.M1 or audio.M1")
    wired = {f"{modality}.{leaf}" for modality in space.modalities for leaf in CELLS}
    wired |= {step.module for step in behind}
    present = {cell.name for cell in space.cells}
    if foreign := sorted(present - wired):
        raise AvnasError(f"search space: the network has no place for {', '.join(foreign)}")
    if absent := sorted(wired - present):
        raise AvnasError(f"search space: the network needs {', '.join(absent)}")
