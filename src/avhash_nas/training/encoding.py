"""Codes of many videos, by one process or several."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from avhash_nas.code_set import CodeSet
from avhash_nas.data import Batch, FeatureFolder
from avhash_nas.distributed import gather_rows
from avhash_nas.errors import AvnasError
from avhash_nas.networks import AudioVisualNetwork, HashNetwork
from avhash_nas.training.code_collector import CodeCollector, Collected
from avhash_nas.training.hashing_module import HashingModule
from avhash_nas.training.rounding import RoundingSample, near_zero


@dataclass(frozen=True)
class Speed:
    """How long encoding took: the network and the codes' way to main memory, without reading and without time steps.

    Attributes:
        per_video: Seconds for one video, by all processes together.
        timed: Videos that were timed.
        warm: Whether the first batch of each process, which takes longer, was left out; not where there is no other.
        devices: Number and kind of what computed, such as `2 x cpu`.
    """

    per_video: float
    timed: int
    warm: bool
    devices: str


def encode(
    network: HashNetwork, videos: FeatureFolder | str | Path, trainer: L.Trainer | None = None, *, frames: bool = False
) -> CodeSet:
    """Codes of the videos of a folder, in its order, whatever the batch size and the number of processes.

    A bit may come out differently from another way to compute it (batch size, number of processes, device) only where
    its value is within rounding of zero. The notes of the result tell how far that is, `rounding`
    (`training.rounding.RoundingSample`), and how often it is so, `near_zero`.

    Args:
        network: Without choices.
        videos: An open folder, or the path of one that is to be encoded whole.
        trainer: Decides device, precision and number of processes. By default one process, on the device that Lightning
            finds. Its strategy must be one that leaves this process in the work: `ddp`, not `ddp_spawn`.
        frames: Keep a code of each time step as well (`HashNetwork.time_steps`), 2 T q bytes a video.

    Returns:
        The same on every process.

    Raises:
        AvnasError: The videos cannot be read or do not fit the network, or the strategy is of the wrong kind.
    """
    if not isinstance(videos, FeatureFolder):
        videos = FeatureFolder(videos)
    return Encoding(network, videos, frames=frames).run(trainer or quiet_trainer())


class Encoding(Callback):
    """The pass over the videos that `encode` makes, with a look at its progress and speed.

    Args:
        network: Without choices.
        videos: The folder.
        frames: Keep a code of each time step as well.
        progress: Told after each batch of the first process how many of its batches are done, and how many it has.

    Attributes:
        speed: Once `run` is over.

    Raises:
        AvnasError: The videos do not fit the network, or it has choices.
    """

    speed: Speed

    def __init__(
        self,
        network: HashNetwork,
        videos: FeatureFolder,
        *,
        frames: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        _check(network, videos)
        self.network, self.videos, self.frames, self.progress = network, videos, frames, progress
        self._codes, self._sample = CodeCollector(), RoundingSample(videos.rows)
        self._rounding = 0.0
        self._collected: Collected | None = None
        self._timings: list[tuple[float, int]] = []
        self._started = 0.0

    def run(self, trainer: L.Trainer) -> CodeSet:
        """The codes, once.

        Args:
            trainer: As for `encode`.
        """
        fingerprint = self.network.fingerprint()  # some precisions change the weights
        trainer.callbacks.append(self)  # type: ignore[attr-defined]
        try:
            trainer.predict(HashingModule(self.network), datamodule=self.videos, return_predictions=False)
        finally:
            trainer.callbacks.remove(self)  # type: ignore[attr-defined]
        if self._collected is None:
            name = type(trainer.strategy).__name__
            raise AvnasError(f"{name} does the work in processes that take the codes along: use strategy='ddp'")
        places = np.searchsorted(self.videos.rows, self._collected.rows)
        ids, labels = self.videos.ids[places], self.videos.labels
        return CodeSet(
            ids=ids,
            packed=self._collected.packed,
            bits=self.network.bits,
            fingerprint=fingerprint,
            values=self._collected.values,
            frames=self._collected.frames,
            labels=None if labels is None else labels[places],
            class_names=self.videos.class_names,
            extraction=self.videos.extraction,
            notes={
                "split": self.videos.split,
                "rounding": self._rounding,
                "near_zero": near_zero(self._collected.values, ids, self._rounding),
            },
        )

    def on_predict_batch_start(self, *_: Any) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,  # noqa: ARG002
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,  # noqa: ARG002
    ) -> None:
        """Keep a batch."""
        self._codes.add(outputs, batch.index)
        self._timings.append((time.perf_counter() - self._started, len(outputs)))
        if self.frames:
            self._codes.add_frames(self.network.time_steps(batch.visual, batch.audio))
        self._sample.add(outputs, batch)
        if self.progress is not None and trainer.is_global_zero:
            self.progress(batch_idx + 1, int(trainer.num_predict_batches[0]))

    def on_predict_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Bring the processes' shares together."""
        timed = self._timings[1:] or self._timings
        seconds, videos = (sum(column) for column in zip(*timed, strict=True))
        facts = torch.tensor([[self._sample.rounding(self.network), videos, videos / seconds]], device=pl_module.device)
        facts = gather_rows(facts).cpu()
        self._rounding = float(facts[:, 0].max())
        devices = f"{trainer.world_size} x {pl_module.device.type}"
        self.speed = Speed(1 / float(facts[:, 2].sum()), int(facts[:, 1].sum()), len(self._timings) > 1, devices)
        self._collected = self._codes.gather(pl_module.device)


def quiet_trainer(**options: Any) -> L.Trainer:
    """A Trainer that encodes and leaves nothing behind.

    Args:
        **options: Of Lightning's Trainer; by default one process on the device that Lightning finds.
    """
    quiet = ("enable_checkpointing", "enable_progress_bar", "enable_model_summary", "use_distributed_sampler")
    return L.Trainer(**{"devices": 1, "logger": False, **dict.fromkeys(quiet, False), **options})


def _check(network: HashNetwork, videos: FeatureFolder) -> None:
    """See that the network can encode the videos, before anything else is done."""
    if isinstance(network, AudioVisualNetwork) and network.space.choices:
        raise AvnasError("this network is a supernet, whose codes depend on a route: prune it first")
    wanted = network.arguments()["visual_dim"], network.arguments()["audio_dim"]
    if (videos.visual_dim, videos.audio_dim) != wanted:
        raise AvnasError(
            f"{videos.root}: features of width {videos.visual_dim} and {videos.audio_dim} do not fit the network, "
            f"which takes {wanted[0]} and {wanted[1]}"
        )
