"""Masked reconstruction: what a video's hidden time steps must have been, from the codes of the visible ones."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from avhash_nas.errors import AvnasError
from avhash_nas.networks.vit_block import sinusoids, start_linear_layers


class StepDecoder(nn.Module):
    """The decoder of a masked autoencoder over the codes of time steps, as in ConMH and S5VH.

    FC without bias from q bits to width W at the visible time steps, one trained token at the masked ones, position
    vectors added to both; layers; LayerNorm and FC to F at the masked ones. The masked time steps follow the visible
    ones, whatever their positions.

    Args:
        bits: q.
        features: F.
        layers: From (B, T, W) to (B, T, W).
        width: W.
    """

    def __init__(self, bits: int, features: int, layers: Sequence[nn.Module], width: int) -> None:
        super().__init__()
        self.embed = nn.Linear(bits, width, bias=False)
        self.mask_token = nn.Parameter(nn.init.trunc_normal_(torch.empty(width), std=0.02, a=-0.02, b=0.02))
        self.layers = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.out = nn.Linear(width, features)
        start_linear_layers(self.out)

    def forward(self, steps: Tensor, visible: Tensor, masked: Tensor) -> Tensor:
        """Predicts features.

        Args:
            steps: Codes of the visible time steps, shape (B, S, q).
            visible: Their positions, shape (B, S).
            masked: Positions of the masked time steps, shape (B, m).

        Returns:
            Shape (B, m, F).

        Raises:
            AvnasError: The network did not give a code for each time step.
        """
        if steps.shape[:2] != visible.shape:
            raise AvnasError(
                f"reconstruction needs a code for each time step: the network saw {visible.shape[1]} time steps and "
                f"gave {steps.shape[1]} codes"
            )
        seen: Tensor = self.embed(steps)
        width, kind = seen.shape[2], seen.dtype
        tokens = self.mask_token.to(kind) + sinusoids(masked, width).to(kind)
        decoded = self.layers(torch.cat([seen + sinusoids(visible, width).to(kind), tokens], dim=1))
        predicted: Tensor = self.out(self.norm(decoded[:, visible.shape[1] :]))
        return predicted


def check_decoder(width: int, layers: int, heads: int = 1) -> None:
    """Refuses a decoder that cannot be built.

    Args:
        width: W, even for the position vectors.
        layers: At least 1.
        heads: From 1 to W.

    Raises:
        AvnasError: A number is out of range.
    """
    if width < 2 or width % 2:
        raise AvnasError(f"objective.decoder_width must be even and at least 2, got {width}")
    if layers < 1:
        raise AvnasError(f"objective.decoder_layers must be at least 1, got {layers}")
    if not 1 <= heads <= width:
        raise AvnasError(f"objective.decoder_heads must be from 1 to {width}, got {heads}")


def reconstruction_error(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of each video, over its masked time steps alone, in float32 at least.

    Args:
        predicted: Features of the masked time steps, shape (..., m, F).
        target: What they are, of the same shape.

    Returns:
        Shape (...).
    """
    wide = torch.promote_types(predicted.dtype, torch.float32)
    return (predicted.to(wide) - target.to(wide)).square().mean(dim=(-2, -1))
