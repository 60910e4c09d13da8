"""Dropout as a module."""

from torch import Tensor, nn

from avhash_nas.kernels import dropout


class Dropout(nn.Dropout):
    """`avhash_nas.kernels.dropout` during training.

    Args:
        probability: Dropout probability.
        rectify: Whether to apply ReLU first, also outside training.
    """

    def __init__(self, probability: float, *, rectify: bool = False) -> None:
        super().__init__(probability)
        self.rectify = rectify

    def forward(self, x: Tensor) -> Tensor:
        """Maps any shape to itself."""
        return dropout(x, self.p if self.training else 0.0, rectify=self.rectify)
