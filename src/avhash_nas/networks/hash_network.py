"""The base class of all hashing networks: relaxed codes and packed codes."""

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.codes import pack
from avhash_nas.networks.route import Route
from avhash_nas.networks.video_network import VideoNetwork, evaluating


class CodesAndSteps(NamedTuple):
    """Codes of videos and of their time steps, from one pass.

    Attributes:
        codes: Relaxed codes of the videos, shape (B, q), values in [-1, 1]. Their sign is the code.
        steps: A code for each time step, shape (B, T, q), values in [-1, 1], relaxed or already binary.
    """

    codes: Tensor
    steps: Tensor


class HashNetwork(VideoNetwork):
    """A network from the features of a video to a q-bit code. A subclass takes `bits` among its arguments.

    Attributes:
        bits: q.
    """

    bits: int

    @abstractmethod
    def forward(self, visual: Tensor, audio: Tensor, route: Route | None = None) -> Tensor:
        """Computes relaxed codes.

        Args:
            visual: Frame features, shape (B, T, visual_dim).
            audio: Segment features, shape (B, T, audio_dim).
            route: A choice for every cell of a supernet; networks without choices ignore it.

        Returns:
            Shape (B, q), values in [-1, 1]; their sign is the code.
        """

    @property
    @abstractmethod
    @override
    def head(self) -> nn.Module:
        """The layers from the pooled representation to the code, which a recipe may train at another rate."""

    @torch.inference_mode()
    def encode(self, visual: Tensor, audio: Tensor) -> Tensor:
        """Computes the codes of videos in evaluation mode: b = Sign(f), Sign(0) = +1 (Eq. 35), packed 8 bits to a byte.

        Args:
            visual: Frame features, shape (B, T, visual_dim).
            audio: Segment features, shape (B, T, audio_dim).

        Returns:
            uint8, shape (B, ceil(q / 8)).
        """
        with evaluating(self):
            return pack(self(visual, audio))

    def codes_and_steps(
        self,
        visual: Tensor,
        audio: Tensor,
        route: Route | None = None,
        positions: Tensor | None = None,  # noqa: ARG002
    ) -> CodesAndSteps:
        """Computes relaxed codes of videos and of each of their time steps; differentiable.

        By default the code of a time step is that of a video which consists of this time step alone.

        Args:
            visual: Frame features, shape (B, T, visual_dim); of a masked view, those of the visible time steps.
            audio: Segment features, shape (B, T, audio_dim), likewise.
            route: A choice for every cell of a supernet.
            positions: Positions of the time steps in the whole video, shape (B, T), int64, ascending in each row; None
                for 0 to T - 1. Networks without position vectors ignore it.
        """
        alone: Tensor = self(visual.flatten(0, 1)[:, None], audio.flatten(0, 1)[:, None], route)
        codes: Tensor = self(visual, audio, route)
        return CodesAndSteps(codes, alone.view(*visual.shape[:2], -1))

    @torch.inference_mode()
    def time_steps(self, visual: Tensor, audio: Tensor) -> Tensor:
        """Computes a relaxed code for each time step in evaluation mode, for frame-level reranking.

        Args:
            visual: Frame features, shape (B, T, visual_dim).
            audio: Segment features, shape (B, T, audio_dim).

        Returns:
            Shape (B, T, q), values in [-1, 1].
        """
        with evaluating(self):
            return self.codes_and_steps(visual, audio).steps
