"""AV-NAS: one-level search by gradient (SIGIR 2025)."""

from typing import Any, Literal

from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.networks import Route
from avhash_nas.strategies.protocols import SearchProgress
from avhash_nas.strategies.relaxed import RelaxedStrategy


class AVNAS(RelaxedStrategy):
    """The paper's "coarse search": weights and architecture parameters descend together on the training loss.

    Every cell outputs the softmax(alpha)-weighted sum of its candidates (Eq. 39); each mini-batch of the whole
    training set updates W and alpha in one step (Eq. 40). Alpha is a parameter group of the weights' optimizer, which
    is the same, bit for bit, as a second optimizer of that kind. Pruning takes the argmax (Eq. 42-43).

    With the paper's learning rate of 1e-3 and few steps alpha hardly moves from uniform, and the pruned network has
    little in common with the mixture: the discretization gap. Three settings that the paper does not have close it:
    a learning rate of alpha's own; a temperature that falls geometrically, and alpha's learning rate with it, so that
    a step moves alpha / temperature, and with it the probabilities, as far as at the start; and an end of the mixture
    at `discretize_at`, after which every cell runs its most probable candidate alone, and the last epochs train the
    network that pruning will leave. Temperature alone does not suffice: Adam moves candidates whose gradients agree in
    sign by the same steps, so that some cells end in ties which no temperature decides.

    Args:
        lr: Learning rate of alpha (the paper's README table: 1e-3, as for the weights).
        betas: Adam's moment decay rates for alpha.
        weight_decay: Of alpha; pulls the probabilities back to uniform.
        init_scale: Standard deviation of alpha's initial values. The authors' code uses 1.
        temperature: Final temperature of the softmax; it starts at 1. The paper has 1 throughout.
        warmup: Fraction of the search, in [0, 1), before which alpha is frozen and the temperature stays 1.
        discretize_at: Fraction of the search, above `warmup` and at most 1, at which the temperature is reached and
            each cell starts to run its most probable candidate alone; 1 (the paper) keeps the mixture to the end.
        select: Score on val that selects the epoch to keep: `supernet` is Eq. 41; `derived` scores the pruned network
            as it stands.

    Raises:
        AvnasError: An option is out of range.
    """

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
        init_scale: float = 0.0,
        temperature: float = 1.0,
        warmup: float = 0.0,
        discretize_at: float = 1.0,
        select: Literal["supernet", "derived"] = "supernet",
    ) -> None:
        super().__init__(lr, betas, weight_decay, init_scale, temperature, warmup, discretize_at)
        if select not in ("supernet", "derived"):
            raise AvnasError(f"strategy.select is supernet or derived, got {select!r}")
        self.monitor = select

    @override
    def parameter_groups(self) -> list[dict[str, Any]]:
        return [
            {
                "params": list(self.architecture.parameters()),
                "lr": self.lr,
                "betas": self.betas,
                "weight_decay": self.weight_decay,
                "lr_multiplier": self.temperature_after,
            },
        ]

    @override
    def route(self, progress: SearchProgress) -> Route:
        return self.relaxed_route(progress, requires_grad=self.alpha_moves(progress))
