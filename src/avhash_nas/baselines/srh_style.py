"""In the style of SRH: an LSTM and max-pooling over time."""

import torch
from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.baselines.sequence_network import Modality, SequenceNetwork
from avhash_nas.networks import Route


class SRHStyle(SequenceNetwork):
    """LSTM, maximum over time, fully connected layer, tanh. In the style of SRH; not a reproduction.

    Of SRH (Gu, Ma, Yang: Supervised Recurrent Hashing, ACM MM 2016) neither code nor enough text is public: known are
    an LSTM over frame features, max-pooling of its outputs over time, and a supervised hashing loss. Assumed here: one
    layer; the units, chosen to meet the 4.5 M parameters of AV-NAS's Table 2, which LSTM(2048 -> 448) and 64 bits do
    (4.51 M; LSTM(4096 -> 256) would too); the loss, which is the in-batch `InfoNCE` of the other supervised methods
    unless another is named.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        bits: Code length q.
        modality: Input of the network; the published method is `visual`.
        hidden: Units of the LSTM.
    """

    def __init__(
        self, visual_dim: int, audio_dim: int, bits: int, *, modality: Modality = "visual", hidden: int = 448
    ) -> None:
        super().__init__(visual_dim, audio_dim, bits, modality)
        self.lstm = nn.LSTM(self.features_dim, hidden, batch_first=True)
        self.hash = nn.Linear(hidden, bits)

    @override
    def forward(self, visual: Tensor, audio: Tensor, route: Route | None = None) -> Tensor:
        h, _ = self.lstm(self.features(visual, audio))
        return torch.tanh(self.hash(h.amax(dim=1)))
