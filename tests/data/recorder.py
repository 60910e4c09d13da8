"""A model that records the videos of its batches, and fits of it on ranks."""

from dataclasses import dataclass
from pathlib import Path

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from avhash_nas.data import ClassBalanced, HashingData
from avhash_nas.distributed import world_size


class Recorder(LightningModule):
    """A model that records the rows of its batches and can raise an error after some steps.

    Attributes:
        seen: Rows of each training batch.
        queries: Rows of all validation queries.
    """

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(6, 2)
        self.seen: list[list[int]] = []
        self.queries: list[int] = []
        self.stop_at = stop_at

    def training_step(self, batch, batch_idx):
        if len(self.seen) == self.stop_at:
            raise RuntimeError("stopped")
        self.seen.append(batch.index.tolist())
        return self.layer(batch.visual).square().mean()

    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        if dataloader_idx == 0:
            self.queries += batch.index.tolist()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01)


def trainer(folder: Path, *callbacks: Callback, **options) -> Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    return Trainer(**{**quiet, "default_root_dir": folder, "max_epochs": 3, "callbacks": [*callbacks], **options})


@dataclass
class RankFit:
    """The batches of one rank, without and with a resume within an epoch, and its sampler's class."""

    seen: list[list[int]]
    queries: list[int]
    resumed: list[list[int]]
    sampler: str


def fit_and_resume(rank: int, root: Path, folder: Path) -> RankFit:
    """Fits two epochs on all ranks, and again from the checkpoint of step 4."""

    def fit(*callbacks: Callback, **options) -> Recorder:
        model = Recorder()
        data = HashingData(root, cache_dir=folder, sampling=ClassBalanced(2, 2), eval_batch_size=5)
        ranks = {"max_epochs": 2, "devices": world_size(), "num_sanity_val_steps": 0}
        trainer(folder, *callbacks, **ranks).fit(model, data, **options)
        return model

    whole = fit(ModelCheckpoint(folder, "{step}", every_n_train_steps=1, save_top_k=-1))
    resumed = fit(ckpt_path=folder / "step=4.ckpt", weights_only=True)
    sampler = type(whole.trainer.train_dataloader.sampler).__name__
    return RankFit(whole.seen, whole.queries, resumed.seen, sampler)
