"""Stop requests, and the checkpoint from which a stopped stage resumes."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, Checkpoint
from typing_extensions import override

from avhash_nas.distributed import highest, of_first_rank
from avhash_nas.errors import AvnasError
from avhash_nas.files import write_whole
from avhash_nas.training.tensors import save_or_oserror

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))
"""Ctrl-C, the end of a job, and SLURM's warning before the time limit (`sbatch --signal=USR1@...`)."""


class Interrupted(SystemExit):
    """A stage was stopped by a signal; the same command resumes the run from its checkpoint.

    Args:
        signum: The signal. The exit code is 128 plus its number, as in shells.
    """

    def __init__(self, signum: int) -> None:
        self.signum = signum
        super().__init__(128 + signum)


class StopRequest:
    """A request to stop, by a signal.

    While `deferred` is set, a signal is only recorded, for the training loop to act on; otherwise, and on Ctrl-C after
    another signal, the process is interrupted at once. Launchers may send the same signal twice.

    Attributes:
        signum: The first signal that was recorded.
        deferred: Record signals instead of raising `Interrupted`.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self.deferred = False

    def __call__(self, signum: int, _frame: FrameType | None = None) -> None:
        """The signal handler."""
        if not self.deferred or (self.signum is not None and signum == signal.SIGINT):
            raise Interrupted(signum)
        self.signum = self.signum or signum

    def install(self) -> None:
        """Handle the signals, if this is the main thread."""
        if threading.current_thread() is threading.main_thread():
            for signum in SIGNALS:
                signal.signal(signum, self)

    def requested(self) -> int:
        """The signal that any rank has recorded, 0 if none; all ranks must call it together."""
        return highest(self.signum or 0)

    def stop_point(self) -> None:
        """Raise `Interrupted` if any rank has recorded a signal; all ranks must call it together."""
        if signum := self.requested():
            self.deferred = False
            raise Interrupted(signum)


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Handle the signals within the block, and restore the former handlers after it."""
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
    """Writes `last.ckpt`, from which the stage resumes, atomically.

    It is written at the end of every epoch and, when a stop was requested, after the present batch
    (`StopBetweenBatches`); then the stage ends with `Interrupted`. All ranks agree on the stop, so that a signal to any
    one of them is enough.

    Args:
        folder: Of the stage.
        stop: Stop request of this process; None never stops.
    """

    def __init__(self, folder: Path, stop: StopRequest | None = None) -> None:
        self.path = folder / "last.ckpt"
        self.stop = stop

    @override
    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take over the signals from Lightning, whose own handling loses the batch or hangs under several ranks."""
        if self.stop is not None:
            self.stop.install()
            self.stop.deferred = True

    @override
    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write `last.ckpt`, and stop if requested."""
        self.save(trainer)
        if self.stop is not None:
            self.stop.stop_point()

    @override
    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """From here on a signal interrupts at once."""
        if self.stop is not None:
            self.stop.deferred = False

    def save(self, trainer: L.Trainer) -> None:
        """Write `last.ckpt`.

        Raises:
            AvnasError: It cannot be written.
        """
        saved = self.path.with_name("last.ckpt.saving")
        try:
            save_or_oserror(lambda: trainer.save_checkpoint(saved))
        except OSError as error:
            saved.unlink(missing_ok=True)
            raise AvnasError(f"{self.path}: cannot be written: {error.strerror or error}") from error
        if trainer.is_global_zero:
            write_whole(self.path, saved.rename)
        of_first_rank(None)  # a launcher may end this rank as soon as another one has ended


class StopBetweenBatches(Callback):
    """Stops within an epoch if requested, before a strategy's own step of the next batch.

    It must be the first callback: Lightning calls a Checkpoint last, after the strategy's step, which would then be
    taken twice. In `on_train_batch_end` Lightning has not yet counted the batch.

    Args:
        checkpoint: Of the stage.
    """

    def __init__(self, checkpoint: StageCheckpoint) -> None:
        self.checkpoint = checkpoint

    @override
    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Stop if requested, unless gradients are accumulated for a later step, which no checkpoint holds."""
        stop = self.checkpoint.stop
        if stop is not None and batch_idx and batch_idx % trainer.accumulate_grad_batches == 0 and stop.requested():
            self.checkpoint.save(trainer)
            stop.stop_point()
