"""Everything that a run needs, built and ready."""

from collections.abc import Callable
from dataclasses import dataclass

from avhash_nas.data import HashingData
from avhash_nas.networks import HashNetwork
from avhash_nas.objectives import Objective
from avhash_nas.pipeline.architecture_scorer import Scoring
from avhash_nas.strategies import SearchStrategy
from avhash_nas.training.augmentation import Augmentation
from avhash_nas.training.recipe import Recipe
from avhash_nas.training.stage import TrainerFactory

SCORE = "map@100_retrieved"
"""What selects an epoch: mAP@100, divided by the hits within the first 100, as in the paper's tables."""


@dataclass(frozen=True)
class Plan:
    """Everything that decides what a run computes, built and ready.

    Attributes:
        data: The dataset, opened.
        make_network: Builds the network; called with the random numbers seeded.
        objective: The loss of both stages.
        search: How the supernet is trained.
        finetune: How the pruned network, or one without choices, is trained.
        augmentation: Of training batches, in both stages.
        strategy: Finds the architecture; not used by a network without choices.
        make_trainer: Makes a stage's Trainer.
        seed: For initialization, sampling, dropout and augmentation.
        scoring: How candidates are scored after the supernet is trained.
        from_scratch: Fine-tune from a fresh initialization instead of the supernet's weights.
    """

    data: HashingData
    make_network: Callable[[], HashNetwork]
    objective: Objective
    search: Recipe
    finetune: Recipe
    augmentation: Augmentation | None
    strategy: SearchStrategy
    make_trainer: TrainerFactory
    seed: int
    scoring: Scoring
    from_scratch: bool = False
