"""What a run is for: hashing or parsing. Stages, checkpoints and strategies are the same for both."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from avhash_nas.data import HashingData
from avhash_nas.networks import SearchableNetwork, VideoNetwork
from avhash_nas.pipeline.architecture_scorer import Scoring
from avhash_nas.pipeline.run_folder import RunFolder
from avhash_nas.space import Architecture
from avhash_nas.training import NetworkModule

Scores = Mapping[str, Mapping[str, float]]
"""Scores in the form of `metrics.json`: {"map@100": {"retrieved": 0.7, ...}} or {"segment": {"type": 0.6, ...}}."""


@dataclass(frozen=True)
class Tested:
    """A test's result.

    Attributes:
        trainer: Of the test.
        scores: For `metrics.json`.
        write: Leaves what else the test has found in the folder; called by the first process.
    """

    trainer: L.Trainer
    scores: dict[str, Any]
    write: Callable[[RunFolder], None]


class Task(ABC):
    """How networks of one kind are trained, scored and tested.

    Attributes:
        score: Logged name of the score that selects an epoch.
        data_class: Reads the dataset.
        module_class: Trains and scores a network.
    """

    score: str
    data_class: type[HashingData]
    module_class: type[NetworkModule]

    def score_of(self, network: VideoNetwork) -> str:  # noqa: ARG002
        """Logged name of the score that selects an epoch of a network without choices."""
        return self.score

    @abstractmethod
    def main(self, scores: Scores) -> float:
        """The score that selects, of all scores."""

    @abstractmethod
    def logged(self, values: Mapping[str, float], prefix: str) -> dict[str, dict[str, float]]:
        """Scores that a module has logged under a prefix; empty if there are none."""

    @abstractmethod
    def score_architectures(
        self,
        supernet: SearchableNetwork,
        data: HashingData,
        scoring: Scoring,
        device: torch.device,
        architectures: Sequence[Architecture],
    ) -> list[Scores]:
        """Scores of architectures on val, with the supernet's weights."""

    @abstractmethod
    def test(
        self, network: VideoNetwork, data: HashingData, make_trainer: Callable[[Sequence[Callback]], L.Trainer]
    ) -> Tested:
        """Tests a finished network.

        Args:
            network: Without choices.
            data: Its test split is read here, and nowhere else.
            make_trainer: Makes the Trainer from the callbacks of the test.
        """

    @abstractmethod
    def describe(self, network: VideoNetwork) -> dict[str, Any]:
        """What `metrics.json` says of the outputs: the code length, or the task and its classes."""

    @abstractmethod
    def references(self, network: VideoNetwork, data: HashingData, seed: int) -> dict[str, Any]:
        """Scores on test that need no training, by name."""

    @abstractmethod
    def run_once(self, network: VideoNetwork, visual: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
        """What inference computes for a batch of videos."""
