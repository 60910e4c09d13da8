"""Codes that come batch by batch on several ranks, put together in the order of the videos."""

from typing import Any, NamedTuple

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray
from torch import Tensor

from avhash_nas.code_set import CodeSet
from avhash_nas.codes import halve, pack
from avhash_nas.data import Batch, HashingData, read_extraction
from avhash_nas.distributed import gather_rows, world_size
from avhash_nas.networks import HashNetwork
from avhash_nas.training.hashing_module import ROLES


class Collected(NamedTuple):
    """Codes of n videos, each video once, in the order of their rows.

    Attributes:
        rows: The videos' rows in the dataset, (n,), ascending.
        packed: Packed codes, (n, ceil(q / 8)).
        values: Relaxed codes, (n, q), float16 of the same signs.
        frames: A relaxed code for each time step, (n, T, q), float16, or None.
    """

    rows: NDArray[np.int64]
    packed: NDArray[np.uint8]
    values: NDArray[np.float16]
    frames: NDArray[np.float16] | None


class CodeCollector:
    """Takes in relaxed codes and keeps of them the packed codes and float16, in main memory."""

    def __init__(self) -> None:
        self._rows: list[Tensor] = []
        self._packed: list[Tensor] = []
        self._values: list[Tensor] = []
        self._frames: list[Tensor] = []

    def add(self, values: Tensor, rows: Tensor) -> None:
        """Take in one batch of this rank.

        Args:
            values: Relaxed codes, (B, q).
            rows: The videos' rows in the dataset, (B,).
        """
        values = values.detach().float()
        self._rows.append(rows.cpu())
        self._packed.append(pack(values).cpu())
        self._values.append(halve(values).cpu())

    def add_frames(self, frames: Tensor) -> None:
        """Take in the time steps of the batch that was added last.

        Args:
            frames: Relaxed codes, (B, T, q).
        """
        self._frames.append(halve(frames.detach()).cpu())

    def gather(self, device: torch.device) -> Collected:
        """What all ranks have taken in, on every rank; of a video that came more than once, the first code. Once only.

        Args:
            device: Through which the ranks exchange tensors.
        """
        rows = _everywhere(self._rows, device)
        distinct, first = np.unique(rows, return_index=True)
        packed, values = (_everywhere(parts, device)[first] for parts in (self._packed, self._values))
        frames = _everywhere(self._frames, device)[first] if self._frames else None
        return Collected(distinct, packed, values, frames)


def _everywhere(parts: list[Tensor], device: torch.device) -> NDArray[Any]:
    """The rows of all batches and ranks; the list is emptied, so as not to hold them twice."""
    rows = torch.cat(parts)
    parts.clear()
    if world_size() == 1:
        return rows.numpy()
    gathered = gather_rows(rows.view(torch.uint8).to(device)).cpu()  # not every library sends every type
    return gathered.view(rows.dtype).numpy()


class KeepTestCodes(Callback):
    """Keeps the codes that a test scores, those of the queries and those of the database.

    Attributes:
        collected: By role (`query`, `database`), on every rank, once the test is over.
    """

    def __init__(self) -> None:
        self.collected: dict[str, Collected] = {}
        self._collectors = {role: CodeCollector() for role in ROLES}

    def on_test_batch_end(
        self,
        trainer: L.Trainer,  # noqa: ARG002
        pl_module: L.LightningModule,  # noqa: ARG002
        outputs: Any,
        batch: Batch,
        batch_idx: int,  # noqa: ARG002
        dataloader_idx: int = 0,
    ) -> None:
        """Keep a batch."""
        self._collectors[ROLES[dataloader_idx]].add(outputs, batch.index)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Bring the ranks' shares together."""
        self.collected = {role: collector.gather(pl_module.device) for role, collector in self._collectors.items()}

    def code_sets(self, network: HashNetwork, data: HashingData) -> dict[str, CodeSet]:
        """The codes with ids, labels and everything else that searching needs, by role.

        Args:
            network: That was tested.
            data: That it was tested on.
        """
        ids, extraction, fingerprint = np.array(data.ids), read_extraction(data.root), network.fingerprint()
        return {
            role: CodeSet(
                ids=ids[kept.rows],
                packed=kept.packed,
                bits=network.bits,
                fingerprint=fingerprint,
                values=kept.values,
                labels=data.labels[kept.rows],
                class_names=data.class_names,
                extraction=extraction,
                notes={"split": "test" if role == "query" else data.database},
            )
            for role, kept in self.collected.items()
        }
