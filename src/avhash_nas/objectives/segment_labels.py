"""Parsing with pseudo labels of segments, as VALOR learns it (Lai et al., NeurIPS 2023)."""

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from avhash_nas.data import Batch, HashingData, ParsingData
from avhash_nas.errors import AvnasError
from avhash_nas.networks import Parsing, VideoNetwork
from avhash_nas.objectives.weak_labels import ParsingObjective, bag_loss
from avhash_nas.offline import class_means, class_vectors, fit_thresholds, logits

Source = Literal["dataset", "texts", "means"]


def segment_loss(segment_logits: Tensor, pseudo: Tensor) -> Tensor:
    """Binary cross-entropy of segments: the mean over all entries of the audio modality plus that of the visual one.

    Args:
        segment_logits: Shape (B, 2, T, C).
        pseudo: Pseudo labels, the same shape.
    """
    each = functional.binary_cross_entropy_with_logits(segment_logits, pseudo.to(segment_logits), reduction="none")
    return each.mean(dim=(0, 2, 3)).sum()


class SegmentLabels(ParsingObjective):
    """VALOR's loss: L = BCE(P, y) + BCE(p^a, pseudo^a) + BCE(p^v, pseudo^v), means over all entries, weights 1.

    Where the pseudo labels come from is an option. `dataset` are those that the dataset names. `texts` are made from
    the vectors of the classes' names that the dataset names, by cosine similarity; `means` from vectors that weak
    labels give, one for each class (`offline.class_means`), for features without a text encoder. The latter two fit
    their thresholds to the weak labels of the training videos, and are cut to them.

    Args:
        pseudo: `dataset`, `texts` or `means`.

    Raises:
        AvnasError: There is no such source.
    """

    _table: Tensor

    def __init__(self, pseudo: Source = "dataset") -> None:
        super().__init__()
        if pseudo not in get_args(Source):
            raise AvnasError(f"objective.pseudo: {pseudo!r} is none of {', '.join(get_args(Source))}")
        self.source = pseudo

    @override
    def check_data(self, data: HashingData) -> None:
        if not isinstance(data, ParsingData):
            raise AvnasError(f"{type(self).__name__}: needs a dataset with events")
        if self.source == "dataset" and data.events.pseudo is None:
            raise AvnasError(
                f"{data.root / 'dataset.yaml'}: events: has no `pseudo` labels; --objective.pseudo=texts makes them "
                "from `texts`, --objective.pseudo=means from weak labels"
            )
        if self.source == "texts":
            class_vectors(data, "dataset")

    @override
    def prepare(self, data: HashingData, network: VideoNetwork, seed: int) -> dict[str, Tensor]:
        self.check(network)
        self.check_data(data)
        if self.source == "dataset":
            return {}
        vectors = class_vectors(data, "dataset") if self.source == "texts" else None
        texts = (None, None) if vectors is None else tuple(each.numpy() for each in vectors)
        rows = data.splits["train"]
        batches = list(data.pieces(rows))
        weak = data.labels[rows]
        tables = []
        for name, of_classes in zip(("audio", "visual"), texts, strict=True):
            segments = torch.cat([getattr(batch, name) for batch in batches]).numpy()
            tables.append(torch.from_numpy(made_labels(segments, weak, of_classes)))
        return {"pseudo": torch.stack(tables, dim=1)}

    @override
    def setup(self, data: HashingData, network: VideoNetwork, prepared: Mapping[str, Tensor]) -> None:
        self.check(network)
        if "pseudo" in prepared:
            table = torch.zeros(len(data.ids), *prepared["pseudo"].shape[1:], dtype=torch.bool)
            table[torch.from_numpy(data.splits["train"])] = prepared["pseudo"]
            self.register_buffer("_table", table, persistent=False)

    @override
    def pseudo_of(self, batch: Batch) -> Tensor | None:
        if self.source == "dataset":
            return super().pseudo_of(batch)
        return self._table[batch.index]

    @override
    def forward(self, parsing: Parsing, weak: Tensor, pseudo: Tensor | None) -> Tensor:
        assert pseudo is not None
        return bag_loss(parsing.video, weak) + segment_loss(parsing.logits, pseudo)


def made_labels(
    segments: NDArray[np.float32], weak: NDArray[np.bool_], texts: NDArray[np.float32] | None
) -> NDArray[np.bool_]:
    """Pseudo labels of one modality's training segments, cut to the weak labels, (V, T, C).

    Args:
        segments: Features of segments, shape (V, T, d).
        weak: Whether a class occurs in a video, shape (V, C).
        texts: Vectors of the classes, shape (C, d); None takes class means.

    Raises:
        AvnasError: The vectors have another width than the features.
    """
    if texts is None:
        texts, center = class_means(segments, weak)
        segments = segments - center
    if texts.shape[1] != segments.shape[2]:
        raise AvnasError(
            f"objective.pseudo=texts: class vectors of width {texts.shape[1]} do not fit features of width "
            f"{segments.shape[2]}; --objective.pseudo=means makes pseudo labels from weak labels"
        )
    values = logits(segments, texts)
    labels: NDArray[np.bool_] = (values > fit_thresholds(values, weak)) & weak[:, None, :]
    return labels
