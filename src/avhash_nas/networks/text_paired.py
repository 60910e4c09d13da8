"""A text side for any trained hashing network: a tower that ends in the network's own bits."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.errors import AvnasError
from avhash_nas.networks.binarizers import identity_sign
from avhash_nas.networks.hash_network import CodesAndSteps, HashNetwork
from avhash_nas.networks.route import Route
from avhash_nas.networks.text_network import TextHashNetwork, TextViews, VideoViews


class TextPaired(TextHashNetwork):
    """A trained hashing network, and a tower from text vectors to codes of the same bits: FC -> ReLU -> FC -> tanh.

    The joint space is that of the codes: the coarse vector of a video is its code, its frames are the codes of its time
    steps. A frozen network keeps its codes, and with them its fingerprint: texts search the indexes that were built of
    its codes, beside videos.

    Args:
        visual_dim: Width of the frame features.
        audio_dim: Width of the segment features.
        text_dim: Width of the text vectors.
        bits: Code length q, that of the network.
        video: Folder of the run, or of the model, whose network gets the text side.
        hidden: Width of the tower's hidden layer.
        dropout: Dropout after the hidden layer.
        freeze: Train the tower alone; otherwise the network is trained along.

    Raises:
        AvnasError: The folder holds no network, or one of other widths or of another code length.
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
        bits: int,
        video: str,
        *,
        hidden: int = 512,
        dropout: float = 0.1,
        freeze: bool = True,
    ) -> None:
        super().__init__()
        network = _load(video)
        arguments = network.arguments()
        given = {"visual_dim": visual_dim, "audio_dim": audio_dim, "bits": bits}
        for name, value in given.items():
            if arguments[name] != value:
                raise AvnasError(f"network.video={video}: that network has {name} {arguments[name]}, this run {value}")
        self._set(network, text_dim, hidden, dropout, freeze)

    def _set(self, network: HashNetwork, text_dim: int, hidden: int, dropout: float, freeze: bool) -> None:
        self.bits = network.bits
        self.modalities = network.modalities
        self.freeze = freeze
        self.video = network.requires_grad_(not freeze)
        self.tower = nn.Sequential(
            nn.Linear(text_dim, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, network.bits), nn.Tanh()
        )

    @override
    def arguments(self) -> dict[str, Any]:
        kind = type(self.video)
        path = f"{kind.__module__}.{kind.__qualname__}"
        recorded = {name: self._arguments[name] for name in ("text_dim", "hidden", "dropout", "freeze")}
        dims = {name: self.video.arguments()[name] for name in ("visual_dim", "audio_dim", "bits")}
        return {**dims, **recorded, "video": {"class": path, "arguments": self.video.arguments()}}

    @classmethod
    @override
    def from_arguments(cls, arguments: dict[str, Any]) -> Self:
        module, _, name = str(arguments["video"]["class"]).rpartition(".")
        kind = getattr(importlib.import_module(module), name)
        paired = cls.__new__(cls)
        nn.Module.__init__(paired)
        recorded = {name: arguments[name] for name in ("text_dim", "hidden", "dropout", "freeze")}
        paired._arguments = recorded
        paired._set(kind.from_arguments(arguments["video"]["arguments"]), **recorded)
        return paired

    @override
    def forward(self, visual: Tensor, audio: Tensor, route: Route | None = None) -> Tensor:
        codes: Tensor = self.video(visual, audio, route)
        return codes

    @override
    def codes_and_steps(
        self, visual: Tensor, audio: Tensor, route: Route | None = None, positions: Tensor | None = None
    ) -> CodesAndSteps:
        return self.video.codes_and_steps(visual, audio, route, positions)

    @override
    def video_views(
        self, visual: Tensor, audio: Tensor, patches: Tensor | None = None, route: Route | None = None
    ) -> VideoViews:
        codes, steps = self.video.codes_and_steps(visual, audio, route)
        signs = identity_sign(codes) if self.freeze else codes
        return VideoViews(signs, codes, steps, steps)

    @override
    def text_views(self, text: Tensor) -> TextViews:
        codes = self.tower(text)
        return TextViews(codes, codes, codes)

    @property
    @override
    def head(self) -> nn.Module:
        return self.tower

    @override
    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self.freeze:
            self.video.eval()
        return self

    @override
    def start_epoch(self, epoch: int) -> None:
        if not self.freeze:
            self.video.start_epoch(epoch)

    @override
    def fingerprint(self) -> str:
        """That of the network if it is frozen, whose codes these are; otherwise the pair's own."""
        return self.video.fingerprint() if self.freeze else super().fingerprint()


def _load(video: str) -> HashNetwork:
    """The network of a run or of a model folder."""
    folder = Path(video)
    return HashNetwork.from_pretrained(folder / "model" if (folder / "model" / "config.json").exists() else folder)
