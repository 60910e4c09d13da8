"""The batch that every loader yields."""

from typing import NamedTuple

from torch import Tensor


class EventLabels(NamedTuple):
    """Event labels of B videos, the audio modality first. The weak labels are the batch's `labels`.

    Args:
        truth: Whether a class is heard, or seen, in a time step, (B, 2, T, C), bool; False throughout for videos of the
            training split.
        pseudo: Pseudo labels that may be shown to a network, (B, 2, T, C), bool: False throughout where they were cut
            to the weak labels of another split than train; None if the dataset has none.
        oracle: Pseudo labels as they are, with what they tell of the truth, likewise.
    """

    truth: Tensor
    pseudo: Tensor | None
    oracle: Tensor | None


class Batch(NamedTuple):
    """B videos of a dataset.

    Args:
        visual: Visual features, (B, T, visual dim), float32.
        audio: Audio features, (B, T, audio dim), float32.
        labels: Multi-hot labels, (B, C), bool.
        index: Rows of the videos, (B,), int64. A row is unique over all splits of a dataset; ``HashingData.ids[row]``
            is the video's id.
        events: What is heard and seen, for video parsing; None otherwise.
    """

    visual: Tensor
    audio: Tensor
    labels: Tensor
    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which nothing here needs
    events: EventLabels | None = None
