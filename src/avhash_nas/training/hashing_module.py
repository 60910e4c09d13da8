"""The LightningModule of hashing: codes, scored by retrieval."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast

from torch import Tensor
from torchmetrics import Metric
from typing_extensions import override

from avhash_nas.data import Batch
from avhash_nas.metrics import RetrievalMetric, RetrievalScores
from avhash_nas.networks import HashNetwork, Route, TextHashNetwork
from avhash_nas.objectives import InfoNCE, Objective
from avhash_nas.strategies import SearchStrategy
from avhash_nas.training.augmentation import Augmentation
from avhash_nas.training.module import NetworkModule
from avhash_nas.training.recipe import Recipe
from avhash_nas.training.strategy_callback import hashing_data
from avhash_nas.training.text_scores import TEXT_SCORE, selection_score

ROLES: tuple[Literal["query"], Literal["database"]] = ("query", "database")
"""Contents of the first and the second loader of a validation or test."""


class HashingModule(NetworkModule):
    """Trains a hashing network and scores its codes by retrieval; all else is as in `NetworkModule`.

    Scores are logged as `val/map@K_retrieved` and so on. A test returns the relaxed codes of the first route, (B, q).

    Args:
        network: Supernet or plain network.
        objective: Loss of a batch; in-batch InfoNCE if None. The module takes a copy.
        recipe: How the weights are trained.
        augmentation: Applied to training batches; none if None.
        ks: The K of mAP@K, P@K and R@K.
        seed: For dropout and augmentation.
        strategy: Searches the network's space, after `setup_search`; None for a network without choices.
        prepared_file: File for what the objective prepares before training; it is not saved if None.
        pretrained: Network that the objective prepares with; `network` if None.
        stop_point: Raises `Interrupted` if a stop was requested.

    Raises:
        AvnasError: The strategy searches another space than the network's.
    """

    scores: dict[str, RetrievalScores]

    def __init__(
        self,
        network: HashNetwork,
        objective: Objective | None = None,
        recipe: Recipe | None = None,
        augmentation: Augmentation | None = None,
        ks: tuple[int, ...] = (100,),
        seed: int = 0,
        *,
        strategy: SearchStrategy | None = None,
        prepared_file: Path | None = None,
        pretrained: HashNetwork | None = None,
        stop_point: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(
            network,
            objective if objective is not None else InfoNCE(),
            recipe,
            augmentation,
            seed,
            strategy=strategy,
            prepared_file=prepared_file,
            pretrained=pretrained,
            stop_point=stop_point,
        )
        self.ks = ks

    @override
    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        data = hashing_data(self.trainer)
        if isinstance(self.network, TextHashNetwork) and data is not None and data.captions is not None:
            self.log(f"val/{TEXT_SCORE}", selection_score(self.network, data))

    @override
    def make_metric(self) -> RetrievalMetric:
        data = hashing_data(self.trainer)
        return RetrievalMetric(ks=self.ks, exclude_self=None if data is None else not data.include_self)

    @override
    def outputs(self, batch: Batch, route: Route | None) -> Tensor:
        codes: Tensor = self.network(batch.visual, batch.audio, route)
        return codes

    @override
    def update_metric(
        self, metric: Metric, outputs: Tensor, batch: Batch, identity: Tensor, dataloader_idx: int
    ) -> None:
        """Add queries (loader 0) or videos of the database (loader 1)."""
        retrieval = cast(RetrievalMetric, metric)
        retrieval.update(outputs.float(), batch.labels, identity, role=ROLES[dataloader_idx])
