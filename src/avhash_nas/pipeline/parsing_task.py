"""Parsing: what is heard and seen in each time step, tested by F-scores."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from typing_extensions import override

from avhash_nas.data import HashingData, ParsingData
from avhash_nas.data.event_files import LLP_CLASSES
from avhash_nas.data.loading import Rows
from avhash_nas.distributed import gather_rows
from avhash_nas.files import write_json
from avhash_nas.metrics import ParsingScores, constant_predictions, decode, parsing_scores, video_scores
from avhash_nas.metrics.parsing import KINDS, LEVELS, summarize
from avhash_nas.networks import AudioVisualParser, ParsingNetwork, SearchableNetwork, VideoNetwork
from avhash_nas.networks.shared_routes import SharedRoutes
from avhash_nas.networks.video_network import evaluating
from avhash_nas.pipeline.architecture_scorer import Scoring, part_of, share_of_rank
from avhash_nas.pipeline.run_folder import RunFolder
from avhash_nas.pipeline.task import Scores, Task, Tested
from avhash_nas.space import Architecture
from avhash_nas.training import ParsingModule
from avhash_nas.training.predictions import KeepPredictions

EVENTS_FILE = "events.json"
"""Of a model: names of the classes, and the length of a time step in seconds."""

PREDICTIONS_FILE = "predictions.npz"
"""Of a run: what it predicts for the test videos, and the truth."""


class ParsingTask(Task):
    """Classes of time steps, scored by Type@AV of segments, as the published methods select."""

    score = "segment_type"
    data_class = ParsingData
    module_class = ParsingModule

    @override
    def main(self, scores: Scores) -> float:
        return scores["segment"]["type"]

    @override
    def logged(self, values: Mapping[str, float], prefix: str) -> dict[str, dict[str, float]]:
        """Scores by level and kind.

        >>> ParsingTask().logged({"val/segment_type": 0.5, "val/loss": 0.1}, "val/")
        {'segment': {'type': 0.5}}
        """
        scores: dict[str, dict[str, float]] = {}
        for level in LEVELS:
            names = {str(kind): f"{prefix}{level}_{kind}" for kind in KINDS}
            scores[level] = {kind: values[name] for kind, name in names.items() if name in values}
        return {level: kinds for level, kinds in scores.items() if kinds}

    @override
    def score_architectures(
        self,
        supernet: SearchableNetwork,
        data: HashingData,
        scoring: Scoring,
        device: torch.device,
        architectures: Sequence[Architecture],
    ) -> list[Scores]:
        return _ParserScorer(cast(AudioVisualParser, supernet), data, scoring, device).scores(architectures)

    @override
    def test(
        self, network: VideoNetwork, data: HashingData, make_trainer: Callable[[Sequence[Callback]], L.Trainer]
    ) -> Tested:
        own_data, keep = cast(ParsingData, data), KeepPredictions()
        trainer = make_trainer([keep])
        scores = evaluate_parser(cast(ParsingNetwork, network), data, trainer)

        def write(folder: RunFolder) -> None:
            spread = {level: dict(scores.deviations[level]) for level in LEVELS}
            write_json(folder.path / "deviations.json", spread)
            described = {"classes": list(data.class_names), "seconds": own_data.events.seconds}
            write_json(folder.model / EVENTS_FILE, described)
            keep.predictions(own_data).save(folder.path / PREDICTIONS_FILE)

        return Tested(trainer, scores.to_dict(), write)

    @override
    def describe(self, network: VideoNetwork) -> dict[str, Any]:
        return {"task": "parsing", "oracle_labels": cast(ParsingNetwork, network).oracle_labels}

    @override
    def references(self, network: VideoNetwork, data: HashingData, seed: int) -> dict[str, Any]:
        """Constant predictions, of which all but the first know the weak labels of test."""
        assert isinstance(data, ParsingData)
        rows = data.splits["test"]
        made = constant_predictions(torch.from_numpy(data.events.weak[rows]), data.frames)
        truth = torch.from_numpy(data.events.truth[rows])
        scores = {name: parsing_scores(predicted, truth).to_dict() for name, predicted in made.items()}
        return {"dataset": "LLP" if data.class_names == LLP_CLASSES else "other", **scores}

    @override
    def run_once(self, network: VideoNetwork, visual: Tensor, audio: Tensor) -> Tensor:
        return cast(ParsingNetwork, network).probabilities(visual, audio)[0]


def evaluate_parser(network: ParsingNetwork, data: HashingData, trainer: L.Trainer) -> ParsingScores:
    """Scores on the test split."""
    module = ParsingModule(network)
    trainer.test(module, datamodule=data, verbose=False)
    return module.scores[""]


class _ParserScorer:
    """Scores architectures by the parsing of val, with a supernet's weights; see `ArchitectureScorer`.

    `Scoring.queries` limits the videos of val; there is no database.
    """

    def __init__(
        self,
        supernet: AudioVisualParser,
        data: HashingData,
        scoring: Scoring,
        device: torch.device,
    ) -> None:
        self.supernet = supernet
        self.data = data
        self.device = device
        self._memory = int(scoring.memory * 2**30)
        self._rows: Rows = part_of(data.splits["val"], data.labels, scoring.queries)

    def scores(self, architectures: Sequence[Architecture]) -> list[Scores]:
        if not architectures:
            return []
        ordered, own, _ = share_of_rank(self.supernet.space, architectures)
        of_videos = self._video_scores(list(own.values()))
        known = dict(zip(ordered, gather_rows(of_videos.to(self.device)).cpu(), strict=True))
        return [
            {
                level: {str(kind): mean for kind, mean in means.items()}
                for level, means in summarize(known[architecture]).means.items()
            }
            for architecture in architectures
        ]

    def _video_scores(self, routes: Sequence[Mapping[str, int]]) -> Tensor:
        """F-scores of each video, (architectures, V, 2, 4), as ParsingMetric keeps them."""
        kept = torch.empty(len(routes), len(self._rows), 2, 4)
        home = next(self.supernet.parameters()).device
        weight = next(self.supernet.to(self.device).parameters())
        shared = SharedRoutes(self.supernet, routes, self._memory)
        done = 0
        try:
            with torch.inference_mode(), evaluating(self.supernet):
                for rows in self._batches():
                    batch = self.data.batch(rows)
                    assert batch.events is not None
                    for number, values in shared(batch.visual.to(weight), batch.audio.to(weight)):
                        logits, _, video = self.supernet.parse.pool(values)
                        predicted = decode(logits.sigmoid(), video).cpu()
                        kept[number, done : done + len(rows)] = video_scores(predicted, batch.events.truth).float()
                    done += len(rows)
        finally:
            self.supernet.to(home)
        return kept

    def _batches(self) -> list[Rows]:
        return np.array_split(self._rows, -(-len(self._rows) // self.data.eval_batch_size))
