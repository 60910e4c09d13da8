"""AV-NAS: one-level search by gradient (SIGIR 2025)."""

from collections.abc import Mapping
from typing import Any, Literal

from avhash_nas.errors import AvnasError
from avhash_nas.networks import Route, Routes, mixture_route
from avhash_nas.space import Architecture, SearchSpace
from avhash_nas.strategies.base import SearchStrategy
from avhash_nas.strategies.logits import ArchitectureLogits
from avhash_nas.strategies.moment import Moment


class AVNAS(SearchStrategy):
    """The paper's "coarse search": weights and architecture parameters descend together on the training loss.

    Every cell outputs the softmax(alpha)-weighted sum of its candidates (Eq. 39); each mini-batch of the whole
    training set updates W and alpha in one step (Eq. 40). Alpha is a parameter group of the weights' optimiser, which
    is the same, bit for bit, as a second optimiser of that kind. Pruning takes the argmax (Eq. 42-43).

    With the paper's learning rate of 1e-3 and few steps alpha hardly moves from uniform, and the pruned network has
    little in common with the mixture: the discretisation gap. Three settings that the paper does not have close it:
    a learning rate of alpha's own; a temperature that falls geometrically, and alpha's learning rate with it, so that a
    step moves alpha / temperature, and with it the probabilities, as far as at the start; and an end of the mixture
    at `harden`, from where every cell runs its most probable candidate alone, and the last epochs train what pruning
    will leave. Temperature alone does not suffice: Adam moves candidates whose gradients agree in sign by the same
    steps, so that some cells end in ties which no temperature decides.

    Args:
        lr: Learning rate of alpha (the paper's README table: 1e-3, as for the weights).
        betas: Adam's moment decay rates for alpha.
        weight_decay: Of alpha; pulls the probabilities back to uniform.
        init_scale: Standard deviation of alpha's initial values. The authors' code uses 1.
        temperature: What the softmax's temperature falls to; it starts at 1. The paper has 1 throughout.
        warmup: Part of the search, in [0, 1), before which alpha does not move and the temperature stays 1.
        harden: Part of the search, above `warmup` and at most 1, by which the temperature has fallen and from which
            each cell runs its most probable candidate alone; 1 (the paper) keeps the mixture to the end.
        select: Which score on val picks the state that is kept: `supernet` is Eq. 41; `derived` asks how good the
            pruned network is as it stands.

    Raises:
        AvnasError: An option lies outside its range.
    """

    architecture: ArchitectureLogits

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
        init_scale: float = 0.0,
        temperature: float = 1.0,
        warmup: float = 0.0,
        harden: float = 1.0,
        select: Literal["supernet", "derived"] = "supernet",
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
        if not warmup < harden <= 1:
            raise AvnasError(f"strategy.harden lies above warmup ({warmup}) and is at most 1, got {harden}")
        if select not in ("supernet", "derived"):
            raise AvnasError(f"strategy.select is supernet or derived, got {select!r}")
        self.selects = select
        self.lr = lr
        self.betas = betas
        self.weight_decay = weight_decay
        self.init_scale = init_scale
        self.temperature = temperature
        self.warmup = warmup
        self.harden = harden

    def begin(self, space: SearchSpace, seed: int) -> None:
        """Make alpha."""
        super().begin(space, seed)
        self.architecture = ArchitectureLogits(space, self.init_scale, seed)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Alpha, with its own learning rate, betas and decay."""
        return [
            {
                "params": list(self.architecture.parameters()),
                "lr": self.lr,
                "betas": self.betas,
                "weight_decay": self.weight_decay,
                "factor": self._temperature,
            },
        ]

    def temperature_at(self, moment: Moment) -> float:
        """Softmax temperature at a moment."""
        return self._temperature(moment.progress)

    def route(self, moment: Moment) -> Route:
        """The mixture, without a gradient for alpha during warm-up; the derived architecture once hardened."""
        if self.harden < 1 and moment.progress >= self.harden:
            return self.space.indices(self.derive())
        weights = self.architecture.probabilities(self.temperature_at(moment))
        if moment.progress < self.warmup:
            weights = {cell: cell_weights.detach() for cell, cell_weights in weights.items()}
        return mixture_route(weights)

    def evaluation_routes(self, moment: Moment) -> Mapping[str, Routes]:
        """What is trained and what it would be pruned to: their difference is the discretisation gap."""
        return {"supernet": self.route(moment), **super().evaluation_routes(moment)}

    def summary(self, moment: Moment) -> dict[str, float]:
        """Adds the mean entropy of the cells (1 uniform, 0 decided) and the temperature."""
        temperature = self.temperature_at(moment)
        entropy = float(self.architecture.entropy(temperature).detach())
        return {"entropy": entropy, "temperature": temperature, **super().summary(moment)}

    def derive(self) -> Architecture:
        """The most probable candidate of every cell."""
        return self.architecture.argmax()

    def _temperature(self, progress: float) -> float:
        """From 1 to `temperature` geometrically, between `warmup` and `harden`."""
        done = (progress - self.warmup) / (self.harden - self.warmup)
        return float(self.temperature ** min(1.0, max(0.0, done)))
