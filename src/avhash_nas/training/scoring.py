"""Scores of many architectures with one supernet's weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from avhash_nas.codes import pack
from avhash_nas.data import HashingData
from avhash_nas.data.loading import Rows
from avhash_nas.metrics import RetrievalScores, evaluate, ids_from_names
from avhash_nas.networks import AudioVisualNetwork
from avhash_nas.space import Architecture


@dataclass(frozen=True)
class Scoring:
    """How architectures are scored after the supernet is trained.

    Args:
        queries: Videos of val that query; 0 takes all.
        database: Videos that are searched; 0 takes all.
        memory: GiB for what is kept to be used again.
    """

    queries: int = 0
    database: int = 0
    memory: float = 2.0


class ArchitectureScorer:
    """Scores architectures on val, mAP@100."""

    def __init__(
        self,
        supernet: AudioVisualNetwork,
        data: HashingData,
        scoring: Scoring,
        device: torch.device,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        self.supernet, self.data, self.device, self.pause = supernet, data, device, pause
        self.rows = {"query": data.splits["val"], "database": data.splits[data.database]}

    @torch.no_grad()
    def scores(self, architectures: Sequence[Architecture]) -> list[RetrievalScores]:
        """Scores of each."""
        training = self.supernet.training
        self.supernet.to(self.device).eval()
        try:
            return [self._score(architecture) for architecture in architectures]
        finally:
            self.supernet.train(training)

    def _score(self, architecture: Architecture) -> RetrievalScores:
        self.pause()
        route = self.supernet.space.indices(architecture)
        codes = {role: self._codes(rows, route) for role, rows in self.rows.items()}
        labels = {role: torch.from_numpy(self.data.labels[rows]) for role, rows in self.rows.items()}
        identities = ids_from_names(self.data.ids)
        return evaluate(
            *(codes["query"], labels["query"], codes["database"], labels["database"]),
            ks=(100,),
            bits=self.supernet.bits,
            query_ids=identities[self.rows["query"]],
            database_ids=identities[self.rows["database"]],
        )

    def _codes(self, rows: Rows, route: dict[str, int]) -> torch.Tensor:
        parts = []
        for start in range(0, len(rows), 256):
            batch = self.data.batch(rows[start : start + 256])
            codes = self.supernet(batch.visual.to(self.device), batch.audio.to(self.device), route)
            parts.append(pack(codes.cpu()))
        return torch.cat(parts)
