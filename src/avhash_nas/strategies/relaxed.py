"""Continuous relaxation: a choice becomes a mixture, and the search a descent on the mixture's weights."""

from collections.abc import Mapping, Sequence

from torch import Tensor
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.networks import Route, Routes, mixture_route
from avhash_nas.space import Architecture, SearchSpace
from avhash_nas.strategies.base import SearchStrategy
from avhash_nas.strategies.logits import ArchitectureLogits
from avhash_nas.strategies.protocols import SearchProgress


class RelaxedStrategy(SearchStrategy):
    """Every cell outputs the softmax(alpha)-weighted sum of its candidates; the derived architecture is the argmax.

    A subclass decides which loss alpha descends on. The schedule is the same for all: until `warmup` alpha is frozen;
    then the softmax's temperature falls geometrically from 1; from `discretize_at` every cell runs its most probable
    candidate alone, so that the last epochs train the weights as pruning leaves them.

    Args:
        lr: Learning rate of alpha.
        betas: Adam's moment decay rates for alpha.
        weight_decay: Of alpha.
        init_scale: Standard deviation of alpha's initial values.
        temperature: Final temperature of the softmax.
        warmup: Fraction of the search, in [0, 1), before which alpha is frozen and the temperature stays 1.
        discretize_at: Fraction of the search, above `warmup` and at most 1, at which the mixture ends; 1 keeps it.

    Raises:
        AvnasError: An option is out of range.
    """

    architecture: ArchitectureLogits

    def __init__(
        self,
        lr: float,
        betas: tuple[float, float],
        weight_decay: float,
        init_scale: float,
        temperature: float,
        warmup: float,
        discretize_at: float,
    ) -> None:
        for name, value in {"lr": lr, "weight_decay": weight_decay, "init_scale": init_scale}.items():
            if not value >= 0:
                raise AvnasError(f"strategy.{name} must not be negative, got {value}")
        if not all(0 <= beta < 1 for beta in betas):
            raise AvnasError(f"strategy.betas must lie in [0, 1), got {betas}")
        if not temperature > 0:
            raise AvnasError(f"strategy.temperature must be positive, got {temperature}")
        if not 0 <= warmup < 1:
            raise AvnasError(f"strategy.warmup is a part of the search in [0, 1), got {warmup}")
        if not warmup < discretize_at <= 1:
            raise AvnasError(
                f"strategy.discretize_at must be above warmup ({warmup}) and at most 1, got {discretize_at}"
            )
        self.lr = lr
        self.betas = betas
        self.weight_decay = weight_decay
        self.init_scale = init_scale
        self.temperature = temperature
        self.warmup = warmup
        self.discretize_at = discretize_at

    @override
    def setup_search(self, space: SearchSpace, seed: int) -> None:
        super().setup_search(space, seed)
        self.architecture = ArchitectureLogits(space, self.init_scale, seed)

    def alpha_moves(self, progress: SearchProgress) -> bool:
        """Whether alpha is trained: after warm-up and before the mixture ends."""
        return progress.fraction >= self.warmup and not self._discretized(progress)

    def temperature_at(self, progress: SearchProgress) -> float:
        """Temperature of the softmax."""
        return self.temperature_after(progress.fraction)

    def temperature_after(self, fraction: float) -> float:
        """Temperature of the softmax after a fraction of the search, in [0, 1]."""
        done = (fraction - self.warmup) / (self.discretize_at - self.warmup)
        return float(self.temperature ** min(1.0, max(0.0, done)))

    def weights(self, progress: SearchProgress) -> dict[str, Tensor]:
        """The mixture's weights by cell name, with a gradient for alpha."""
        return self.architecture.probabilities(self.temperature_at(progress))

    def relaxed_route(self, progress: SearchProgress, *, requires_grad: bool) -> Route:
        """The mixture; the derived architecture after `discretize_at`.

        Args:
            progress: When it runs.
            requires_grad: Whether alpha gets a gradient.
        """
        if self._discretized(progress):
            return self.space.indices(self.derive())
        weights = self.weights(progress)
        return mixture_route(weights if requires_grad else {cell: values.detach() for cell, values in weights.items()})

    @override
    def evaluation_routes(self, progress: SearchProgress) -> Mapping[str, Routes]:
        """The mixture and what it would be pruned to: their difference is the discretization gap."""
        return {"supernet": self.route(progress), **super().evaluation_routes(progress)}

    @override
    def summary(self, progress: SearchProgress) -> dict[str, float]:
        """Adds the mean entropy of the cells (1 uniform, 0 decided) and the temperature."""
        temperature = self.temperature_at(progress)
        entropy = float(self.architecture.entropy(temperature).detach())
        return {"entropy": entropy, "temperature": temperature, **super().summary(progress)}

    @override
    def probabilities(self, progress: SearchProgress) -> Mapping[str, Sequence[float]]:
        """softmax(alpha / temperature), also after `discretize_at`."""
        tensors = self.architecture.probabilities(self.temperature_at(progress))
        return {cell: values.detach().tolist() for cell, values in tensors.items()}

    @override
    def derive(self) -> Architecture:
        return self.architecture.argmax()

    def _discretized(self, progress: SearchProgress) -> bool:
        return self.discretize_at < 1 and progress.fraction >= self.discretize_at
