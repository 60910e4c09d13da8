"""SSTH's loss: reconstruction of the video from its code, in both directions and of its mean."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.baselines.ssth import SSTH, PeepholeCell, lstm_bias
from avhash_nas.data import Batch, HashingData
from avhash_nas.distributed import gather_rows
from avhash_nas.errors import AvnasError
from avhash_nas.networks import RoutedNetwork, VideoNetwork
from avhash_nas.objectives import NetworkObjective


class Decoder(nn.Module):
    """An LSTM without inputs that starts from a code and its cell state: h_t = o_t tanh(c_t), y_t = W h_t + b.

    Args:
        width: K, units.
        features: F, width of the reconstructed features.
        steps: Number of time steps.
        momentum: See `PeepholeCell`.
    """

    def __init__(self, width: int, features: int, steps: int, momentum: float) -> None:
        super().__init__()
        self.steps = steps
        self.bias = nn.Parameter(lstm_bias(width))
        self.cell = PeepholeCell(width, steps, momentum)
        self.output = nn.Linear(width, features)
        nn.init.xavier_uniform_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, code: Tensor, c: Tensor) -> Tensor:
        """Reconstructs features, (B, steps, F).

        Args:
            code: The binary code, shape (B, K).
            c: The cell state behind it, shape (B, K).
        """
        h, outputs = code, []
        for step in range(self.steps):
            o, c = self.cell(self.bias, h, c, step)
            h = o * torch.tanh(c)
            outputs.append(h)
        features: Tensor = self.output(torch.stack(outputs, dim=1))
        return features


class SSTHLoss(NetworkObjective[SSTH]):
    """Squared errors of three decoders that start from a video's last state (ACM MM 2016; the authors' BLSTM code).

        L = 1/3 sum_t ||x_t - y_t||^2 + 1/3 sum_t ||x_t - r_(T+1-t)||^2 + w/3 ||mean_t x_t - m||^2

    y and r reconstruct the frames in order and in reverse order, m reconstructs their mean in a single step. The loss
    here is that sum divided by T F, averaged over videos; Adam is invariant to the constant factor. The authors'
    penalty of 1e-4 / 2 ||weights||^2 on the undivided sum over a batch is left out: it would be about 1e-11 of the
    mean. They train by momentum and clip each step to 1e-4 for each weight; Adam at a learning rate of 1e-4 moves about
    as far.

    Args:
        mean_weight: w; 200 in the authors' code, where T is 25. Their later SSVH takes T.

    Raises:
        AvnasError: The weight is negative.
    """

    network_class = SSTH
    reads_labels = False

    def __init__(self, mean_weight: float = 200.0) -> None:
        super().__init__()
        if mean_weight < 0:
            raise AvnasError(f"SSTHLoss: mean_weight must not be negative, got {mean_weight}")
        self.mean_weight = mean_weight
        self.decoders = nn.ModuleDict()

    @override
    def setup(self, data: HashingData, network: VideoNetwork, prepared: Mapping[str, Tensor]) -> None:
        own = self.own(network)
        lengths = {"ahead": own.frames, "back": own.frames, "mean": 1}
        for name, steps in lengths.items():
            self.decoders[name] = Decoder(own.bits, own.features_dim, steps, own.momentum)

    @override
    def loss(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        x = self.own(network.network).features(batch.visual, batch.audio)
        state = network.apply(lambda ssth: self.own(ssth).last_state(x))
        code = state.binary[:, -1]
        ahead, back, mean = (self.decoders[name](code, state.c) for name in ("ahead", "back", "mean"))
        frames = (x - ahead).square() + (x - back.flip(1)).square()  # (B, T, F)
        of_mean = (x.mean(dim=1, keepdim=True) - mean).square()  # (B, 1, F)
        per_video = frames.mean(dim=(1, 2)) + self.mean_weight / x.shape[1] * of_mean.mean(dim=(1, 2))
        return gather_rows(per_video).mean() / 3
