"""What every objective has in common: real-valued codes and labels in, one number out."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Objective(nn.Module, ABC):
    """A loss over one batch of codes.

    A subclass sets itself up in its constructor, whose arguments become options of the command line
    (`--objective=InfoNCE --objective.temperature=0.2`), and implements `forward`.
    """

    @abstractmethod
    def forward(self, codes: Tensor, labels: Tensor) -> Tensor:
        """Computes the loss.

        Args:
            codes: Real-valued codes before the sign, shape (B, q).
            labels: Whether video b has class c, bool, shape (B, C).

        Returns:
            The loss, a scalar. It has a graph even where the batch gives it nothing to compare.
        """
