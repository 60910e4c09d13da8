"""An objective with all that one can have: offline work, pretraining, parameters, a sampling, a sense of time."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from avhash_nas.data import Batch, BatchSampling, HashingData, Shuffled
from avhash_nas.distributed import gather_rows
from avhash_nas.networks import HashNetwork, RoutedNetwork
from avhash_nas.objectives import Objective


class Pull(Objective):
    """Pulls codes to those that a random matrix, prepared offline, and a decoder of its own give.

    Args:
        log: File to which it writes what it is asked for.
        first: Whether there is a pretraining.
    """

    default_components: ClassVar[Mapping[str, str]] = {"data.sampling": "avhash_nas.data.Triplets"}

    def __init__(self, log: str, first: bool = False) -> None:
        super().__init__()
        self.log = log
        self.first = first
        self.epoch = -1

    def pretraining(self) -> "Pull | None":
        return Pull(self.log) if self.first else None

    def prepare(self, data: HashingData, network: HashNetwork, seed: int) -> dict[str, Tensor]:
        self._say(f"prepare {sum(float(each.detach().abs().sum()) for each in network.parameters()):.6f}")
        rows = data.batch(data.splits["train"])
        generator = torch.Generator().manual_seed(seed % 2**32)
        return {"target": rows.visual.mean(dim=(0, 1)) + torch.randn(data.visual_dim, generator=generator)}

    def setup(self, data: HashingData, network: HashNetwork, prepared: Mapping[str, Tensor]) -> None:
        self._say("begin")
        self.decoder = nn.Linear(network.bits, data.visual_dim)
        self.register_buffer("target", prepared["target"])
        self.register_buffer("seen", torch.zeros(()))

    def sampling(self, chosen: BatchSampling) -> BatchSampling:
        return Shuffled(max(2, chosen.batch_size // 2))

    def start_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def loss(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        codes, steps = network.codes_and_steps(batch.visual, batch.audio)
        self.seen += len(gather_rows(batch.index))
        values = (self.decoder(codes) - self.target).pow(2).mean(dim=1) + steps.pow(2).mean(dim=(1, 2)) / (
            2 + self.epoch
        )
        return gather_rows(values).mean() / (1 + self.seen / 100)

    def _say(self, line: str) -> None:
        with Path(self.log).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
