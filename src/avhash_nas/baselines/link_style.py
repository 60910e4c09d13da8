"""In the style of LINK: parsing with a learned share of the other modality and text of pseudo labels."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self, cast, get_args

import torch
from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.baselines.hybrid_attention import HybridAttentionNetwork, Order
from avhash_nas.errors import AvnasError
from avhash_nas.networks import Parsing, Route
from avhash_nas.offline import ClassVectors
from avhash_nas.operators import ChannelTimeGate, WeightedExchange
from avhash_nas.operators.channel_time_gate import Axes

Exchange = Literal["trained", "fixed", "none"]
LabelText = Literal["predicted", "pseudo", "oracle"]


class LINKStyle(HybridAttentionNetwork):
    """Our reading of LINK (Wang, Zhu, Chen, Wang, arXiv 2412.20872); not a reproduction: no code of it is public.

    Linear maps to D; TSAM, a `ChannelTimeGate` for each modality and then `WeightedExchange` both ways, with four
    trained weights that the run's log shows; layers of `HybridAttention`; PLSIM, by which the text of a segment's
    labels scales and shifts its features; `MMILHead`. Its objective is `AVSimilarity`. The article leaves the place of
    TSAM open, the sizes, the sentence for no or several labels (here the mean of the classes' vectors, and zeros), and
    above all what PLSIM reads at test.

    There, pseudo labels that were cut to the weak labels would tell the network which classes to find. So by default
    the text is that of the network's own first pass (`label_text="predicted"`), and in training half of the videos are
    treated likewise, so that both look alike. `pseudo` reads pseudo labels, if those of val and test were made without
    the weak labels. `oracle` reads them as they are: it is there to measure the leak.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        classes: C.
        class_texts: Vectors of the classes, (C, d) for audio and visual; None without PLSIM.
        width: D.
        layers: Number of layers.
        heads: Attention heads; they must divide D.
        hidden: Inner width of the FFN.
        dropout: Of the layers.
        order: What a layer reads, as of `VALOR`.
        motion_dim: The last so many dimensions of the frame features are motion features.
        normalized: Weights of the head that sum to 1.
        gate: Use the gates of channels and time.
        axes: Reading of these gates.
        exchange: Weights between the modalities: `trained`, `fixed` at 1, or `none` without exchange before the layers.
        texts: Where the classes' vectors come from: the `dataset`, class `means`, or `none` for no PLSIM.
        label_text: Which labels PLSIM reads at test.

    Raises:
        AvnasError: An option has an invalid value.
    """

    default_components: ClassVar[Mapping[str, str]] = {"objective": "avhash_nas.objectives.AVSimilarity"}

    def __init__(
        self,
        visual_dim: int,
        audio_dim: int,
        classes: int,
        class_texts: tuple[Tensor, Tensor] | None,
        *,
        width: int = 256,
        layers: int = 4,
        heads: int = 8,
        hidden: int = 1024,
        dropout: float = 0.1,
        order: Order = "audio_first",
        motion_dim: int = 0,
        normalized: bool = False,
        gate: bool = True,
        axes: Axes = "channel_time",
        exchange: Exchange = "trained",
        texts: ClassVectors = "dataset",
        label_text: LabelText = "predicted",
    ) -> None:
        super().__init__(
            visual_dim,
            audio_dim,
            classes,
            width=width,
            layers=layers,
            heads=heads,
            hidden=hidden,
            dropout=dropout,
            order=order,
            motion_dim=motion_dim,
            normalized=normalized,
        )
        for name, value, allowed in (("exchange", exchange, Exchange), ("label_text", label_text, LabelText)):
            if value not in get_args(allowed):
                raise AvnasError(f"network.{name}: {value!r} is none of {', '.join(get_args(allowed))}")
        if (class_texts is None) != (texts == "none"):
            raise AvnasError(f"network.texts={texts}: {'needs' if class_texts is None else 'takes no'} class vectors")
        self.label_text = label_text
        self.oracle_labels = label_text == "oracle"
        self.gates = nn.ModuleList(ChannelTimeGate(width=width, axes=axes) for _ in range(2 if gate else 0))
        trained = exchange == "trained"
        self.exchanges = nn.ModuleList(
            WeightedExchange(width=width, alpha=0.0 if trained else 1.0, trained=trained)
            for _ in range(0 if exchange == "none" else 2)
        )
        self.texts = nn.ModuleList(TextModulation(vectors, width) for vectors in class_texts or ())

    @override
    def segment_features(self, visual: Tensor, audio: Tensor, route: Route | None = None) -> Tensor:
        heard, seen = self.mapped(visual, audio)
        if self.gates:
            heard, seen = self.gates[0](heard), self.gates[1](seen)
        if self.exchanges:
            heard, seen = self.exchanges[0](heard, seen), self.exchanges[1](seen, heard)
        return torch.stack(self.attend(heard, seen), dim=1)

    @override
    def forward(
        self, visual: Tensor, audio: Tensor, route: Route | None = None, pseudo: Tensor | None = None
    ) -> Parsing:
        features = self.segment_features(visual, audio, route)
        if not self.texts:
            return Parsing(*self.parse.pool(self.parse(features)), features)
        labels = self._labels(features, pseudo)
        modulated = [module(features[:, number], labels[:, number]) for number, module in enumerate(self.texts)]
        features = torch.stack(modulated, dim=1)
        return Parsing(*self.parse.pool(self.parse(features)), features)

    @override
    def summary(self) -> dict[str, float]:
        weights = {}
        for name, exchange in zip(("audio", "visual"), self.exchanges):
            for weight, value in exchange.named_parameters():
                weights[f"{weight}_{name}"] = float(value.detach())
        return weights

    @override
    def arguments(self) -> dict[str, Any]:
        """The constructor's arguments; of the class vectors only their widths, as the weights hold them."""
        dims = [cast(TextModulation, module).vectors.shape[1] for module in self.texts]
        return {**super().arguments(), "class_texts": dims or None}

    @classmethod
    @override
    def from_arguments(cls, arguments: dict[str, Any]) -> Self:
        dims = arguments["class_texts"]
        empty = dims and tuple(torch.zeros(arguments["classes"], dim) for dim in dims)
        return cls(**{**arguments, "class_texts": empty})

    @torch.no_grad()
    def _labels(self, features: Tensor, pseudo: Tensor | None) -> Tensor:
        """The labels whose text is read, bool, (B, 2, T, C)."""
        if pseudo is not None and self.label_text != "predicted":
            return pseudo
        logits, _, video = self.parse.pool(self.parse(features))
        own = (logits >= 0) & (video >= 0.5)[:, None, None, :]
        if not self.training or pseudo is None:
            return own
        return torch.where((torch.rand(len(own), device=own.device) < 0.5)[:, None, None, None], own, pseudo)


class TextModulation(nn.Module):
    """PLSIM for one modality: F' = F * g1(E) + g2(E) + F, where E is the mean vector of a segment's labels.

    g1 and g2 are FC -> ReLU -> FC without biases, so that a segment without labels stays as it is, and start at zero.

    Args:
        vectors: Of the classes, (C, d).
        width: D.
    """

    vectors: Tensor

    def __init__(self, vectors: Tensor, width: int) -> None:
        super().__init__()
        self.register_buffer("vectors", vectors.clone().float())
        self.scale = _mlp(vectors.shape[1], width)
        self.shift = _mlp(vectors.shape[1], width)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Maps features (B, T, D) and labels (B, T, C), bool, to (B, T, D)."""
        on = labels.to(features)
        text = on @ self.vectors.to(features) / on.sum(dim=-1, keepdim=True).clamp(min=1)
        modulated: Tensor = features * self.scale(text) + self.shift(text) + features
        return modulated


def _mlp(dim: int, width: int) -> nn.Sequential:
    last = nn.Linear(width, width, bias=False)
    nn.init.zeros_(last.weight)
    return nn.Sequential(nn.Linear(dim, width, bias=False), nn.ReLU(), last)
