"""EERCF's loss: captions and videos by InfoNCE over coarse and text-gated scores, and by their channels.

Tian et al., AAAI 2024, arXiv 2401.00701. The paper describes one InfoNCE for each granularity; the authors' code, which
is followed here, adds the scores and takes one. With H the symmetric InfoNCE over the global batch (`cross_info_nce`),

    L = (1 - context) H(c [coarse s_V + frames s_F + patches s_P]) + context H(c s_G) + correlation (R(v) + R(u)),

where s_V compares coarse vectors, s_F and s_P are the reading *scored* of frames and patches, s_G the reading *vector*
of frames with context (`avhash_nas.networks.text_gate`), and R is `correlation_loss` of the text with the coarse vector
v and with the frames u that its own text attends to. Hashing adds `codes` H(c_q cos(relaxed codes)) and `balance` times
the mean square of a bit's mean over the batch, on both sides; these are not in the paper.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from avhash_nas.data import Batch, Features, HashingData
from avhash_nas.distributed import gather_rows
from avhash_nas.errors import AvnasError
from avhash_nas.networks import RoutedNetwork, TextHashNetwork, TextViews, VideoNetwork, VideoViews
from avhash_nas.networks.text_gate import Gate, attended, scored_gate, unit, vector_gate
from avhash_nas.objectives.base import Objective
from avhash_nas.objectives.channel_correlation import correlation_loss
from avhash_nas.objectives.cross_info_nce import cross_info_nce


class EERCFLoss(Objective):
    """Trains a network with a text side on the captions of its videos.

    Each step draws one caption of each video of the batch; videos without captions are left out. In the paper every
    caption is a sample of an epoch, so that its epoch is as long as one of ours times the captions of a video.

    Args:
        coarse: Weight of s_V.
        frames: Weight of s_F; 0 leaves it out.
        patches: Weight of s_P; 0 leaves it out. It needs patch features in the dataset.
        context: Share of the loss over s_G; 0 leaves it out.
        correlation: Weight of the channels' correlation (0.001 times 0.14 in the authors' code); 0 leaves it out.
        codes: Weight of InfoNCE over relaxed codes; 0 leaves it out.
        balance: Weight of the bits' balance.
        scale: c, the inverse temperature of the scores. The paper learns it and clamps it to 100, where it stays.
        code_scale: c_q, the inverse temperature of the codes' cosines.
        frame_temperature: Of the gate of s_F, above 0.
        context_temperature: Of the gate of s_G, above 0.
        patch_temperature: Of the gate of s_P, above 0.
        gate: Which text weighs the parts of a video: `query`, the one that it is compared with, as in a search; or
            `own`, its own caption, as the authors' code trains.
        language: Only captions in this language; empty for all.

    Raises:
        AvnasError: An option is out of its range.
    """

    def __init__(
        self,
        coarse: float = 0.5,
        frames: float = 0.5,
        patches: float = 0.0,
        context: float = 0.2,
        correlation: float = 0.00014,
        codes: float = 1.0,
        balance: float = 0.0,
        scale: float = 100.0,
        code_scale: float = 10.0,
        frame_temperature: float = 0.01,
        context_temperature: float = 0.1,
        patch_temperature: float = 0.01,
        gate: Gate = "query",
        language: str = "",
    ) -> None:
        super().__init__()
        weights = {"coarse": coarse, "frames": frames, "patches": patches, "context": context}
        weights |= {"correlation": correlation, "codes": codes, "balance": balance}
        for name, value in weights.items():
            if value < 0 or (name == "context" and value > 1):
                raise AvnasError(f"{name}={value} must be {'from 0 to 1' if name == 'context' else 'at least 0'}")
        positive = {"scale": scale, "code_scale": code_scale, "frame_temperature": frame_temperature}
        positive |= {"context_temperature": context_temperature, "patch_temperature": patch_temperature}
        for name, value in positive.items():
            if not value > 0:
                raise AvnasError(f"{name}={value} must be above 0")
        if gate not in ("query", "own"):
            raise AvnasError(f"gate={gate!r} must be query or own")
        if not any((coarse, frames, patches, context, codes)):
            raise AvnasError("coarse, frames, patches, context and codes are all 0: nothing compares texts with videos")
        self.coarse, self.frames, self.patches, self.context = coarse, frames, patches, context
        self.correlation, self.codes, self.balance = correlation, codes, balance
        self.scale, self.code_scale = scale, code_scale
        self.frame_temperature, self.context_temperature = frame_temperature, context_temperature
        self.patch_temperature = patch_temperature
        self.gate: Gate = gate
        self.language = language
        self._patch_features: Features | None = None

    @override
    def setup(self, data: HashingData, network: VideoNetwork, prepared: Mapping[str, Tensor]) -> None:
        self._own(network)
        table = CaptionTable.of(data, self.language)
        for name, tensor in table._asdict().items():
            self.register_buffer(name, tensor, persistent=False)  # read from the dataset at every start
        if self.patches:
            self._patch_features = data.patches
            if self._patch_features is None:
                raise AvnasError(
                    f"{data.root}: patches={self.patches} needs patch features: name them in dataset.yaml, as files: "
                    "{patches: patches.h5}"
                )

    @override
    def loss(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        table = CaptionTable(*(getattr(self, name) for name in CaptionTable._fields))
        told = table.counts(batch.index) > 0
        batch = batch._replace(**{name: getattr(batch, name)[told] for name in ("visual", "audio", "labels", "index")})
        text = table.draw(batch.index)
        patches = None
        if self._patch_features is not None:
            patches = _read_patches(self._patch_features, batch)
        texts, videos = network.apply(lambda present: self._views(present, text, batch, patches, network))
        everywhere = [None if each is None else gather_rows(each) for each in (*texts, *videos)]
        index = gather_rows(batch.index)
        if not len(index):
            return sum((each.sum() for each in (*texts, *videos) if each is not None), torch.zeros(())) * 0
        return self.of_views(TextViews(*everywhere[:3]), VideoViews(*everywhere[3:]), index)  # type: ignore[arg-type]

    def of_views(self, texts: TextViews, videos: VideoViews, index: Tensor) -> Tensor:
        """Computes the loss of a global batch.

        Args:
            texts: A caption of each video.
            videos: The B videos.
            index: Which video each of them is, (B,): equal numbers are no negatives of each other.

        Raises:
            AvnasError: The network has no context or no patches, and a weight asks for them.
        """
        same = index[:, None] == index[None, :]
        zero = texts.vector.float().sum() * 0
        loss = zero
        mixed = zero + torch.zeros(len(index), len(index), device=zero.device)
        if self.coarse:
            mixed = mixed + self.coarse * (unit(texts.coarse) @ unit(videos.coarse).T)
        if self.frames:
            scores = scored_gate(texts.vector, videos.frames, self.frame_temperature, gate=self.gate)
            mixed = mixed + self.frames * scores
        if self.patches:
            parts = _present(videos.patches, "patches")
            scores = scored_gate(texts.vector, parts, self.patch_temperature, gate=self.gate)
            mixed = mixed + self.patches * scores
        if self.coarse or self.frames or self.patches:
            loss = loss + (1 - self.context) * cross_info_nce(self.scale * mixed, same)
        if self.context:
            values = _present(videos.context, "context")
            scores = vector_gate(texts.vector, videos.frames, values, self.context_temperature, gate=self.gate)
            loss = loss + self.context * cross_info_nce(self.scale * scores, same)
        if self.correlation:
            loss = loss + self.correlation * correlation_loss(texts.coarse, videos.coarse)
            if self.frames:
                own = attended(texts.vector, videos.frames, self.frame_temperature)
                loss = loss + self.correlation * correlation_loss(texts.vector, own)
        if self.codes:
            loss = loss + self.codes * cross_info_nce(self.code_scale * unit(texts.codes) @ unit(videos.codes).T, same)
        if self.balance:
            means = [side.codes.float().mean(dim=0).square().mean() for side in (texts, videos)]
            loss = loss + self.balance * (means[0] + means[1])
        return loss

    def _views(
        self, present: VideoNetwork, text: Tensor, batch: Batch, patches: Tensor | None, network: RoutedNetwork
    ) -> tuple[TextViews, VideoViews]:
        own = self._own(present)
        weight = next(own.parameters())
        return own.text_views(text.to(weight)), own.video_views(batch.visual, batch.audio, patches, network.route)

    def _own(self, network: VideoNetwork) -> TextHashNetwork:
        if not isinstance(network, TextHashNetwork):
            raise AvnasError(
                f"EERCFLoss: {type(network).__name__} has no text side; take --network=eercf, or give a trained "
                "network a text side by --network=text_paired --network.video=RUN"
            )
        return network


class CaptionTable(NamedTuple):
    """Vectors of captions, grouped by video.

    Attributes:
        text: Vectors, (n, text_dim), those of a video next to each other.
        first: Where the captions of the video of each row begin, (rows + 1,).
    """

    text: Tensor
    first: Tensor

    @classmethod
    def of(cls, data: HashingData, language: str = "") -> "CaptionTable":
        """The captions of a dataset.

        Raises:
            AvnasError: It has no captions, no vectors of them, or no training video has one in the language.
        """
        data.text_dim  # noqa: B018  # says what is missing
        found = data.captions
        assert found is not None, "checked by text_dim"
        assert found.vectors is not None, "checked by text_dim"
        if "val" in data.splits and not len(found.of(data.splits["val"])):
            raise AvnasError(f"{data.root}: no video of val has a caption, by which the best epoch is selected")
        chosen = torch.from_numpy(found.of(data.splits["train"], language or None))
        if not len(chosen):
            raise AvnasError(
                f"{data.root}: no training video has a caption" + (f" in {language!r}" if language else "")
            )
        rows = torch.from_numpy(found.rows)[chosen]
        order = torch.argsort(rows, stable=True)
        first = torch.searchsorted(rows[order], torch.arange(len(data.ids) + 1))
        return cls(torch.from_numpy(found.vectors)[chosen[order]], first)

    def counts(self, index: Tensor) -> Tensor:
        """Number of captions of each video."""
        return self.first[index + 1] - self.first[index]

    def draw(self, index: Tensor) -> Tensor:
        """A caption of each video, (B, text_dim); each must have one."""
        drawn = (torch.rand(len(index), device=index.device, dtype=torch.float64) * self.counts(index)).long()
        return self.text[self.first[index] + drawn]


def _read_patches(features: Features, batch: Batch) -> Tensor:
    """Patch features of a batch, (B, T, P, visual_dim)."""
    read = torch.from_numpy(features.read(batch.index.cpu().numpy())).to(batch.visual)
    return read.view(*read.shape[:2], -1, batch.visual.shape[2])


def _present(view: Tensor | None, name: str) -> Tensor:
    if view is None:
        raise AvnasError(f"EERCFLoss: {name} is above 0, but the network gives no {name}; set it to 0")
    return view
