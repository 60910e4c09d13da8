"""The parsing measures as a torchmetrics Metric, accumulated over batches and ranks."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat
from typing_extensions import override

from avhash_nas.metrics.parsing import LEVELS, ParsingScores, summarize, video_scores


class ParsingMetric(Metric):
    """Accumulates the F-scores of videos, and computes those of the dataset (`parsing_scores`).

    A video that occurs twice, as a sampler pads the last batch, counts once. Each rank holds its share, possibly none;
    `compute` gathers all and returns the same everywhere.

    Args:
        **kwargs: Passed to torchmetrics' Metric.

    Example:
        >>> metric = ParsingMetric()
        >>> heard_and_seen = torch.ones(1, 2, 10, 25, dtype=torch.bool)
        >>> metric.update(heard_and_seen, heard_and_seen, torch.tensor([0]))
        >>> metric.compute()["segment_type"]
        tensor(1.)
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    values: list[Tensor]
    index: list[Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in ("values", "index"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, predicted: Tensor, true: Tensor, index: Tensor) -> None:
        """Adds one batch.

        Args:
            predicted: Whether class c is predicted in segment t, bool, shape (B, 2, T, C), audio first.
            true: The truth, likewise.
            index: Identifies the video, int64, shape (B,).

        Raises:
            AvnasError: A shape or type is not as stated.
        """
        # float32 keeps what is gathered portable, and a score of one video exact enough for a mean to five digits
        self.values.append(video_scores(predicted.cpu(), true.cpu()).float().to(index.device))
        self.index.append(index)

    @override
    def sync(self, *args: Any, **kwargs: Any) -> None:
        # as in RetrievalMetric: a rank without videos must send what the others send
        if isinstance(self.values, list) and not self.values:
            self.values.append(torch.empty(0, 2, 4, device=self.device))
            self.index.append(torch.empty(0, dtype=torch.int64, device=self.device))
        super().sync(*args, **kwargs)

    def compute(self) -> dict[str, Tensor]:
        """The scores of all videos: "segment_audio", ..., "segment_event", "event_audio", ..., "event_event".

        Raises:
            AvnasError: There is no video.
        """
        self._scores = scores = self._summarize()
        flat = {f"{level}_{kind}": value for level in LEVELS for kind, value in scores.means[level].items()}
        return {name: torch.tensor(value, device=self.device) for name, value in flat.items()}

    def scores(self) -> ParsingScores:
        """All scores in double precision; must be called on every rank."""
        self.compute()
        return self._scores

    def _summarize(self) -> ParsingScores:
        if not len(self.values):
            return summarize(torch.empty(0, 2, 4))
        _, first = np.unique(dim_zero_cat(self.index).cpu().numpy(), return_index=True)
        return summarize(dim_zero_cat(self.values).cpu()[torch.from_numpy(first)])
