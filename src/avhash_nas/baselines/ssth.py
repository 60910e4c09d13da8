"""SSTH: a binary LSTM (Zhang, Wang, Hong, Chua, ACM MM 2016; the authors' BLSTM code)."""

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.baselines.sequence_network import Modality, SequenceNetwork
from avhash_nas.errors import AvnasError
from avhash_nas.networks import BatchNorm, CodesAndSteps, Route, hard_sign


class PeepholeCell(nn.Module):
    """An LSTM cell with peepholes. Its state is batch-normalized, with separate statistics and affine per time step.

    With the linearly mapped input x, the sigmoid s, and the normalized state c of the previous step,

        i = s(x_i + U_i h + p_i c),  f = s(x_f + U_f h + p_f c),
        c' = BN_t(f c + i tanh(x_g + U_g h)),  o = s(x_o + U_o h + p_o c').

    The recurrent matrices start orthogonal, the peepholes at zero (in the authors' code, uniform, of a width that the
    code does not give).

    Args:
        width: K, units.
        steps: Number of time steps.
        momentum: Weight of a batch in the running statistics.
    """

    def __init__(self, width: int, steps: int, momentum: float) -> None:
        super().__init__()
        self.recurrent = nn.Parameter(torch.empty(4 * width, width))
        self.peepholes = nn.Parameter(torch.zeros(3, width))
        self.norms = nn.ModuleList(BatchNorm(width, momentum=momentum) for _ in range(steps))
        for matrix in self.recurrent.detach().chunk(4):
            nn.init.orthogonal_(matrix)

    def forward(self, x: Tensor, h: Tensor, c: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """One step.

        Args:
            x: Mapped input of i, f, g and o, bias included, (B, 4 K) or (4 K,).
            h: Output of the previous step, (B, K).
            c: Normalized state of the previous step, (B, K).
            step: Index of the time step.

        Returns:
            The output gate and the normalized state, (B, K) each.
        """
        i, f, g, o = torch.addmm(x, h, self.recurrent.T).chunk(4, dim=1)
        to_i, to_f, to_o = self.peepholes
        c = self.norms[step](torch.sigmoid(f + c * to_f) * c + torch.sigmoid(i + c * to_i) * torch.tanh(g))
        return torch.sigmoid(o + c * to_o), c


class LastState(NamedTuple):
    """The state of the network after a video.

    Attributes:
        binary: Binarized outputs of all time steps, shape (B, T, K). The last one is the code.
        h: Output of the last time step before it is binarized, shape (B, K).
        c: Normalized cell state of the last time step, shape (B, K).
    """

    binary: Tensor
    h: Tensor
    c: Tensor


class SSTH(SequenceNetwork):
    """One layer of `PeepholeCell`, with as many units as bits; h_t = o_t c_t, and the next step reads sign(h_t).

    The code is the sign of the last h; relaxed codes are h clipped to [-1, 1], where the sign has a gradient
    (`networks.hard_sign`). There is no tanh, as the state is normalized. Secondary sources describe two layers; the
    authors' code has one.

    Trained by `SSTHLoss` on the features alone.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        frames: T, the number of time steps of every video: each has its own normalization.
        bits: Code length K (the authors' code: 256).
        modality: Input of the network; the published method is `visual`.
        momentum: Weight of a batch in the running statistics, which converge in about 3 / momentum steps.
    """

    default_components: ClassVar = {
        "objective": "avhash_nas.baselines.SSTHLoss",
        "data.sampling": "avhash_nas.data.Shuffled",
    }

    def __init__(
        self,
        visual_dim: int,
        audio_dim: int,
        frames: int,
        bits: int,
        *,
        modality: Modality = "visual",
        momentum: float = 0.01,
    ) -> None:
        super().__init__(visual_dim, audio_dim, bits, modality)
        self.frames = frames
        self.momentum = momentum
        self.input = nn.Linear(self.features_dim, 4 * bits)
        self.cell = PeepholeCell(bits, frames, momentum)
        for matrix in self.input.weight.detach().chunk(4):
            nn.init.xavier_uniform_(matrix)
        with torch.no_grad():
            self.input.bias.copy_(lstm_bias(bits))

    @override
    def forward(self, visual: Tensor, audio: Tensor, route: Route | None = None) -> Tensor:
        return self.last_state(self.features(visual, audio)).h.clamp(-1, 1)

    @override
    def codes_and_steps(
        self, visual: Tensor, audio: Tensor, route: Route | None = None, positions: Tensor | None = None
    ) -> CodesAndSteps:
        state = self.last_state(self.features(visual, audio))
        return CodesAndSteps(state.h.clamp(-1, 1), state.binary)

    def last_state(self, x: Tensor) -> LastState:
        """Encodes videos.

        Args:
            x: Features, shape (B, T, F).

        Raises:
            AvnasError: T is not the number of time steps of the network.
        """
        if x.shape[1] != self.frames:
            raise AvnasError(
                f"SSTH: the network was made for {self.frames} time steps and got {x.shape[1]}; "
                "it takes whole videos of one length (no augmentation.frames)"
            )
        b = c = h = x.new_zeros(len(x), self.bits)
        binary = []
        for step, inputs in enumerate(self.input(x).unbind(1)):
            o, c = self.cell(inputs, b, c, step)
            h = o * c
            b = hard_sign(h)
            binary.append(b)
        return LastState(torch.stack(binary, dim=1), h, c)

    @property
    @override
    def head(self) -> nn.Module:
        """All layers: the state of the cell is the code."""
        return self


def lstm_bias(width: int) -> Tensor:
    """Initial biases of i, f, g and o, (4 K,): 1 for the forget gate, else 0."""
    return torch.tensor([0.0, 1.0, 0.0, 0.0]).repeat_interleave(width)
