"""The retrieval measures as a torchmetrics Metric, accumulated over batches and ranks."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat
from typing_extensions import override

from avhash_nas.codes import pack, unpack
from avhash_nas.errors import AvnasError
from avhash_nas.metrics.arguments import check_options
from avhash_nas.metrics.evaluation import evaluate
from avhash_nas.metrics.scores import RetrievalScores, Ties

Role = Literal["query", "database"]


class RetrievalMetric(Metric):
    """Accumulates codes of queries and database, and computes the scores of `evaluate`.

    Codes and labels are stored as bits. A video that occurs twice in one role, as `DistributedSampler` pads the last
    batch, counts once. Each rank holds its share, possibly none; `compute` gathers all and returns the same everywhere.

    Args:
        ks: The K of mAP@K, P@K and R@K; None is the whole database.
        ties: `permuted` breaks ties by a permutation drawn from the seed and the videos' indices; `expected` averages
            over all orders.
        seed: Seed of the permutation.
        exclude_self: Whether to leave the item with the query's own index out of its ranking; None if an index tells
            videos apart within a role only.
        memory: Working memory in bytes.
        **kwargs: Passed to torchmetrics' Metric.

    Raises:
        AvnasError: An argument is invalid.

    Example:
        >>> metric = RetrievalMetric(ks=(1,))
        >>> codes, labels = torch.tensor([[0.9, -0.2], [-0.3, 0.8]]), torch.tensor([[True, False], [False, True]])
        >>> metric.update(codes, labels, torch.tensor([0, 1]), role="database")
        >>> metric.update(codes[:1], labels[:1], torch.tensor([0]), role="query")
        >>> metric.compute()["map@1_retrieved"]
        tensor(1.)
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    packed: list[Tensor]
    labels: list[Tensor]
    index: list[Tensor]
    is_query: list[Tensor]
    bits: Tensor
    classes: Tensor

    def __init__(
        self,
        ks: Sequence[int | None] = (5, 20, 100),
        ties: Ties = "permuted",
        seed: int = 0,
        exclude_self: bool | None = None,
        memory: int = 2**28,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_options(ks, ties, memory)
        self.ks = tuple(ks)
        self.ties: Ties = ties
        self.seed = seed
        self.exclude_self = exclude_self
        self.memory = memory
        # Flat bytes: a rank without videos then holds an empty tensor, which concatenates with any width.
        for name in ("packed", "labels", "index", "is_query"):
            self.add_state(name, default=[], dist_reduce_fx="cat")
        for name in ("bits", "classes"):
            self.add_state(name, default=torch.tensor(0), dist_reduce_fx="max")

    def update(self, codes: Tensor, labels: Tensor, index: Tensor, role: Role) -> None:
        """Adds one batch.

        Args:
            codes: Relaxed codes, binarized by sign with sign(0) = +1, shape (B, q).
            labels: Whether video b has class c, bool, shape (B, C).
            index: Identifies the video within its role (within both unless exclude_self is None), int64, shape (B,).
            role: Whether the videos are queries or items of the database.

        Raises:
            AvnasError: An argument is invalid, or q or C differ from earlier batches.
        """
        if role not in ("query", "database"):
            raise AvnasError(f"role: expected query or database, got {role!r}")
        if labels.dtype != torch.bool or labels.ndim != 2 or len(labels) != len(codes):
            raise AvnasError(
                f"labels: expected bool of shape ({len(codes)}, C), got {labels.dtype} of shape {tuple(labels.shape)}"
            )
        if index.dtype != torch.int64 or index.shape != (len(codes),):
            raise AvnasError(
                f"index: expected int64 of shape ({len(codes)},), got {index.dtype} of shape {tuple(index.shape)}"
            )
        packed = pack(codes.detach())
        for state, size, name in ((self.bits, codes.shape[1], "bits"), (self.classes, labels.shape[1], "classes")):
            if int(state) not in (0, size):
                raise AvnasError(f"{name}: {int(state)} in earlier batches, {size} in this one")
            state.fill_(size)
        self.packed.append(packed.flatten())
        self.labels.append(pack(labels).flatten())
        self.index.append(index)
        self.is_query.append(torch.full_like(index, role == "query", dtype=torch.uint8))

    @override
    def sync(self, *args: Any, **kwargs: Any) -> None:
        # torchmetrics would let a rank without videos send floats to ranks that send bytes
        empty = torch.empty(0, dtype=torch.uint8, device=self.device)
        for state in (self.packed, self.labels, self.is_query):
            if isinstance(state, list) and not state:
                state.append(empty)
        if isinstance(self.index, list) and not self.index:
            self.index.append(empty.long())
        super().sync(*args, **kwargs)

    def compute(self) -> dict[str, Tensor]:
        """Computes the scores of all videos as a flat dict of scalars for logging; see `scores` for the curves.

        Returns:
            "map@K_retrieved", "map@K_standard", "map@K_k", "precision@K" and "recall@K" for each K (None is "all").

        Raises:
            AvnasError: There is no query or no item of the database.
        """
        self._scores = scores = self._evaluate()
        flat: dict[str, float] = {}
        for k, by_name in scores.average_precision.items():
            name = "all" if k is None else str(k)
            flat |= {f"map@{name}_{kind}": value for kind, value in by_name.items()}
            flat |= {f"precision@{name}": scores.precision[k], f"recall@{name}": scores.recall[k]}
        return {name: torch.tensor(value, device=self.device) for name, value in flat.items()}

    def scores(self) -> RetrievalScores:
        """All scores and curves in double precision; must be called on every rank."""
        self.compute()
        return self._scores

    def _evaluate(self) -> RetrievalScores:
        packed, labels, index = self._videos("query")
        database, database_labels, database_index = self._videos("database")
        return evaluate(
            *(packed, labels, database, database_labels),
            ks=self.ks,
            ties=self.ties,
            seed=self.seed,
            query_ids=None if self.exclude_self is None else index,
            database_ids=database_index,
            exclude_self=bool(self.exclude_self),
            bits=int(self.bits),
            memory=self.memory,
        )

    def _videos(self, role: Role) -> tuple[Tensor, Tensor, Tensor]:
        """Packed codes, labels and indices of the videos of one role, each index once, sorted by index."""
        if not len(self.index) or not bool((dim_zero_cat(self.is_query) == (role == "query")).any()):
            raise AvnasError(f"no video with role={role!r}: update the metric with queries and database first")
        index = dim_zero_cat(self.index).cpu()
        chosen = (dim_zero_cat(self.is_query).cpu() == (role == "query")).nonzero().flatten()
        distinct, first = np.unique(index[chosen].numpy(), return_index=True)
        rows = chosen[torch.from_numpy(first)]
        packed = dim_zero_cat(self.packed).cpu().view(len(index), -1)[rows]
        labels = unpack(dim_zero_cat(self.labels).cpu().view(len(index), -1)[rows], int(self.classes)) > 0
        return packed, labels, torch.from_numpy(distinct)
