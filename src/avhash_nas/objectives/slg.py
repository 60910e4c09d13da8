"""S5VH's self-local-global objective: reconstruct, contrast, and align with the centers of global clusters."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from avhash_nas.data import Batch, HashingData
from avhash_nas.distributed import gather_rows
from avhash_nas.errors import AvnasError
from avhash_nas.legacy import renamed_tensors
from avhash_nas.networks import RoutedNetwork, VideoNetwork
from avhash_nas.networks.bidirectional_mamba import BidirectionalMamba
from avhash_nas.networks.video_network import evaluating
from avhash_nas.objectives.masked_views import TwoViewObjective
from avhash_nas.offline import pooled_features, semantic_centers


def center_alignment(codes: Tensor, centers: Tensor, labels: Tensor, temperature: float = 0.5) -> Tensor:
    """Computes the cross-entropy of the similarities between codes and hash centers, against soft labels.

    A similarity is the inner product divided by q and the temperature. Computed in float32 at least.

    Args:
        codes: Relaxed codes, shape (B, q).
        centers: Shape (N, q).
        labels: Distributions over the centers, shape (B, N).
        temperature: Above 0.

    Returns:
        The mean over the videos, a scalar.
    """
    with torch.autocast(codes.device.type, enabled=False):
        wide = codes.to(torch.promote_types(codes.dtype, torch.float32))
        logits = wide @ centers.to(wide.dtype).T / (codes.shape[1] * temperature)
        return functional.cross_entropy(logits, labels.to(wide.dtype))


class LabelMemory(nn.Module):
    """Soft pseudo-labels of the training videos, refined during training. Checkpoints hold them.

    Args:
        rows: The training videos' rows of the dataset, (V,).
        assignment: Initial class of each video, (V,).
        classes: N.
    """

    labels: Tensor
    refreshed: Tensor
    places: Tensor

    def __init__(self, rows: NDArray[np.int64], assignment: Tensor, classes: int) -> None:
        super().__init__()
        places = torch.full((int(rows.max()) + 1,), -1)
        places[torch.from_numpy(rows)] = torch.arange(len(rows))
        self.register_buffer("places", places, persistent=False)
        self.register_buffer("labels", nn.functional.one_hot(assignment.long(), classes).float())
        self.register_buffer("refreshed", torch.full((len(rows),), -1))

    def read(self, rows: Tensor) -> Tensor:
        """Looks up the labels of training videos, (B, N), by their rows, (B,)."""
        return self.labels[self.places[rows]]

    def refresh(self, rows: Tensor, predicted: Tensor, smoothing: float, epoch: int) -> None:
        """Moves labels towards predictions, at most once per epoch for each video.

        Args:
            rows: Rows of training videos, (B,).
            predicted: Class distributions, (B, N).
            smoothing: Weight of the prediction, in [0, 1].
            epoch: The current epoch.
        """
        places = self.places[rows]
        due = self.refreshed[places] < epoch
        moved = torch.lerp(self.labels[places], predicted.float(), smoothing)
        self.labels[places] = torch.where(due[:, None], moved, self.labels[places])
        self.refreshed[places] = epoch


class SLG(TwoViewObjective):
    """Masked reconstruction, plus alpha times the contrast of two views, plus the alignment with hash centers.

    The objective of S5VH (Wang et al., AAAI 2025), a `TwoViewObjective` with bidirectional Mamba layers as the decoder.
    Before training, the training videos are clustered, and each cluster gets a hash center
    (`offline.semantic_centers`). The pseudo-label of a video is its cluster at first; after `warmup` epochs it moves
    towards the prediction for the whole video, once an epoch. The defaults are the published settings for ActivityNet;
    those for FCVID are mask 0.75, alpha 2.5, prior 0.1, alignment 0.01, clusters 450.

    The released code differs from the paper: it never uses its hash centers and trains a random matrix instead;
    pseudo-labels come from another clustering than the centers; and both directions of the decoder's Mamba share their
    weights. `legacy` does the same. The released code also predicts labels without the LayerNorm before the sign and
    with dropped layers; here labels are always predicted as codes are at test time.

    Args:
        mask: Fraction of the time steps that a view hides.
        alpha: Weight of the contrastive loss.
        temperature: Temperature of the contrastive loss, above 0.
        prior: Fraction of other videos that the contrastive loss assumes to be of a video's own class, in [0, 1).
        alignment: Weight of the alignment.
        alignment_temperature: Temperature of the alignment, above 0.
        clusters: Number of clusters and hash centers; at most as many as training videos.
        warmup: Epochs before the pseudo-labels move.
        smoothing: Weight of the prediction in a moved label, in [0, 1].
        decoder_width: Width of the decoder, even.
        decoder_layers: Number of its layers.
        legacy: Follow the released code.

    Raises:
        AvnasError: An option is out of range.
    """

    memory: LabelMemory
    centers: Tensor

    def __init__(
        self,
        mask: float = 0.5,
        alpha: float = 0.2,
        temperature: float = 0.5,
        prior: float = 0.05,
        alignment: float = 0.001,
        alignment_temperature: float = 0.5,
        clusters: int = 100,
        warmup: int = 50,
        smoothing: float = 0.01,
        decoder_width: int = 192,
        decoder_layers: int = 1,
        *,
        legacy: bool = False,
    ) -> None:
        super().__init__(mask, alpha, temperature, prior, decoder_width, decoder_layers)
        ranges = {
            "alignment_temperature": (alignment_temperature, alignment_temperature > 0),
            "clusters": (clusters, clusters >= 2),
            "smoothing": (smoothing, 0 <= smoothing <= 1),
        }
        for name, (value, valid) in ranges.items():
            if not valid:
                raise AvnasError(f"objective.{name} is out of range: {value}")
        self.alignment = alignment
        self.alignment_temperature = alignment_temperature
        self.clusters = clusters
        self.warmup = warmup
        self.smoothing = smoothing
        self.legacy = legacy
        self.epoch = 0

    @override
    def decoder_layer(self) -> nn.Module:
        return BidirectionalMamba(self.decoder_width, tied=self.legacy)

    @override
    def prepare(self, data: HashingData, network: VideoNetwork, seed: int) -> dict[str, Tensor]:
        rows = data.splits["train"]
        if len(rows) < self.clusters:
            raise AvnasError(f"objective.clusters={self.clusters}, but there are only {len(rows)} training videos")
        pooled = pooled_features(data, rows, network.modalities)
        result = semantic_centers(pooled, self.own(network).bits, self.clusters, seed)
        return {"centers": torch.from_numpy(result.centers), "assignment": torch.from_numpy(result.assignment)}

    @override
    def setup(self, data: HashingData, network: VideoNetwork, prepared: Mapping[str, Tensor]) -> None:
        super().setup(data, network, prepared)
        prepared = renamed_tensors(prepared)
        self.memory = LabelMemory(data.splits["train"], prepared["assignment"], self.clusters)
        if self.legacy:
            bits = self.own(network).bits
            self.centers = nn.Parameter(torch.empty(self.clusters, bits).uniform_(-(bits**-0.5), bits**-0.5))
        else:
            self.register_buffer("centers", prepared["centers"].clone())

    @override
    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        tensors = renamed_tensors(state_dict, prefix)
        state_dict.clear()
        state_dict.update(tensors)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    @override
    def start_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    @override
    def loss(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        views = self.two_views(network, batch)
        contrast = self.contrast(views)
        labels = self._labels(network, batch)
        aligned = [center_alignment(each, self.centers, labels, self.alignment_temperature) for each in views.codes]
        return views.reconstruction + self.alpha * contrast + self.alignment * 0.5 * (aligned[0] + aligned[1])

    @torch.no_grad()
    def _labels(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        """Looks up the pseudo-labels of all ranks' videos, after moving them if the warmup is over."""
        rows = gather_rows(batch.index)
        if self.epoch >= self.warmup:
            with evaluating(network.network):
                codes = network.codes(batch.visual, batch.audio)
            logits = gather_rows(codes).float() @ self.centers.float().T
            self.memory.refresh(rows, logits.softmax(dim=1), self.smoothing, self.epoch)
        return self.memory.read(rows)
