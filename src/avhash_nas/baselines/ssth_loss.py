"""What SSTH is trained by: the video rebuilt from its code, in both directions and on average."""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from avhash_nas.baselines.ssth import SSTH, LastState, PeepholeCell, lstm_bias
from avhash_nas.data import Batch, HashingData
from avhash_nas.distributed import gather_rows
from avhash_nas.errors import AvnasError
from avhash_nas.networks import HashNetwork, RoutedNetwork
from avhash_nas.objectives import Objective


class Decoder(nn.Module):
    """An LSTM without inputs that starts from a code and its cell state: h_t = o_t tanh(c_t), y_t = W h_t + b.

    Args:
        width: K, units.
        features: F, width of what it rebuilds.
        steps: Time steps that it gives.
        momentum: As of `PeepholeCell`.
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
        """Features, (B, steps, F).

        Args:
            code: The binary code, shape (B, K).
            c: The cell state behind it, shape (B, K).
        """
        h, outputs = code, []
        for step in range(self.steps):
            o, c = self.cell(self.bias, h, c, step)
            h = o * torch.tanh(c)
            outputs.append(h)
        rebuilt: Tensor = self.output(torch.stack(outputs, dim=1))
        return rebuilt


class SSTHLoss(Objective):
    """Squared errors of three decoders that start from a video's last state (ACM MM 2016; the authors' BLSTM code).

        L = 1/3 sum_t ||x_t - y_t||^2 + 1/3 sum_t ||x_t - r_(T+1-t)||^2 + w/3 ||mean_t x_t - m||^2

    y and r rebuild the frames in their order and in the reversed one, m rebuilds their mean in a single step. The loss
    here is that sum divided by T F, and its mean over videos: a constant factor, which Adam does not feel. For the
    same reason the authors' penalty of 1e-4 / 2 ||weights||^2 on the undivided sum over a batch is left out; it is
    some 1e-11 of a mean. They train by momentum, each step's move clipped to 1e-4 for each weight; Adam at a learning
    rate of 1e-4 moves about as far.

    Args:
        mean_weight: w; 200 in the authors' code, where T is 25. Their later SSVH takes T.

    Raises:
        AvnasError: The weight is negative.
    """

    def __init__(self, mean_weight: float = 200.0) -> None:
        super().__init__()
        if mean_weight < 0:
            raise AvnasError(f"SSTHLoss: mean_weight must not be negative, got {mean_weight}")
        self.mean_weight = mean_weight
        self.decoders = nn.ModuleDict()

    def setup(self, data: HashingData, network: HashNetwork, prepared: Mapping[str, Tensor]) -> None:  # noqa: ARG002
        """Make the decoders.

        Raises:
            AvnasError: The network is no SSTH.
        """
        if not isinstance(network, SSTH):
            raise AvnasError(
                f"SSTHLoss starts its decoders from the cell state of an SSTH and cannot train {type(network).__name__}"
            )
        lengths = {"ahead": network.frames, "back": network.frames, "mean": 1}
        self.decoders = nn.ModuleDict(
            {
                name: Decoder(network.bits, network.features_dim, steps, network.momentum)
                for name, steps in lengths.items()
            }
        )

    def loss(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        """The mean over the videos of all ranks."""
        x = cast(SSTH, network.network).features(batch.visual, batch.audio)
        state: LastState = network.apply(lambda ssth: cast(SSTH, ssth).last_state(x))
        code = state.binary[:, -1]
        ahead, back, mean = (self.decoders[name](code, state.c) for name in ("ahead", "back", "mean"))
        frames = (x - ahead).square() + (x - back.flip(1)).square()  # (B, T, F)
        of_mean = (x.mean(dim=1, keepdim=True) - mean).square()  # (B, 1, F)
        per_video = frames.mean(dim=(1, 2)) + self.mean_weight / x.shape[1] * of_mean.mean(dim=(1, 2))
        return gather_rows(per_video).mean() / 3
