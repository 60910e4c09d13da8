"""The base classes of operators, and checks of their arguments."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from avhash_nas.errors import AvnasError
from avhash_nas.kernels import Filter


class Operator(nn.Module):
    """One candidate of a cell: a module on sequences.

    Operators of the cell kinds M, U, T and S take one sequence, `forward(x)`; those of D, I and F take two,
    `forward(x, y)`. All sequences are (B, T, W), and the output has the shape of the first. Inputs must not be
    modified, as other operators read them.

    The constructor takes any of these keywords; the network passes those and no others. Further keywords need a
    default.

    - `width`: W, which is E = expand * D in the cells M1, M2, U1, U2 and D1, and D elsewhere.
    - `model_width`: D.
    - `hidden`: inner width of feed-forward networks, 4 * D.
    - `expand`: E / D.
    - `heads`: number of attention heads.
    - `states`: N of an SSM.
    - `rank`: rank of an SSM's step size.
    - `dropout`: a probability.

    Attributes:
        name: Name of the candidate in a search space. Operators of different kinds may share a name.
        kinds: The cell kinds it can fill, one letter each: M, U, D, I, F, T, or S (self-fusion in single-modality
            networks).
    """

    name: ClassVar[str]
    kinds: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()

    def residual_outputs(self) -> tuple[nn.Linear, ...]:
        """The last linear maps of the residual branches: if they are zero, the operator is the identity."""
        return ()

    def as_filter(self, x: Tensor) -> Filter | None:
        """The operator as a causal filter of its input x, (B, T, W), or None: a mixture merges all such candidates."""


class TwoSided(Operator, ABC):
    """An operator on two sequences of the form Z = join(left(X), right(Y)).

    For many pairs of sequences, each side is computed once.
    """

    @abstractmethod
    def left(self, x: Tensor) -> tuple[Tensor, ...]:
        """The part that depends only on X, (B, T, W)."""

    @abstractmethod
    def right(self, y: Tensor) -> tuple[Tensor, ...]:
        """The part that depends only on Y, (B, S, W)."""

    @abstractmethod
    def join(self, left: tuple[Tensor, ...], right: tuple[Tensor, ...]) -> Tensor:
        """Z, (B, T, W), from both sides."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Maps X, (B, T, W), and Y, (B, S, W), to (B, T, W)."""
        return self.join(self.left(x), self.right(y))


def check_positive(operator: type[Operator], **values: int) -> None:
    """Raises AvnasError unless all values are at least 1."""
    for name, value in values.items():
        if value < 1:
            raise AvnasError(f"{operator.name}: {name} is {value}, it must be at least 1")


def check_dropout(operator: type[Operator], dropout: float) -> None:
    """Raises AvnasError unless 0 <= dropout < 1."""
    if not 0 <= dropout < 1:
        raise AvnasError(f"{operator.name}: dropout is {dropout}, it must be at least 0 and below 1")


def check_heads(operator: type[Operator], width: int, heads: int) -> None:
    """Raises AvnasError unless the width is a multiple of the heads."""
    check_positive(operator, width=width, heads=heads)
    if width % heads:
        divisors = [count for count in range(1, width + 1) if width % count == 0]
        near = min(divisors, key=lambda count: abs(count - heads))
        raise AvnasError(
            f"{operator.name}: {heads} heads do not divide the width {width}: use {near} heads, "
            f"or a width that is a multiple of {heads}"
        )
