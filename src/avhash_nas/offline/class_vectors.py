"""Vectors of a dataset's event classes, for audio and visual."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from avhash_nas.data import HashingData, ParsingData
from avhash_nas.errors import AvnasError
from avhash_nas.offline.pseudo_labels import class_means

ClassVectors = Literal["dataset", "means", "none"]


def class_vectors(data: HashingData, source: ClassVectors) -> tuple[Tensor, Tensor] | None:
    """Vectors of the classes, (C, d) for audio and for visual.

    Args:
        data: An open dataset.
        source: `dataset` are the text vectors that the dataset names; `means` are class means of the training videos'
            features, from weak labels (`class_means`), of unit length; `none` gives None.

    Raises:
        AvnasError: The dataset has no events, or no text vectors.
    """
    if source == "none":
        return None
    if not isinstance(data, ParsingData):
        raise AvnasError(f"{data.root}: class vectors need a dataset with events")
    if source == "dataset":
        if data.events.texts is None:
            raise AvnasError(
                f"{data.root / 'dataset.yaml'}: events: has no `texts`, the vectors of the classes' names; "
                "--network.texts=means takes class means of the training features, --network.texts=none goes without"
            )
        audio, visual = data.events.texts
        return torch.from_numpy(audio), torch.from_numpy(visual)
    rows = data.splits["train"]
    batches = list(data.pieces(rows))
    vectors = []
    for name in ("audio", "visual"):
        means = class_means(torch.cat([getattr(batch, name) for batch in batches]).numpy(), data.labels[rows])[0]
        lengths = np.linalg.norm(means, axis=1, keepdims=True)
        vectors.append(torch.from_numpy(means / np.where(lengths > 0, lengths, 1)))
    return vectors[0], vectors[1]
