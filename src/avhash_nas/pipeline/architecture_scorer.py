"""Scores of many architectures with one supernet's weights, equal to those of single validations."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, distributed

from avhash_nas.codes import pack
from avhash_nas.data import HashingData
from avhash_nas.data.loading import Rows
from avhash_nas.data.sampling import Labels
from avhash_nas.distributed import gather_rows, world_size
from avhash_nas.errors import AvnasError
from avhash_nas.metrics import evaluate, ids_from_names
from avhash_nas.metrics.average_precision import NORMALIZATIONS
from avhash_nas.networks import AudioVisualNetwork
from avhash_nas.networks.shared_routes import SharedRoutes
from avhash_nas.networks.video_network import evaluating
from avhash_nas.space import Architecture, SearchSpace

_K = 100


@dataclass(frozen=True)
class Scoring:
    """How architectures are scored with the supernet's weights, on val.

    Fewer videos are proportionally faster, but change the scores. The subset is fixed: every n-th video of the split,
    sorted by (first) class, so that classes keep their proportions.

    Args:
        queries: Number of queries from val; 0 takes all.
        database: Number of videos of the database split; 0 takes all.
        memory: GiB for intermediate results that several architectures share; with less, more is recomputed.

    Raises:
        AvnasError: An option is out of range.
    """

    queries: int = 0
    database: int = 0
    memory: float = 2.0

    def __post_init__(self) -> None:
        for name in ("queries", "database", "memory"):
            if not getattr(self, name) >= 0:
                raise AvnasError(f"scoring.{name} must be at least 0, got {getattr(self, name)}")


class ArchitectureScorer:
    """Scores architectures by the retrieval of val queries in the database, with a supernet's weights.

    A batch of videos goes through all architectures before the next batch, and common parts of architectures run once
    (`SharedRoutes`); for all videos only packed codes are kept, bits / 8 bytes each. Batches are those of a validation
    by one process, so a score equals, to the last bit, that of a validation of the supernet on the architecture's route
    (and of the pruned network), whichever other architectures are scored with it. Nothing is kept between calls, so the
    weights may change.

    Under several ranks each scores some of the architectures on all videos, and all get all scores. Weights, buffers
    and random states do not change.

    Args:
        supernet: Its weights score.
        data: An open dataset.
        scoring: Options.
        device: Where to compute; the supernet is moved there temporarily.
        pause: Called between two architectures of a batch, equally often on all ranks; it may raise to stop.
    """

    def __init__(
        self,
        supernet: AudioVisualNetwork,
        data: HashingData,
        scoring: Scoring,
        device: torch.device,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        self.supernet = supernet
        self.data = data
        self.device = device
        self.pause = pause
        self._memory = int(scoring.memory * 2**30)
        self._queries = _Videos.of(data, "val", scoring.queries)
        self._database = _Videos.of(data, data.database, scoring.database)

    def scores(self, architectures: Sequence[Architecture]) -> list[dict[str, float]]:
        """mAP@100 of each architecture, by normalization: `retrieved`, `standard`, `k`.

        Raises:
            AvnasError: An architecture is not in the space, or its codes are NaN.
        """
        if not architectures:
            return []
        ordered, own, share = share_of_rank(self.supernet.space, architectures)
        codes = self._codes(own, pauses=share)
        scores = torch.tensor([self._score(each) for each in codes], dtype=torch.float64, device=self.device)
        everywhere = gather_rows(scores.view(len(own), len(NORMALIZATIONS))).tolist()
        known = dict(zip(ordered, everywhere, strict=True))
        return [dict(zip(NORMALIZATIONS, known[architecture], strict=True)) for architecture in architectures]

    def _codes(self, routes: Mapping[Architecture, Mapping[str, int]], pauses: int) -> Tensor:
        """Packed codes of queries and database, shape (architectures, videos, bytes)."""
        videos = len(self._queries.rows) + len(self._database.rows)
        packed = torch.empty(len(routes), videos, -(-self.supernet.bits // 8), dtype=torch.uint8)
        home = next(self.supernet.parameters()).device
        weight = next(self.supernet.to(self.device).parameters())
        shared = SharedRoutes(self.supernet, list(routes.values()), self._memory)
        architectures = list(routes)
        done = 0
        try:
            with torch.inference_mode(), evaluating(self.supernet):
                for rows in self._batches():
                    batch = self.data.batch(rows)
                    for number, codes in shared(batch.visual.to(weight), batch.audio.to(weight)):
                        packed[number, done : done + len(rows)] = _pack(codes, architectures[number])
                        self.pause()
                    for _ in range(pauses - len(routes)):
                        self.pause()
                    done += len(rows)
        finally:
            self.supernet.to(home)
        return packed

    def _batches(self) -> Iterator[Rows]:
        """Queries, then database, in the batches of OrderedBatches for one process."""
        for rows in (self._queries.rows, self._database.rows):
            yield from np.array_split(rows, -(-len(rows) // self.data.eval_batch_size))

    def _score(self, codes: Tensor) -> list[float]:
        """mAP@100 of one architecture from its codes, shape (videos, bytes)."""
        queries, database = codes[: len(self._queries.rows)], codes[len(self._queries.rows) :]
        scores = evaluate(
            queries[self._queries.order],
            self._queries.labels,
            database[self._database.order],
            self._database.labels,
            ks=(_K,),
            query_ids=self._queries.ids,
            database_ids=self._database.ids,
            exclude_self=not self.data.include_self,
            bits=self.supernet.bits,
        )
        return [scores.average_precision[_K][name] for name in NORMALIZATIONS]


@dataclass(frozen=True)
class _Videos:
    """The videos of one role.

    Attributes:
        rows: In the order of encoding.
        order: Permutation to the order of ids, in which a validation sums their scores.
        ids: In that order.
        labels: In that order.
    """

    rows: Rows
    order: Tensor
    ids: Tensor
    labels: Tensor

    @classmethod
    def of(cls, data: HashingData, split: str, count: int) -> "_Videos":
        rows = part_of(data.splits[split], data.labels, count)
        ids, order = ids_from_names(data.ids[row] for row in rows).sort()
        return cls(rows, order, ids, torch.from_numpy(data.labels[rows])[order])


def share_of_rank(
    space: SearchSpace, architectures: Sequence[Architecture]
) -> tuple[list[Architecture], dict[Architecture, Mapping[str, int]], int]:
    """Divides architectures between the ranks, neighbors in the space together, as they have most in common.

    Args:
        space: Of the architectures.
        architectures: On all ranks the same ones.

    Returns:
        All distinct architectures in the order of the ranks' shares; those of this rank with their routes; the size of
        the first rank's share, which is the largest.

    Raises:
        AvnasError: An architecture is not in the space.
    """
    routes = {architecture: space.indices(architecture) for architecture in architectures}
    ordered = sorted(routes, key=lambda architecture: tuple(routes[architecture].values()))
    share = -(-len(ordered) // world_size())
    rank = distributed.get_rank() if world_size() > 1 else 0
    own = ordered[rank * share : (rank + 1) * share]
    return ordered, {architecture: routes[architecture] for architecture in own}, share


def part_of(rows: Rows, labels: Labels, count: int) -> Rows:
    """Every n-th of some videos, sorted by their first class.

    Args:
        rows: The videos, in the order of their list.
        labels: Multi-hot labels of all videos, (V, C).
        count: Number of videos; 0, or more than there are, takes all.

    Returns:
        Their rows, ascending.
    """
    if count == 0 or count >= len(rows):
        return rows
    first = np.where(labels[rows].any(axis=1), labels[rows].argmax(axis=1), labels.shape[1])  # no class: the last one
    by_class = rows[np.argsort(first, kind="stable")]
    return np.sort(by_class[np.arange(count) * len(rows) // count])


def _pack(codes: Tensor, architecture: Architecture) -> Tensor:
    try:
        return pack(codes).cpu()
    except AvnasError as error:
        raise AvnasError(f"{architecture}: {error}") from error
