"""What all operators share, and how one is found by its name."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from avhash_nas.errors import AvnasError
from avhash_nas.kernels import Filter


class Operator(nn.Module):
    """One candidate of a cell: a module on sequences.

    Operators of the cell kinds M, U, T and S take one sequence, `forward(x)`; those of D, I and F take two,
    `forward(x, y)`. All sequences are (B, T, W), and the output has the shape of the first. Inputs are left as they
    are: other operators read them too.

    A constructor asks by keyword for what it needs, out of these names; the network passes those and no others.
    Further keywords need a default value.

    - `width`: W, which is E = expand * D in the cells M1, M2, U1, U2 and D1, and D elsewhere.
    - `model_width`: D.
    - `hidden`: inner width of feed-forward networks, 4 * D.
    - `expand`: E / D.
    - `heads`: of an attention.
    - `states`: N of an SSM.
    - `rank`: of an SSM's step size.
    - `dropout`: a probability.

    Attributes:
        name: What a search space calls the candidate. Two operators may share a name when they serve different kinds.
        kinds: The cell kinds it can fill, one letter each: M, U, D, I, F, T, or S (self-fusion in single-modality
            networks).
    """

    name: ClassVar[str]
    kinds: ClassVar[str]

    def residual_outputs(self) -> tuple[nn.Linear, ...]:
        """The last maps of the operator's residual branches: at zero, the operator passes its input on."""
        return ()

    def as_filter(self, x: Tensor) -> Filter | None:  # noqa: ARG002 - for those that are one
        """The operator as a causal filter of each channel, if it is one: a mixture runs all such candidates at once.

        Args:
            x: What it would be applied to, (B, T, W).

        Returns:
            None by default, and from operators that are no filter.
        """
        return None

    def __init__(self) -> None:
        super().__init__()


class TwoSided(Operator, ABC):
    """An operator on two sequences, part of whose work needs only one of them: Z = join(left(X), right(Y)).

    Where many pairs are to be computed, each side of them is computed once.
    """

    @abstractmethod
    def left(self, x: Tensor) -> tuple[Tensor, ...]:
        """What depends on X, (B, T, W), alone."""

    @abstractmethod
    def right(self, y: Tensor) -> tuple[Tensor, ...]:
        """What depends on Y, (B, S, W), alone."""

    @abstractmethod
    def join(self, left: tuple[Tensor, ...], right: tuple[Tensor, ...]) -> Tensor:
        """Z, (B, T, W), from both sides."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Maps X, (B, T, W), and Y, (B, S, W), to (B, T, W)."""
        return self.join(self.left(x), self.right(y))


def check_positive(operator: type[Operator], **values: int) -> None:
    """Raises AvnasError, naming the operator and the value, unless all values are at least 1."""
    for name, value in values.items():
        if value < 1:
            raise AvnasError(f"{operator.name}: {name} is {value}, it must be at least 1")


def check_dropout(operator: type[Operator], dropout: float) -> None:
    """Raises AvnasError unless 0 <= dropout < 1."""
    if not 0 <= dropout < 1:
        raise AvnasError(f"{operator.name}: dropout is {dropout}, it must be at least 0 and below 1")


def check_heads(operator: type[Operator], width: int, heads: int) -> None:
    """Raises AvnasError unless the heads share the width evenly."""
    check_positive(operator, width=width, heads=heads)
    if width % heads:
        fitting = [count for count in range(1, width + 1) if width % count == 0]
        near = min(fitting, key=lambda count: abs(count - heads))
        raise AvnasError(
            f"{operator.name}: {heads} heads do not divide the width {width}: take {near} heads, "
            f"or a width that is a multiple of {heads}"
        )
