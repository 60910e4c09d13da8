"""Hashing: codes, tested by retrieval."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from typing_extensions import override

from avhash_nas.data import HashingData
from avhash_nas.files import write_json
from avhash_nas.networks import AudioVisualNetwork, HashNetwork, SearchableNetwork, TextHashNetwork, VideoNetwork
from avhash_nas.pipeline.architecture_scorer import ArchitectureScorer, Scoring
from avhash_nas.pipeline.evaluate import evaluate_network, reference_scores, scores_by_k
from avhash_nas.pipeline.run_folder import RunFolder
from avhash_nas.pipeline.task import Scores, Task, Tested
from avhash_nas.space import Architecture
from avhash_nas.training import HashingModule
from avhash_nas.training.code_collector import KeepTestCodes
from avhash_nas.training.text_scores import TEXT_SCORE


class HashingTask(Task):
    """Codes, scored by mAP@100, normalized by the hits within the first 100, as in the paper's tables."""

    score = "map@100_retrieved"
    data_class = HashingData
    module_class = HashingModule

    @override
    def score_of(self, network: VideoNetwork) -> str:
        """With a text side, an epoch is selected by the captions of val."""
        return TEXT_SCORE if isinstance(network, TextHashNetwork) else self.score

    @override
    def main(self, scores: Scores) -> float:
        return scores["map@100"]["retrieved"]

    @override
    def logged(self, values: Mapping[str, float], prefix: str) -> dict[str, dict[str, float]]:
        return scores_by_k(values, prefix)

    @override
    def score_architectures(
        self,
        supernet: SearchableNetwork,
        data: HashingData,
        scoring: Scoring,
        device: torch.device,
        architectures: Sequence[Architecture],
    ) -> list[Scores]:
        scorer = ArchitectureScorer(cast(AudioVisualNetwork, supernet), data, scoring, device)
        return [{"map@100": scores} for scores in scorer.scores(architectures)]

    @override
    def test(
        self, network: VideoNetwork, data: HashingData, make_trainer: Callable[[Sequence[Callback]], L.Trainer]
    ) -> Tested:
        own = cast(HashNetwork, network)
        keep_codes = KeepTestCodes()
        trainer = make_trainer([keep_codes])
        scores = evaluate_network(own, data, trainer)

        def write(folder: RunFolder) -> None:
            for role, codes in keep_codes.code_sets(own, data).items():
                codes.save(folder.codes / f"{role}.npz")
            write_json(folder.path / "curves.json", scores.curves_to_dict())

        return Tested(trainer, scores.to_dict(), write)

    @override
    def describe(self, network: VideoNetwork) -> dict[str, Any]:
        return {"bits": cast(HashNetwork, network).bits}

    @override
    def references(self, network: VideoNetwork, data: HashingData, seed: int) -> dict[str, Any]:
        return reference_scores(data, cast(HashNetwork, network).bits, seed)

    @override
    def run_once(self, network: VideoNetwork, visual: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
        return cast(HashNetwork, network).encode(visual, audio)
