"""A run that is stopped anywhere and started again ends as one that was never stopped, to the last bit."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import pytest
from lightning.pytorch.callbacks import Callback

from avhash_nas.cli import fit as command
from avhash_nas.pipeline import RunFolder, fit
from avhash_nas.training import Interrupted
from training.tiny import assert_same_run

BATCHES = 5
"""Of an epoch of the tiny run."""


class Kick(Callback):
    """Sends this process SIGINT at a chosen place of a stage."""

    def __init__(self, stage: str, epoch: int, batch: int | None) -> None:
        self.place = (stage, epoch, batch)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._kick(trainer, batch_idx)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._kick(trainer, None)

    def _kick(self, trainer: L.Trainer, batch: int | None) -> None:
        if (Path(trainer.default_root_dir).name, trainer.current_epoch, batch) == self.place:
            os.kill(os.getpid(), signal.SIGINT)


def run(config: Path, out: Path, *options: str, kick: Kick | None = None) -> None:
    """`avnas fit` in this process, with a callback before the stage's own."""
    made = command.parser()
    parsed = made.parse(["--config", str(config), "--out", str(out), *options])
    folder = RunFolder(out)
    folder.open(command.decisive(parsed, made), overwrite=False)
    plan = command.build(parsed, made, folder)
    if kick is not None:
        make: Callable[..., L.Trainer] = plan.make_trainer
        plan = replace(plan, make_trainer=lambda **of: make(**{**of, "callbacks": [kick, *of["callbacks"]]}))
    fit(plan, folder)


def stop_and_go_on(config: Path, out: Path, *options: str, kicks: list[Kick]) -> None:
    for kick in kicks:
        with pytest.raises(Interrupted) as stopped:
            run(config, out, *options, kick=kick)
        assert stopped.value.code == 128 + signal.SIGINT
        assert not (out / "metrics.json").exists()
    run(config, out, *options)


@pytest.mark.parametrize("stage", ["search", "finetune"])
def test_a_run_that_is_stopped_four_times_ends_the_same(
    stage: str, tiny_config: Path, unbroken: Path, tmp_path: Path
) -> None:
    first, middle, last, validation = 0, BATCHES // 2, BATCHES - 1, None
    places = ((0, first), (0, last), (1, validation), (2, middle))
    stop_and_go_on(tiny_config, tmp_path / "run", kicks=[Kick(stage, *place) for place in places])
    assert_same_run(unbroken, tmp_path / "run")


def test_a_stop_within_an_accumulation_waits_for_its_step(tiny_config: Path, tmp_path: Path) -> None:
    options = (
        "--search.epochs=2",
        "--finetune.epochs=1",
        "--trainer.accumulate_grad_batches=2",
        "--trainer.gradient_clip_val=1",
    )
    run(tiny_config, tmp_path / "unbroken", *options)
    stop_and_go_on(tiny_config, tmp_path / "run", *options, kicks=[Kick("search", 1, 0), Kick("finetune", 0, 2)])
    assert_same_run(tmp_path / "unbroken", tmp_path / "run")
