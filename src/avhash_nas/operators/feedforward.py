"""Position-wise operators: one linear layer, and the two-layer feed-forward network (Table 1, type M)."""

from torch import Tensor, nn

from avhash_nas.operators.dropout import Dropout
from avhash_nas.operators.operator import Operator, check_dropout, check_positive


class MLP(Operator):
    """Z = Drop(FC(X)) at every time step.

    Args:
        width: W, of input and output.
        dropout: Probability of dropping an output value.
    """

    name = "mlp"
    kinds = "M"

    def __init__(self, *, width: int, dropout: float = 0.1) -> None:
        super().__init__()
        check_positive(type(self), width=width)
        check_dropout(type(self), dropout)
        self.linear = nn.Linear(width, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, T, W) to (B, T, W)."""
        z: Tensor = self.dropout(self.linear(x))
        return z


class FeedForward(Operator):
    """Z = FC(Drop(ReLU(FC(X)))) at every time step.

    Table 1 prints the inner width as 4d. The parameter counts of Table 2 match 4 D at both widths, so the inner width
    does not grow with E. (The authors' code: GELU instead of ReLU, and dropout after the second layer.)

    Args:
        width: W, of input and output.
        hidden: Inner width, 4 * D in the paper.
        dropout: Probability of dropping an inner value.
    """

    name = "ffn"
    kinds = "M"

    def __init__(self, *, width: int, hidden: int, dropout: float = 0.1) -> None:
        super().__init__()
        check_positive(type(self), width=width, hidden=hidden)
        check_dropout(type(self), dropout)
        self.linear_in = nn.Linear(width, hidden)
        self.dropout = Dropout(dropout, rectify=True)
        self.linear_out = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, T, W) to (B, T, W)."""
        z: Tensor = self.linear_out(self.dropout(self.linear_in(x)))
        return z
