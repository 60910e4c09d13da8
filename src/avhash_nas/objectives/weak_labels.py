"""Parsing from weak labels alone, as HAN learns it (Tian et al., ECCV 2020)."""

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from avhash_nas.data import Batch
from avhash_nas.distributed import gather_rows
from avhash_nas.errors import AvnasError
from avhash_nas.networks import Parsing, ParsingNetwork, RoutedNetwork
from avhash_nas.objectives.base import Objective

_TINY = 1e-7


def bag_loss(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy of pooled probabilities, clamped to [1e-7, 1 - 1e-7].

    P of `MMILHead` can exceed 1. The clamp keeps the loss finite and stops the gradient there, as in the released
    code of HAN and VALOR.

    Args:
        probabilities: Any shape.
        labels: In [0, 1], the same shape.

    Returns:
        The mean over all entries, a scalar.
    """
    return functional.binary_cross_entropy(probabilities.clamp(_TINY, 1 - _TINY), labels.to(probabilities))


def smoothed(labels: Tensor, certainty: float) -> Tensor:
    """Labels pulled towards 1/2: certainty * y + (1 - certainty) / 2."""
    return certainty * labels.float() + (1 - certainty) * 0.5


class ParsingObjective(Objective):
    """A loss on what a parsing network says of the videos of all ranks. A subclass implements `forward`."""

    network_class = ParsingNetwork

    def __init__(self) -> None:
        super().__init__()
        self._entries, self._clamped = 0, torch.zeros(())

    @override
    def loss(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        pseudo = self.pseudo_of(batch)
        local = network.parse(batch.visual, batch.audio, pseudo)
        parsing = Parsing(*(gather_rows(part) for part in local))
        self._entries += parsing.video.numel()
        above = (parsing.video.detach() > 1 - _TINY).sum()
        self._clamped = self._clamped.to(above.device) + above
        with torch.autocast(parsing.video.device.type, enabled=False):
            loss: Tensor = self(parsing, gather_rows(batch.labels), None if pseudo is None else gather_rows(pseudo))
        return loss

    def pseudo_of(self, batch: Batch) -> Tensor | None:
        """Pseudo labels of this rank's videos, bool, (B, 2, T, C); None if there are none."""
        return None if batch.events is None else batch.events.pseudo

    @abstractmethod
    def forward(self, parsing: Parsing, weak: Tensor, pseudo: Tensor | None) -> Tensor:
        """Computes the loss.

        Args:
            parsing: What the network says.
            weak: Whether video b has class c somewhere, bool, shape (B, C).
            pseudo: Pseudo labels of segments, bool, shape (B, 2, T, C), or None.

        Returns:
            A scalar.
        """

    @override
    def start_epoch(self, epoch: int) -> None:
        self._entries, self._clamped = 0, torch.zeros(())

    @override
    def summary(self) -> dict[str, float]:
        """The share of P that exceeded 1 in this epoch's training and gave no gradient."""
        return {"clamped": float(self._clamped) / max(self._entries, 1)}


class WeakLabels(ParsingObjective):
    """HAN's loss: weak labels for the video, and for each modality as if it held everything.

    L = BCE(P, y) + BCE(P_a, y_a) + BCE(P_v, y_v), where y_m is y pulled towards 1/2: the visual modality lacks more of
    what the label names.

    Args:
        audio_certainty: Of the labels for the audio modality, in [0, 1]; 1 leaves them as they are.
        visual_certainty: Of those for the visual modality.
        guided: Include the terms of the single modalities.

    Raises:
        AvnasError: A certainty is out of range.
    """

    def __init__(self, audio_certainty: float = 1.0, visual_certainty: float = 0.9, guided: bool = True) -> None:
        super().__init__()
        for name, value in (("audio_certainty", audio_certainty), ("visual_certainty", visual_certainty)):
            if not 0 <= value <= 1:
                raise AvnasError(f"objective.{name}={value} must be from 0 to 1")
        self.certainties = (audio_certainty, visual_certainty)
        self.guided = guided

    @override
    def forward(self, parsing: Parsing, weak: Tensor, pseudo: Tensor | None) -> Tensor:
        loss = bag_loss(parsing.video, weak)
        if self.guided:
            for number, certainty in enumerate(self.certainties):
                loss = loss + bag_loss(parsing.modalities[:, number], smoothed(weak, certainty))
        return loss
