"""The searchable network as a parser of videos."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.networks.graph import Node
from avhash_nas.networks.mmil import MMILHead
from avhash_nas.networks.parsing_network import ParsingNetwork
from avhash_nas.networks.route import Route
from avhash_nas.networks.searchable import SearchableNetwork
from avhash_nas.space import SearchSpace


class AudioVisualParser(ParsingNetwork, SearchableNetwork):
    """The encoders, fusion and transformation of `AudioVisualNetwork`, with a head that parses. Not in a paper.

    Hashing needs one sequence for both modalities, parsing one for each: the features of the audio modality are
    I2(a, v) + h and those of the visual one I1(v, a) + h, where h = T(F(I1, I2)). So every cell of the space takes
    part, and the strategies and stages are those of hashing.

    Args:
        visual_dim: Width of the frame features. Mapped to D by a fully connected layer where it differs from D.
        audio_dim: Width of the segment features, likewise.
        classes: C.
        space: Cells and candidates, of both modalities.
        width: Model width D.
        heads: Attention heads; they must divide D.
        states: N, states of each SSM channel.
        rank: Rank of the projection to an SSM's step sizes.
        dropout: Dropout of FFN, MLP and attention.
        input_dropout: Elementwise dropout of the input features.
        normalized: Weights of the head that sum to 1.
        identity_init: Initialize the simplest route as the identity (`identity_init_`), for few training videos.

    Raises:
        AvnasError: The space has one modality, lacks a cell or has an unknown one, or a candidate cannot be built.
    """

    default_components: ClassVar[Mapping[str, str]] = {"objective": "avhash_nas.objectives.SegmentLabels"}

    def __init__(
        self,
        visual_dim: int,
        audio_dim: int,
        classes: int,
        space: SearchSpace,
        *,
        width: int = 256,
        heads: int = 8,
        states: int = 16,
        rank: int = 4,
        dropout: float = 0.1,
        input_dropout: float = 0.0,
        normalized: bool = False,
        identity_init: bool = False,
    ) -> None:
        if len(space.modalities) != 2:
            raise AvnasError("search space: parsing needs the cells of both modalities")
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
        self.streams = _Streams()
        self.parse = MMILHead(width, classes, normalized=normalized)
        self.graph = (*self.graph, Node("streams", ("I2", "I1", "T")), Node("parse", ("streams",)))

    @override
    def segment_features(self, visual: Tensor, audio: Tensor, route: Route | None = None) -> Tensor:
        return self.run_graph((visual, audio), route, nodes=-1)


class _Streams(nn.Module):
    """Features of both modalities, each with what they share, (B, 2, T, D), audio first."""

    def forward(self, audio: Tensor, visual: Tensor, shared: Tensor) -> Tensor:
        return torch.stack([audio + shared, visual + shared], dim=1)
