"""The batch that every loader yields."""

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """B videos of a dataset.

    Args:
        visual: Visual features, (B, T, visual dim), float32.
        audio: Audio features, (B, T, audio dim), float32.
        labels: Multi-hot labels, (B, C), bool.
        index: Rows of the videos, (B,), int64. A row is unique over all splits of a dataset; ``HashingData.ids[row]``
            is the video's id.
    """

    visual: Tensor
    audio: Tensor
    labels: Tensor
    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which nothing here needs
