"""DARTS: two-level search by gradient (Liu, Simonyan and Yang 2019), of first and second order."""

from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from avhash_nas.data import Batch
from avhash_nas.distributed import all_reduce_mean
from avhash_nas.errors import AvnasError
from avhash_nas.networks import Route
from avhash_nas.space import SearchSpace
from avhash_nas.strategies.hypergradient import Loss, full_precision, hypergradient, replayed
from avhash_nas.strategies.protocols import Searchable, SearchContext, SearchProgress, WeightOptimizer
from avhash_nas.strategies.relaxed import RelaxedStrategy
from avhash_nas.strategies.virtual_step import VirtualStep


class DARTS(RelaxedStrategy):
    """Architecture parameters descend on one half of the training videos, the weights on the other.

    Before every weight step alpha takes a step of its own Adam. First order descends on L_val(w, alpha) with the
    present weights; second order on L_val(w'(alpha), alpha), where w' are the weights after the next weight step
    (hypergradient.py). Differences from the authors' code:

    - they unroll a step of SGD with momentum whatever the weights' optimizer is; here it is the step of that optimizer,
      AdamW, with its state, its present learning rates and gradient clipping;
    - they move the weights a little, in place, and back, which rounding does not undo; here they are never written;
    - with dropout they draw another mask for each of the losses whose difference is taken; here all share one mask;
    - they split the training set by position, hence by class if it is sorted by class; here each class is split.

    The architecture is taken at the end, as there: no epoch is selected by its score on val unless `select` says so.

    Args:
        order: 1 or 2. Second order takes four gradients instead of one: of both losses with respect to the weights,
            and twice of the training loss with respect to alpha.
        lr: Learning rate of alpha. Adam moves an alpha by about that much in each step, so it must suit the number of
            steps; the default suits the authors' 50 epochs of 390 steps.
        betas: Adam's moment decay rates for alpha.
        weight_decay: Of alpha, added to its gradient; it pulls the probabilities back to uniform.
        init_scale: Standard deviation of alpha's initial values.
        temperature: Final temperature of the softmax; alpha's learning rate falls with it. 1 in DARTS.
        warmup: Fraction of the search, in [0, 1), for which alpha is frozen, so that candidates without weights do not
            win because they need no training (PC-DARTS, Xu et al. 2020: 15 of 50 epochs).
        discretize_at: Fraction of the search at which each cell starts to run its most probable candidate alone; 1 for
            never, as in DARTS.
        auxiliary_skip: DARTS- (Chu et al. 2021): every cell with the candidate `skip` also adds its input, times a
            factor that falls linearly from 1 to 0 at `discretize_at`. This provides the gradient path that otherwise
            lets `skip` win. Cells without that candidate are unchanged.
        select: `last` keeps the state at the end; `supernet` or `derived` the one with the best score on val.

    Raises:
        AvnasError: An option is out of range; or, when training starts, order 2 meets an optimizer or a precision that
            it cannot unroll, or accumulated gradients.
    """

    train_fraction = 0.5
    optimizer: torch.optim.Adam

    def __init__(
        self,
        order: Literal[1, 2] = 1,
        lr: float = 3e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        weight_decay: float = 1e-3,
        init_scale: float = 1e-3,
        temperature: float = 1.0,
        warmup: float = 0.0,
        discretize_at: float = 1.0,
        auxiliary_skip: bool = False,
        select: Literal["last", "supernet", "derived"] = "last",
    ) -> None:
        super().__init__(lr, betas, weight_decay, init_scale, temperature, warmup, discretize_at)
        if order not in (1, 2):
            raise AvnasError(f"strategy.order must be 1 or 2, got {order}")
        if select not in ("last", "supernet", "derived"):
            raise AvnasError(f"strategy.select is last, supernet or derived, got {select!r}")
        self.order = order
        self.auxiliary_skip = auxiliary_skip
        self.monitor = None if select == "last" else select

    @override
    def setup_search(self, space: SearchSpace, seed: int) -> None:
        super().setup_search(space, seed)
        alphas = self.architecture.parameters()
        self.optimizer = torch.optim.Adam(alphas, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay)

    @override
    def start_training(self, context: SearchContext) -> None:
        if self.order == 2:
            _virtual_step(context.weight_optimizer, context.module)

    @override
    def architecture_step(self, context: SearchContext, batch: Batch, progress: SearchProgress) -> None:
        """One step of alpha, on a batch of the videos that do not train the weights."""
        if not self.alpha_moves(progress):
            return
        module, alphas = context.module, list(self.architecture.parameters())
        weights = {name: weight for name, weight in module.network.named_parameters() if weight.requires_grad}
        val = self._loss_on(module, module.augment(context.held_out_batch(progress)), progress)
        if self.order == 1:
            gradients = list(torch.autograd.grad(val({name: w.detach() for name, w in weights.items()}), alphas))
        else:
            train, device = self._loss_on(module, module.augment(batch), progress), alphas[0].device
            step = _virtual_step(context.weight_optimizer, module)
            with full_precision(device):
                gradients = hypergradient(replayed(train, device), val, weights, alphas, step)
        for alpha, gradient in zip(alphas, gradients, strict=True):
            alpha.grad = gradient
        all_reduce_mean(alphas)
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * self.temperature_at(progress)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def architecture_route(self, progress: SearchProgress) -> Route:
        """Route of alpha's step: the mixture, with a gradient for alpha."""
        return self.relaxed_route(progress, requires_grad=True)

    @override
    def route(self, progress: SearchProgress) -> Route:
        return self.relaxed_route(progress, requires_grad=False)

    @override
    def weights(self, progress: SearchProgress) -> dict[str, Tensor]:
        """The mixture's weights by cell name; in a cell with an auxiliary skip their sum is more than 1."""
        weights = super().weights(progress)
        if self.auxiliary_skip:
            beta = max(0.0, 1 - progress.fraction / self.discretize_at)
            for cell in self.space.choices:
                is_skip = [float(candidate == "skip") for candidate in cell.candidates]
                weights[cell.name] = weights[cell.name] + beta * weights[cell.name].new_tensor(is_skip)
        return weights

    def _loss_on(self, module: Searchable, batch: Batch, progress: SearchProgress) -> Loss:
        """The loss of one batch as a function of the weights, with a gradient for alpha."""
        return lambda weights: module.loss(batch, self.architecture_route(progress), weights)


def _virtual_step(weights: WeightOptimizer, module: Searchable) -> VirtualStep:
    """The step that the weights' optimizer will take on each batch.

    Raises:
        AvnasError: It cannot be unrolled.
    """
    if weights.batches_per_step != 1:
        raise AvnasError(
            "strategy.order=2 unrolls one weight step per batch: trainer.accumulate_grad_batches must be 1, got "
            f"{weights.batches_per_step}"
        )
    coarse = {parameter.dtype for parameter in module.network.parameters()} - {torch.float32, torch.float64}
    if coarse:
        raise AvnasError(
            f"strategy.order=2 takes differences between near weights: they must be float32, got {coarse.pop()} "
            "(trainer.precision)"
        )
    return VirtualStep(weights.optimizer, weights.clip, by_value=weights.clip_by_value)
