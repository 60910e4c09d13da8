"""Latency in a search: the expected latency of a distribution over architectures, as a term of the loss."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from avhash_nas.errors import AvnasError
from avhash_nas.networks import LatencyTable, VideoNetwork
from avhash_nas.space import SearchSpace
from avhash_nas.strategies.gates import Gate


class LatencyTerm:
    """Adds the expected latency E, relative to a reference R, to a loss; both in seconds per video.

    `add`: loss + weight * E / R, the paper's form (section 3.3) in units of R, as the authors' `add#linear`.
    `multiply`: loss * (E / R) ** weight. The authors' `mul#log` is loss * (log E / log R) ** beta, which depends on the
    unit of time; near R it grows by beta / log R percent for each percent of E: 0.068 with their beta of 0.3 and R of
    80 ms. The power has the same rate everywhere; it is the form of the reward in their REINFORCE variant, with 0.1.
    (Their further constant factor of 0.2 does not change Adam's steps.)

    Args:
        path: JSON file written by `avnas latency`.
        form: `add` or `multiply`.
        weight: At least 0.
        reference: R; None takes the mean over the space.

    Raises:
        AvnasError: An option is out of range, or the file cannot be read.

    Attributes:
        reference: R.
    """

    reference: float
    _seconds: dict[str, Tensor]
    _fixed: float

    def __init__(
        self, path: str, form: Literal["add", "multiply"], weight: float = 0.1, reference: float | None = None
    ) -> None:
        if form not in ("add", "multiply"):
            raise AvnasError(f"strategy.latency_form must be add or multiply, got {form!r}")
        if not weight >= 0:
            raise AvnasError(f"strategy.latency_weight must not be negative, got {weight}")
        if reference is not None and not reference > 0:
            raise AvnasError(f"strategy.latency_reference must be positive, got {reference}")
        self.path = path
        self.form = form
        self.weight = weight
        self._option = reference
        self._table = LatencyTable.load(path)

    def setup_search(self, space: SearchSpace) -> None:
        """Look up the times of a space.

        Raises:
            AvnasError: The table lacks a cell or a candidate.
        """
        with self._naming_the_file():
            seconds = self._table.seconds(space)
            fixed = self._table.fixed_seconds(space)
        self._seconds = {cell.name: torch.tensor(seconds.pop(cell.name), dtype=torch.float64) for cell in space.choices}
        self._fixed = fixed + sum(time for (time,) in seconds.values())
        uniform = {name: torch.full_like(times, 1 / len(times)) for name, times in self._seconds.items()}
        self.reference = self._option if self._option is not None else float(self.expected(uniform))

    def check(self, network: nn.Module) -> None:
        """Check that the table was measured for a network's sizes.

        Raises:
            AvnasError: It was measured at other sizes.
        """
        if isinstance(network, VideoNetwork):
            with self._naming_the_file():
                self._table.check_network(network.arguments())

    def expected(self, probabilities: Mapping[str, Tensor], gates: Mapping[str, Gate] | None = None) -> Tensor:
        """E: the fixed part plus sum_k p_k t_k of every cell with a choice.

        Args:
            probabilities: By cell name, with gradient: of all candidates, or of those that run in `gates`.
            gates: By cell name; None where the probabilities are those of all candidates.
        """
        parts = []
        for name, values in probabilities.items():
            times = self._seconds[name] if gates is None else self._seconds[name][list(gates[name].candidates)]
            parts.append((values * times.to(values)).sum())
        return self._fixed + torch.stack(parts).sum()

    def of_path(self, path: Mapping[str, int]) -> float:
        """Seconds per video of a single path."""
        return self._fixed + sum(float(times[path[name]]) for name, times in self._seconds.items())

    def penalized(self, loss: Tensor, seconds: Tensor | float) -> Tensor:
        """The loss with the term.

        Args:
            loss: A scalar; not negative where the form is `multiply`.
            seconds: E, or the time of one architecture.
        """
        ratio = seconds / self.reference
        if self.form == "multiply":
            return loss * ratio**self.weight
        return loss + self.weight * ratio

    @contextmanager
    def _naming_the_file(self) -> Iterator[None]:
        try:
            yield
        except AvnasError as error:
            raise AvnasError(
                f"strategy.latency: {self.path}: {error}; measure again with `avnas latency` for this space and network"
            ) from error
