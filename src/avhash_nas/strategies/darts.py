"""DARTS: two-level search by gradient (Liu, Simonyan and Yang 2019), of first and second order."""

from typing import Literal

import lightning as L
import torch
from torch import Tensor

from avhash_nas.data import Batch
from avhash_nas.distributed import all_reduce_mean
from avhash_nas.errors import AvnasError
from avhash_nas.networks import Route
from avhash_nas.space import SearchSpace
from avhash_nas.strategies.hypergradient import Loss, Step, full_precision, hypergradient, replayed
from avhash_nas.strategies.protocols import Searchable, SearchProgress
from avhash_nas.strategies.relaxed import RelaxedStrategy
from avhash_nas.strategies.virtual_step import VirtualStep


class DARTS(RelaxedStrategy):
    """Architecture parameters descend on videos that the weights never see; the weights on the other half.

    Before every weight step alpha takes one of its own, by an Adam of its own. Of first order it descends on
    L_val(w, alpha) with the present weights; of second order on L_val(w'(alpha), alpha), where w' is what the coming
    weight step would make of w (hypergradient.py). What else the authors' code does, and this does not:

    - it unrolls a step of SGD with momentum, whatever the weights' optimizer is; here it is the step of that optimizer,
      AdamW, with its state, its learning rates of that moment and gradient clipping;
    - it moves the weights by a little, in place, and back, which rounding does not undo; here they are never written;
    - with dropout it would draw another mask for each of the losses whose difference it takes; here all have the same;
    - it cuts the training set by position, which is by class in data that is sorted by class; here each class is cut.

    The architecture is chosen at the end, as there: the score on val picks no epoch, unless `select` asks for it.

    Args:
        order: 2 takes four gradients where 1 takes one: of each loss by the weights, and twice of the training loss by
            alpha.
        lr: Learning rate of alpha. Adam moves an alpha by about that much a step, so that it has to fit the number of
            steps: the default is for the authors' 50 epochs of 390.
        betas: Adam's moment decay rates for alpha.
        weight_decay: Of alpha, added to its gradient; it pulls the probabilities back to uniform.
        init_scale: Standard deviation of alpha's initial values.
        temperature: What the softmax's temperature falls to; alpha's learning rate falls with it. 1 in DARTS.
        warmup: Part of the search, in [0, 1), for which alpha is frozen, so that candidates without weights, which need
            no training, do not win by their head start (PC-DARTS, Xu et al. 2020: 15 of 50 epochs).
        discretize_at: Part of the search from which each cell runs its most probable candidate alone; 1 for never, as in
            DARTS.
        auxiliary_skip: DARTS- (Chu et al. 2021): beside the mixture every cell with the candidate `skip` passes its
            input on, times a factor that falls linearly from 1 to 0 till `discretize_at`. It takes over what makes `skip` win,
            the gradient that it lets through. In cells without that candidate there is nothing to take over.
        select: `last` keeps the state at the end; `supernet` or `derived` the one with the best score on val.

    Raises:
        AvnasError: An option lies outside its range; or, when training starts, order 2 meets an optimizer or a
            precision that it cannot unroll, or accumulated gradients.
    """

    train_fraction = 0.5
    optimizer: torch.optim.Adam
    weight_step: Step
    """The step that second order unrolls. Set when training starts."""

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

    def setup_search(self, space: SearchSpace, seed: int) -> None:
        """Make alpha and its optimizer."""
        super().setup_search(space, seed)
        alphas = self.architecture.parameters()
        self.optimizer = torch.optim.Adam(alphas, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lightning's hook: learn how the weights will step."""
        super().on_train_start(trainer, pl_module)
        if self.order == 2:
            self.weight_step = _unrollable(trainer, pl_module)

    def architecture_step(self, module: Searchable, batch: Batch, progress: SearchProgress) -> None:
        """One step of alpha, on a batch of the videos that do not train the weights."""
        if not self.learns(progress):
            return
        alphas = list(self.architecture.parameters())
        weights = {name: weight for name, weight in module.network.named_parameters() if weight.requires_grad}
        val = self._loss_on(module, module.augment(self.architecture_batch(module, progress)), progress)
        if self.order == 1:
            gradients = list(torch.autograd.grad(val({name: w.detach() for name, w in weights.items()}), alphas))
        else:
            train, device = self._loss_on(module, module.augment(batch), progress), alphas[0].device
            with full_precision(device):
                gradients = hypergradient(replayed(train, device), val, weights, alphas, self.weight_step)
        for alpha, gradient in zip(alphas, gradients, strict=True):
            alpha.grad = gradient
        all_reduce_mean(alphas)
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * self.temperature_at(progress)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def architecture_route(self, progress: SearchProgress) -> Route:
        """What alpha's step runs: the mixture, with a gradient for alpha."""
        return self.relaxed_route(progress, learns=True)

    def route(self, progress: SearchProgress) -> Route:
        """The mixture, without a gradient for alpha; the derived architecture once hardened."""
        return self.relaxed_route(progress, learns=False)

    def weights(self, progress: SearchProgress) -> dict[str, Tensor]:
        """The mixture's weights by cell name; of a cell with an auxiliary skip they sum to more than 1."""
        weights = super().weights(progress)
        if self.auxiliary_skip:
            beta = max(0.0, 1 - progress.fraction / self.discretize_at)
            for cell in self.space.choices:
                is_skip = [float(candidate == "skip") for candidate in cell.candidates]
                weights[cell.name] = weights[cell.name] + beta * weights[cell.name].new_tensor(is_skip)
        return weights

    def _loss_on(self, module: Searchable, batch: Batch, progress: SearchProgress) -> Loss:
        """The loss of one batch as a function of the weights, with a gradient for alpha as it then is."""
        return lambda weights: module.loss(batch, self.architecture_route(progress), weights)


def _unrollable(trainer: L.Trainer, module: L.LightningModule) -> VirtualStep:
    """The step that a Trainer's one optimizer will take on each batch.

    Raises:
        AvnasError: It cannot be unrolled.
    """
    if trainer.accumulate_grad_batches != 1:
        raise AvnasError(
            f"strategy.order=2 unrolls one weight step a batch: trainer.accumulate_grad_batches must be 1, got "
            f"{trainer.accumulate_grad_batches}"
        )
    coarse = {parameter.dtype for parameter in module.parameters()} - {torch.float32, torch.float64}
    if coarse:
        raise AvnasError(
            f"strategy.order=2 takes differences between near weights: they must be float32, got {coarse.pop()} "
            "(trainer.precision)"
        )
    by_value = trainer.gradient_clip_algorithm == "value"
    return VirtualStep(trainer.optimizers[0], trainer.gradient_clip_val, by_value=by_value)
