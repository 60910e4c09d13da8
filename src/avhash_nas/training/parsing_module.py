"""The LightningModule of parsing: classes of segments, scored by F-scores."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

from torch import Tensor
from torchmetrics import Metric
from typing_extensions import override

from avhash_nas.data import Batch
from avhash_nas.errors import AvnasError
from avhash_nas.metrics import ParsingMetric, ParsingScores, decode
from avhash_nas.networks import Parsing, ParsingNetwork, Route
from avhash_nas.objectives import Objective, WeakLabels
from avhash_nas.strategies import SearchStrategy
from avhash_nas.training.augmentation import Augmentation
from avhash_nas.training.module import NetworkModule
from avhash_nas.training.recipe import Recipe


class ParsingModule(NetworkModule):
    """Trains a parsing network and scores what it says of each time step; all else is as in `NetworkModule`.

    Scores are logged as `val/segment_type`, `val/event_audio` and so on. A test returns the `Parsing` of the first
    route. The network sees pseudo labels of val and test only if they were made without the weak labels, or if it asks
    for them by name (`ParsingNetwork.oracle_labels`).

    Args:
        network: Supernet or plain network.
        objective: Loss of a batch; `WeakLabels` if None. The module takes a copy.
        recipe: How the weights are trained.
        augmentation: Applied to training batches; none if None.
        seed: For dropout and augmentation.
        strategy: Searches the network's space, after `setup_search`; None for a network without choices.
        prepared_file: File for what the objective prepares before training; it is not saved if None.
        pretrained: Network that the objective prepares with; `network` if None.
        stop_point: Raises `Interrupted` if a stop was requested.

    Raises:
        AvnasError: The strategy searches another space than the network's, or time steps are to be left out.
    """

    scores: dict[str, ParsingScores]

    def __init__(
        self,
        network: ParsingNetwork,
        objective: Objective | None = None,
        recipe: Recipe | None = None,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        *,
        strategy: SearchStrategy | None = None,
        prepared_file: Path | None = None,
        pretrained: ParsingNetwork | None = None,
        stop_point: Callable[[], None] = lambda: None,
    ) -> None:
        self.check_augmentation(augmentation)
        super().__init__(
            network,
            objective if objective is not None else WeakLabels(),
            recipe,
            augmentation,
            seed,
            strategy=strategy,
            prepared_file=prepared_file,
            pretrained=pretrained,
            stop_point=stop_point,
        )

    @staticmethod
    @override
    def check_augmentation(augmentation: Augmentation | None) -> None:
        if augmentation is not None and augmentation.frames:
            raise AvnasError("augmentation.frames: parsing labels every time step, none can be left out")

    @override
    def make_metric(self) -> ParsingMetric:
        return ParsingMetric()

    @override
    def outputs(self, batch: Batch, route: Route | None) -> Parsing:
        network = cast(ParsingNetwork, self.network)
        pseudo = None
        if batch.events is not None:
            pseudo = batch.events.oracle if network.oracle_labels else batch.events.pseudo
        parsing: Parsing = network(batch.visual, batch.audio, route, pseudo)
        return parsing

    @override
    def update_metric(
        self, metric: Metric, outputs: Parsing, batch: Batch, identity: Tensor, dataloader_idx: int
    ) -> None:
        assert batch.events is not None
        predicted = decode(outputs.logits.sigmoid(), outputs.video)
        cast(ParsingMetric, metric).update(predicted, batch.events.truth, identity)
