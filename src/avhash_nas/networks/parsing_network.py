"""The base class of networks that parse a video: which classes are heard and seen in each time step."""

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from avhash_nas.networks.mmil import MMILHead
from avhash_nas.networks.route import Route
from avhash_nas.networks.video_network import VideoNetwork, evaluating


class Parsing(NamedTuple):
    """What a parsing network says of B videos; axes of two are audio, then visual.

    Attributes:
        logits: Of each class in each time step, shape (B, 2, T, C); their sigmoid is the probability p.
        modalities: P_m, what each modality says of the whole video, shape (B, 2, C), values in (0, 1).
        video: P, what both say of it, shape (B, C), values in (0, 2) unless the head is normalized: weights over both
            time and modality need not sum to 1.
        features: What the logits are made of, shape (B, 2, T, D).
    """

    logits: Tensor
    modalities: Tensor
    video: Tensor
    features: Tensor


class ParsingNetwork(VideoNetwork):
    """A network from the features of a video to the classes that are heard and seen in each of its time steps.

    A subclass takes `classes` among its constructor's arguments and creates `parse`, the output layers.

    Attributes:
        parse: From features of segments to `Parsing`.
        oracle_labels: Whether `pseudo` below is, on val and test too, what was cut to the weak labels of those splits,
            which tells the network part of the truth. It is there to measure the leak.
    """

    parse: MMILHead
    oracle_labels: bool = False

    @abstractmethod
    def segment_features(self, visual: Tensor, audio: Tensor, route: Route | None = None) -> Tensor:
        """Computes the features that the head reads, before any use of labels.

        Args:
            visual: Frame features, shape (B, T, visual_dim).
            audio: Segment features, shape (B, T, audio_dim).
            route: A choice for every cell of a supernet; networks without choices ignore it.

        Returns:
            Shape (B, 2, T, D), audio first.
        """

    def forward(
        self,
        visual: Tensor,
        audio: Tensor,
        route: Route | None = None,
        pseudo: Tensor | None = None,  # noqa: ARG002
    ) -> Parsing:
        """Parses videos.

        Args:
            visual: Frame features, shape (B, T, visual_dim).
            audio: Segment features, shape (B, T, audio_dim).
            route: A choice for every cell of a supernet; networks without choices ignore it.
            pseudo: Pseudo labels, bool, shape (B, 2, T, C), for networks that read their text; others ignore them.
        """
        features = self.segment_features(visual, audio, route)
        return Parsing(*self.parse.pool(self.parse(features)), features)

    @property
    @override
    def head(self) -> MMILHead:
        return self.parse

    @torch.inference_mode()
    def probabilities(self, visual: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities in evaluation mode: of each class in each time step, (B, 2, T, C), and in the video, (B, C).

        Args:
            visual: Frame features, shape (B, T, visual_dim).
            audio: Segment features, shape (B, T, audio_dim).
        """
        with evaluating(self):
            parsing: Parsing = self(visual, audio)
            return parsing.logits.sigmoid(), parsing.video
