"""The base class of hashing networks with a text side: captions and videos in one space, and codes of the same bits."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avhash_nas.code_set import CodeSet
from avhash_nas.codes import halve, pack
from avhash_nas.networks.hash_network import HashNetwork
from avhash_nas.networks.route import Route
from avhash_nas.networks.video_network import evaluating


class VideoViews(NamedTuple):
    """What a network makes of B videos, in a joint space of width d.

    Attributes:
        codes: Relaxed codes, (B, q).
        coarse: One vector a video, (B, d).
        frames: One vector a time step, (B, T, d).
        context: The same with the context of the other time steps, (B, T, d); None if the network has none.
        patches: Vectors of all patches of all time steps, (B, T P, d); None without patches.
    """

    codes: Tensor
    coarse: Tensor
    frames: Tensor
    context: Tensor | None = None
    patches: Tensor | None = None


class TextViews(NamedTuple):
    """What a network makes of n texts.

    Attributes:
        codes: Relaxed codes, (n, q).
        coarse: To be compared with `VideoViews.coarse`, (n, d).
        vector: To be compared with frames and patches, (n, d).
    """

    codes: Tensor
    coarse: Tensor
    vector: Tensor


class TextHashNetwork(HashNetwork):
    """A hashing network that also takes texts, as vectors of a text encoder.

    A subclass takes `text_dim` among its constructor's arguments, the width of these vectors.
    """

    @abstractmethod
    def video_views(
        self, visual: Tensor, audio: Tensor, patches: Tensor | None = None, route: Route | None = None
    ) -> VideoViews:
        """Computes codes and vectors of videos.

        Args:
            visual: Frame features, shape (B, T, visual_dim).
            audio: Segment features, shape (B, T, audio_dim).
            patches: Patch features, shape (B, T, P, visual_dim); None without.
            route: A choice for every cell of a supernet.
        """

    @abstractmethod
    def text_views(self, text: Tensor) -> TextViews:
        """Computes codes and vectors of texts.

        Args:
            text: Vectors of the text encoder, shape (n, text_dim).
        """

    @torch.inference_mode()
    def encode_texts(self, vectors: NDArray[np.float32], ids: Sequence[str]) -> CodeSet:
        """Codes of texts in evaluation mode, to search by.

        Args:
            vectors: Vectors of the text encoder, (n, text_dim).
            ids: A distinct name of each text.

        Returns:
            Codes; `values` are the relaxed codes, and `frames`, (n, 1, d), the vectors that gate a rerank.
        """
        weight = next(self.parameters())
        with evaluating(self):
            views = self.text_views(torch.from_numpy(vectors).to(weight))
        codes = views.codes.float().cpu()
        return CodeSet(
            ids=np.array(ids, np.str_),
            packed=pack(codes).numpy(),
            bits=self.bits,
            fingerprint=self.fingerprint(),
            values=halve(codes).numpy(),
            frames=views.vector.float().cpu().numpy().astype(np.float16)[:, None],
        )
