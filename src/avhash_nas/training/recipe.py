"""How a stage trains the weights."""

import math
from dataclasses import dataclass
from typing import Literal

from avhash_nas.errors import AvnasError


@dataclass(frozen=True)
class Recipe:
    """How a stage trains the weights: Adam(W), its schedule, and when to stop.

    Args:
        epochs: Maximal number of epochs.
        lr: Peak learning rate of the weights.
        body_lr: Factor on the learning rate of all weights before the hash layer. Below 1 it keeps the encoders near
            their initialization, which few training videos need (experiments/stamps).
        weight_decay: Decoupled (AdamW) and only for matrices and kernels; 0 makes the optimizer plain Adam.
        eps: Adam's epsilon. The authors' code fine-tunes with 1e-3.
        beta1: Decay of Adam's mean of gradients, in [0, 1).
        schedule: Schedule of the learning rate after warm-up: `constant` (the paper), `cosine` down to `floor`, or
            `step`, times `decay` every `decay_every` epochs down to `floor`.
        floor: Smallest factor on the peak learning rate, in [0, 1].
        decay: Factor of each step of `step`, in (0, 1].
        decay_every: Epochs between the steps of `step`.
        warmup: Fraction of the steps, in [0, 1), over which the learning rate rises linearly from zero.
        average: Decay of an exponential moving average of the weights, which validation scores and the stage keeps; 0
            for none.
        keep: Epoch whose state the stage keeps: the `best` one on val, which uses the labels of val, or the `last`.
        patience: Stop after so many epochs without a better score on val; 0 trains all epochs.

    Raises:
        AvnasError: An option is out of range.
    """

    epochs: int = 300
    lr: float = 1e-3
    body_lr: float = 1.0
    weight_decay: float = 0.0
    eps: float = 1e-8
    schedule: Literal["constant", "cosine", "step"] = "constant"
    floor: float = 0.0
    decay: float = 0.9
    decay_every: int = 20
    warmup: float = 0.0
    average: float = 0.0
    keep: Literal["best", "last"] = "best"
    patience: int = 0
    beta1: float = 0.9

    def __post_init__(self) -> None:
        ranges = {
            "epochs": self.epochs >= 1,
            "lr": self.lr > 0,
            "body_lr": self.body_lr > 0,
            "weight_decay": self.weight_decay >= 0,
            "eps": self.eps > 0,
            "beta1": 0 <= self.beta1 < 1,
            "floor": 0 <= self.floor <= 1,
            "decay": 0 < self.decay <= 1,
            "decay_every": self.decay_every >= 1,
            "warmup": 0 <= self.warmup < 1,
            "average": 0 <= self.average < 1,
            "patience": self.patience >= 0,
        }
        for name, fine in ranges.items():
            if not fine:
                raise AvnasError(f"{name} is out of range: {getattr(self, name)}")

    def lr_multiplier(self, done: float) -> float:
        """Factor on the peak learning rate.

        Args:
            done: Fraction of the stage's steps that is done, in [0, 1].

        >>> Recipe(schedule="cosine", warmup=0.1).lr_multiplier(0.05)
        0.5
        >>> Recipe(schedule="cosine").lr_multiplier(0.5)
        0.5
        >>> step = Recipe(schedule="step", epochs=60, floor=0.85)
        >>> step.lr_multiplier(0.34), step.lr_multiplier(0.9)
        (0.9, 0.85)
        """
        if done < self.warmup:
            return done / self.warmup
        if self.schedule == "constant":
            return 1.0
        if self.schedule == "step":
            return max(self.floor, self.decay ** (int(done * self.epochs + 1e-9) // self.decay_every))
        rest = min(1.0, (done - self.warmup) / (1 - self.warmup))
        cosine = round(0.5 * (1 + math.cos(math.pi * rest)), 12)
        return self.floor + (1 - self.floor) * cosine
