"""EERCF: text-to-video retrieval by a coarse vector first and text-gated frames after."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.baselines.sequence_network import Modality
from avhash_nas.errors import AvnasError
from avhash_nas.networks import Route, TextHashNetwork, TextViews, VideoViews, features_dim, features_of
from avhash_nas.networks.text_gate import unit
from avhash_nas.networks.video_network import evaluating
from avhash_nas.networks.vit_block import ViTBlock


class EERCF(TextHashNetwork):
    """EERCF (Tian et al., AAAI 2024, arXiv 2401.00701) on features, with a code.

    Frames f are a linear map of the features to width d; g = f + Transformer(f + positions) gives them context
    (CLIP4Clip's `seqTransf`); the coarse vector is v = hat(mean_t hat(g_t)), a hat meaning length 1. A text is a linear
    map of its vector, and s_V = hat(t)' W v with a trained W, which is folded into the text. Where features and d have
    one width, the maps start as the identity, as the authors train CLIP's own projections.

    The code is a linear map of d^0.5 v, or of d^0.5 W'hat(t), followed by tanh, which both sides share; with q = d the
    relaxed code is v itself, so that searching by `values` is the paper's recall. The paper has no code.

    It trains on features from disk. The authors train CLIP along, at 1/1000 of the learning rate, and a matrix over
    frames in s_F, which ties a model to one number of frames; both are left out.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        text_dim: Width of the text vectors.
        frames: T, the most time steps of a video.
        bits: Code length q.
        width: d, a multiple of `heads`.
        layers: Layers of the Transformer; 0 for none, CLIP4Clip's mean pooling.
        heads: Attention heads.
        modality: Input of the network; the paper has `visual`.
        coarse_map: Train W; otherwise it is the identity.

    Raises:
        AvnasError: A number is out of range, or the modality is unknown.
    """

    default_components: ClassVar[Mapping[str, str]] = {
        "objective": "avhash_nas.objectives.EERCFLoss",
        "data.sampling": "avhash_nas.data.Shuffled",
    }

    def __init__(
        self,
        visual_dim: int,
        audio_dim: int,
        text_dim: int,
        frames: int,
        bits: int,
        *,
        width: int = 512,
        layers: int = 4,
        heads: int = 8,
        modality: Modality = "visual",
        coarse_map: bool = True,
    ) -> None:
        super().__init__()
        if width < 1 or heads < 1 or width % heads or layers < 0:
            raise AvnasError(f"network: width={width} must be a multiple of heads={heads}, layers={layers} at least 0")
        if modality not in ("visual", "audio", "both"):
            raise AvnasError(f"network.modality: {modality!r} is none of visual, audio, both")
        self.bits = bits
        self.width = width
        self.modalities = ("visual", "audio") if modality == "both" else (modality,)
        self.frames = _linear(features_dim(self.modalities, visual_dim, audio_dim), width)
        self.text = _linear(text_dim, width)
        self.positions = nn.Parameter(0.01 * torch.randn(frames, width))
        self.transformer = nn.Sequential(*(ViTBlock(width, heads) for _ in range(layers)))
        self.coarse_map = _linear(width, width) if coarse_map else nn.Identity()
        self.code = nn.Identity() if bits == width else nn.Linear(width, bits)

    @override
    def forward(self, visual: Tensor, audio: Tensor, route: Route | None = None) -> Tensor:
        return self.video_views(visual, audio).codes

    @override
    def video_views(
        self, visual: Tensor, audio: Tensor, patches: Tensor | None = None, route: Route | None = None
    ) -> VideoViews:
        frames = self.frames(features_of(self.modalities, visual, audio))
        if frames.shape[1] > len(self.positions):
            raise AvnasError(f"network: {frames.shape[1]} time steps, trained on at most {len(self.positions)}")
        context = frames
        if len(self.transformer):
            context = frames + self.transformer(frames + self.positions[: frames.shape[1]])
        coarse = unit(unit(context).mean(dim=1))
        mapped = None
        if patches is not None:
            if self.modalities != ("visual",):
                raise AvnasError("network: patches share the map of visual frames: they need network.modality=visual")
            mapped = self.frames(patches).flatten(1, 2)
        return VideoViews(self._codes(coarse), coarse, frames, context, mapped)

    @override
    def text_views(self, text: Tensor) -> TextViews:
        vector = self.text(text)
        coarse = unit(self.coarse_map(unit(vector).to(vector.dtype)))
        return TextViews(self._codes(coarse), coarse, vector)

    @override
    @torch.inference_mode()
    def time_steps(self, visual: Tensor, audio: Tensor) -> Tensor:
        """Computes the vectors of the time steps in evaluation mode: frames, and frames with context behind them.

        Args:
            visual: Frame features, shape (B, T, visual_dim).
            audio: Segment features, shape (B, T, audio_dim).

        Returns:
            Shape (B, T, 2 d), each half of length 1.
        """
        with evaluating(self):
            views = self.video_views(visual, audio)
        assert views.context is not None, "always given"
        return torch.cat([unit(views.frames), unit(views.context)], dim=2)

    @property
    @override
    def head(self) -> nn.Module:
        return self.code

    def _codes(self, coarse: Tensor) -> Tensor:
        if isinstance(self.code, nn.Identity):
            return coarse
        codes: Tensor = torch.tanh(self.code((coarse * self.width**0.5).to(self.code.weight.dtype)))
        return codes


def _linear(inputs: int, outputs: int) -> Any:
    """A linear map without bias, the identity at first if it keeps the width."""
    layer = nn.Linear(inputs, outputs, bias=False)
    if inputs == outputs:
        nn.init.eye_(layer.weight)
    return layer
