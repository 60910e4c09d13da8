"""Whole runs of `avnas fit` on ranks, with a look at every step."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from avhash_nas.cli import fit as command
from avhash_nas.distributed import world_size
from avhash_nas.pipeline import RunFolder, fit


@dataclass
class Seen:
    """What a rank saw of a run.

    Attributes:
        losses: Mean loss of the epoch so far, after each step of all stages.
        fingerprints: Of all weights, buffers and architecture parameters, after each step.
        states: They themselves at the end of each stage's training, by the stage's folder.
        metrics: What `metrics.json` holds.
        architecture: The derived one.
    """

    losses: list[float] = field(default_factory=list)
    fingerprints: list[str] = field(default_factory=list)
    states: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    architecture: dict[str, Any] = field(default_factory=dict)


class Look(Callback):
    """Notes what Seen holds of the steps."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        self.seen.losses.append(float(trainer.callback_metrics["train/loss"]))
        self.seen.fingerprints.append(fingerprint(pl_module))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        state = {name: value.clone() for name, value in pl_module.state_dict().items()}
        self.seen.states[Path(trainer.default_root_dir).name] = state


def fingerprint(module: nn.Module) -> str:
    """The same for the same bits."""
    digest = hashlib.sha256()
    for value in module.state_dict().values():
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def run(rank: int, config: Path, out: Path, *options: str) -> Seen:
    """`avnas fit` on all ranks that there are, and what this one saw of it."""
    command.quiet()
    made = command.parser()
    ranks = ("--trainer.accelerator=cpu", f"--trainer.devices={world_size()}")
    parsed = made.parse(["--config", str(config), "--out", str(out), *ranks, *options])
    folder = RunFolder(out)
    folder.open(command.decisive(parsed, made), overwrite=False)
    plan = command.build(parsed, made, folder)
    seen, make = Seen(), plan.make_trainer
    looked_at = replace(plan, make_trainer=lambda **of: make(**{**of, "callbacks": [*of["callbacks"], Look(seen)]}))
    seen.metrics = fit(looked_at, folder)
    seen.metrics.pop("time")
    seen.architecture = plan.strategy.derive().to_dict()
    return seen
