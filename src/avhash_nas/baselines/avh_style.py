"""In the style of AVH: a bidirectional LSTM and attention over the frames."""

import torch
from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.baselines.sequence_network import Modality, SequenceNetwork
from avhash_nas.networks import Route


class AVHStyle(SequenceNetwork):
    """Bidirectional LSTM, attention over time, fully connected layer, tanh. In the style of AVH; not a reproduction.

    The outputs h_t are averaged with weights softmax_t(v tanh(W h_t + b)), the additive attention of Bahdanau et al.
    (2015) without a query.

    Of AVH (Wang, Nie, Shi, Zhou, Yin: Attention-Based Video Hashing, IEEE TCDS 13(3), 2021; the name does not stand
    for audio-visual) neither code nor enough text is public: known are an LSTM and attention, because frames matter
    unevenly. Assumed here: all sizes, which do not meet the 22 M parameters of AV-NAS's Table 2, whose composition is
    unknown; both directions; the kind of attention; the loss, which is the in-batch `InfoNCE` of the other supervised
    methods unless another is named.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        bits: Code length q.
        modality: Input of the network; the published method is `visual`.
        hidden: Units of the LSTM in each direction.
        attention: Width of the attention's inner layer.
    """

    def __init__(
        self,
        visual_dim: int,
        audio_dim: int,
        bits: int,
        *,
        modality: Modality = "visual",
        hidden: int = 512,
        attention: int = 256,
    ) -> None:
        super().__init__(visual_dim, audio_dim, bits, modality)
        self.lstm = nn.LSTM(self.features_dim, hidden, batch_first=True, bidirectional=True)
        self.attention = nn.Sequential(nn.Linear(2 * hidden, attention), nn.Tanh(), nn.Linear(attention, 1, bias=False))
        self.hash = nn.Linear(2 * hidden, bits)

    @override
    def forward(self, visual: Tensor, audio: Tensor, route: Route | None = None) -> Tensor:
        h, _ = self.lstm(self.features(visual, audio))  # (B, T, 2 H)
        weights = self.attention(h).softmax(dim=1)  # (B, T, 1)
        return torch.tanh(self.hash((weights * h).sum(dim=1)))
