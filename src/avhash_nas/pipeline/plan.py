"""The plan of a run: data, networks, recipes and strategy."""

from collections.abc import Callable
from dataclasses import dataclass, field

from avhash_nas.data import HashingData
from avhash_nas.networks import VideoNetwork
from avhash_nas.objectives import Objective
from avhash_nas.pipeline.architecture_scorer import Scoring
from avhash_nas.pipeline.hashing_task import HashingTask
from avhash_nas.pipeline.task import Task
from avhash_nas.strategies import SearchStrategy
from avhash_nas.training import Augmentation, Recipe, TrainerFactory


@dataclass(frozen=True)
class Plan:
    """Everything that determines the result of a run, constructed.

    Attributes:
        data: The dataset, opened.
        make_network: Builds the network; called with torch's generator seeded.
        objective: The loss of both stages.
        search: Recipe of the supernet.
        finetune: Recipe of the pruned network, or of one without choices.
        augmentation: Of training batches, in both stages.
        strategy: Search strategy; not used for a network without choices.
        make_trainer: Makes a stage's Trainer.
        seed: For initialization, sampling, dropout and augmentation.
        scoring: How architectures are scored after the supernet is trained.
        task: What the networks are trained for.
        from_scratch: Fine-tune from a fresh initialization instead of the supernet's weights.

    Raises:
        DataError: The objective reads labels, and a training video has none.
    """

    data: HashingData
    make_network: Callable[[], VideoNetwork]
    objective: Objective
    search: Recipe
    finetune: Recipe
    augmentation: Augmentation | None
    strategy: SearchStrategy
    make_trainer: TrainerFactory
    seed: int
    scoring: Scoring
    task: Task = field(default_factory=HashingTask)
    from_scratch: bool = False

    def __post_init__(self) -> None:
        if self.objective.reads_labels:
            self.data.require_labels(type(self.objective).__name__)
