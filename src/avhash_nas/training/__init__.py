"""Training of one network in one stage: the LightningModule, its callbacks, stages and encoding."""

from avhash_nas.training.augmentation import Augmentation
from avhash_nas.training.checkpoint import Interrupted, StopRequest, stop_requests
from avhash_nas.training.encoding import Encoding, Speed, encode, quiet_trainer
from avhash_nas.training.hashing_module import HashingModule
from avhash_nas.training.module import NetworkModule
from avhash_nas.training.moments import Moment, moments, timeline
from avhash_nas.training.network_options import NetworkOptions
from avhash_nas.training.parsing_module import ParsingModule
from avhash_nas.training.recipe import Recipe
from avhash_nas.training.search_log import (
    EvaluatedArchitecture,
    Probabilities,
    read_evaluations,
    read_probabilities,
    write_evaluations,
)
from avhash_nas.training.stage import Stage, StageResult, TrainerFactory
from avhash_nas.training.strategy_callback import StrategyCallback
from avhash_nas.training.tensors import read_tensors, write_tensors

__all__ = [
    "Augmentation",
    "Encoding",
    "EvaluatedArchitecture",
    "HashingModule",
    "Interrupted",
    "Moment",
    "NetworkModule",
    "NetworkOptions",
    "ParsingModule",
    "Probabilities",
    "Recipe",
    "Speed",
    "Stage",
    "StageResult",
    "StopRequest",
    "StrategyCallback",
    "TrainerFactory",
    "encode",
    "moments",
    "quiet_trainer",
    "read_evaluations",
    "read_probabilities",
    "read_tensors",
    "stop_requests",
    "timeline",
    "write_evaluations",
    "write_tensors",
]
