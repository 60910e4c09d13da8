"""Where a stage goes on when it was stopped."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, Checkpoint

from avhash_nas.distributed import highest, of_first_rank
from avhash_nas.errors import AvnasError
from avhash_nas.files import write_whole
from avhash_nas.training.module import HashingModule
from avhash_nas.training.tensors import save_or_oserror

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))
"""Ctrl-C; what ends a job; and what SLURM is asked to send ahead of the time limit (`sbatch --signal=USR1@...`)."""


class Interrupted(SystemExit):
    """A stage was stopped by a signal; the run goes on from its checkpoint when started again.

    Args:
        signum: The signal. The exit code is 128 plus its number, as shells have it.
    """

    def __init__(self, signum: int) -> None:
        self.signum = signum
        super().__init__(128 + signum)


class StopRequest:
    """Remembers that somebody asked to stop.

    While `polite` is set, a signal is only remembered, for the training loop to act on; otherwise, and on Ctrl-C after
    another signal, the process is interrupted at once. Launchers may send the same signal twice.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self.polite = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """The signal handler."""
        if not self.polite or (self.signum is not None and signum == signal.SIGINT):
            raise Interrupted(signum)
        self.signum = self.signum or signum

    def install(self) -> None:
        """Handle the signals, if this is the main thread."""
        if threading.current_thread() is threading.main_thread():
            for signum in SIGNALS:
                signal.signal(signum, self)


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Handle the signals within the block; the former handlers come back behind it."""
    main = threading.current_thread() is threading.main_thread()
    former = {signum: signal.getsignal(signum) for signum in SIGNALS}
    request = StopRequest()
    request.install()
    try:
        yield request
    finally:
        if main:
            for signum, handler in former.items():
                signal.signal(signum, handler)


class StageCheckpoint(Checkpoint):
    """Keeps `last.ckpt`, from which the stage goes on, always whole.

    It is written at the end of every epoch and, when a stop was asked for, after the present batch
    (`StopBetweenBatches`), whereupon the stage ends with `Interrupted`. All ranks agree on the stop, so that a signal
    to any one of them is enough.

    Args:
        folder: Of the stage.
        stop: Signals seen by this process; None never stops.
    """

    def __init__(self, folder: Path, stop: StopRequest | None = None) -> None:
        self.path = folder / "last.ckpt"
        self.stop = stop

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take the signals over from Lightning, whose own handling loses the batch or hangs under several ranks."""
        if self.stop is not None:
            self.stop.install()
            self.stop.polite = True
        if isinstance(pl_module, HashingModule):
            pl_module.stop_point = partial(self.stop_if_asked, trainer, saved=True)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Write `last.ckpt`; stop if asked to."""
        self._save(trainer)
        self.stop_if_asked(trainer, saved=True)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """From here on a signal interrupts at once."""
        if self.stop is not None:
            self.stop.polite = False

    def _save(self, trainer: L.Trainer) -> None:
        saved = self.path.with_name("last.ckpt.saving")
        try:
            save_or_oserror(lambda: trainer.save_checkpoint(saved))
        except OSError as error:
            saved.unlink(missing_ok=True)
            raise AvnasError(f"{self.path}: cannot be written: {error.strerror or error}") from error
        if trainer.is_global_zero:
            write_whole(self.path, saved.rename)
        of_first_rank(None)  # a launcher may end this rank as soon as another one has ended

    def stop_if_asked(self, trainer: L.Trainer, *, saved: bool = False) -> None:
        """End the stage if any rank was asked to stop.

        Args:
            trainer: Of the stage.
            saved: `last.ckpt` is as it should be; otherwise it is written first.
        """
        if self.stop is None:
            return
        signum = highest(self.stop.signum or 0)
        if signum:
            if not saved:
                self._save(trainer)
            self.stop.polite = False
            raise Interrupted(signum)


class StopBetweenBatches(Callback):
    """Stops within an epoch if asked to, before a strategy has taken its step of the next batch.

    To be the first of the callbacks: Lightning calls a Checkpoint last, when the strategy's step is done, which would
    be taken again from there. In `on_train_batch_end` Lightning has not yet counted the batch.

    Args:
        checkpoint: Of the stage.
    """

    def __init__(self, checkpoint: StageCheckpoint) -> None:
        self.checkpoint = checkpoint

    def on_train_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        """Stop if asked to, unless batches have left gradients behind for a later step: those are in no checkpoint."""
        if batch_idx and batch_idx % trainer.accumulate_grad_batches == 0:
            self.checkpoint.stop_if_asked(trainer)
