"""Continuous relaxation: a choice becomes a mixture, and the search a descent on the mixture's weights."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from avhash_nas.errors import AvnasError
from avhash_nas.networks import Route, Routes, mixture_route
from avhash_nas.space import Architecture, SearchSpace
from avhash_nas.strategies.base import SearchStrategy
from avhash_nas.strategies.logits import ArchitectureLogits
from avhash_nas.strategies.protocols import SearchProgress


class RelaxedStrategy(SearchStrategy):
    """Every cell outputs the softmax(alpha)-weighted sum of its candidates; the argmax is what is derived.

    What alpha descends on is the subclass's part. The course of a search is the same for all of them: from `warmup` on
    alpha moves and the softmax's temperature falls, geometrically from 1; from `discretize_at` on every cell runs its most
    probable candidate alone, so that the weights of the last epochs are trained as pruning leaves them.

    Args:
        lr: Learning rate of alpha.
        betas: Adam's moment decay rates for alpha.
        weight_decay: Of alpha.
        init_scale: Standard deviation of alpha's initial values.
        temperature: What the softmax's temperature falls to.
        warmup: Part of the search, in [0, 1), before which alpha does not move and the temperature stays 1.
        discretize_at: Part of the search, above `warmup` and at most 1, from which there is no mixture; 1 keeps it to the end.

    Raises:
        AvnasError: An option lies outside its range.
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
            raise AvnasError(f"strategy.harden lies above warmup ({warmup}) and is at most 1, got {discretize_at}")
        self.lr = lr
        self.betas = betas
        self.weight_decay = weight_decay
        self.init_scale = init_scale
        self.temperature = temperature
        self.warmup = warmup
        self.discretize_at = discretize_at

    def setup_search(self, space: SearchSpace, seed: int) -> None:
        """Make alpha."""
        super().setup_search(space, seed)
        self.architecture = ArchitectureLogits(space, self.init_scale, seed)

    def learns(self, progress: SearchProgress) -> bool:
        """Whether alpha moves: behind the warm-up and as long as there is a mixture."""
        return progress.fraction >= self.warmup and not self._hardened(progress)

    def temperature_at(self, progress: SearchProgress) -> float:
        """Softmax temperature at a moment."""
        return self.temperature_after(progress.fraction)

    def temperature_after(self, progress: float) -> float:
        """Softmax temperature when a part `progress` of the search, in [0, 1], is done."""
        done = (progress - self.warmup) / (self.discretize_at - self.warmup)
        return float(self.temperature ** min(1.0, max(0.0, done)))

    def weights(self, progress: SearchProgress) -> dict[str, Tensor]:
        """The mixture's weights by cell name, with a gradient for alpha."""
        return self.architecture.probabilities(self.temperature_at(progress))

    def relaxed_route(self, progress: SearchProgress, *, learns: bool) -> Route:
        """The mixture; the derived architecture once hardened.

        Args:
            progress: When it runs.
            learns: Whether alpha gets a gradient.
        """
        if self._hardened(progress):
            return self.space.indices(self.derive())
        weights = self.weights(progress)
        return mixture_route(weights if learns else {cell: values.detach() for cell, values in weights.items()})

    def evaluation_routes(self, progress: SearchProgress) -> Mapping[str, Routes]:
        """What is trained and what it would be pruned to: their difference is the discretization gap."""
        return {"supernet": self.route(progress), **super().evaluation_routes(progress)}

    def summary(self, progress: SearchProgress) -> dict[str, float]:
        """Adds the mean entropy of the cells (1 uniform, 0 decided) and the temperature."""
        temperature = self.temperature_at(progress)
        entropy = float(self.architecture.entropy(temperature).detach())
        return {"entropy": entropy, "temperature": temperature, **super().summary(progress)}

    def probabilities(self, progress: SearchProgress) -> Mapping[str, Sequence[float]]:
        """softmax(alpha / temperature), whether or not each cell runs its most probable candidate alone by now."""
        found = self.architecture.probabilities(self.temperature_at(progress))
        return {cell: values.detach().tolist() for cell, values in found.items()}

    def derive(self) -> Architecture:
        """The most probable candidate of every cell."""
        return self.architecture.argmax()

    def _hardened(self, progress: SearchProgress) -> bool:
        return self.discretize_at < 1 and progress.fraction >= self.discretize_at
