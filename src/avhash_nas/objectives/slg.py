"""S5VH's self-local-global objective: reconstruct, contrast, and align with the centers of global clusters."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from avhash_nas.data import Batch, HashingData
from avhash_nas.distributed import gather_rows
from avhash_nas.errors import AvnasError
from avhash_nas.networks import HashNetwork, RoutedNetwork
from avhash_nas.networks.bidirectional_mamba import BidirectionalMamba
from avhash_nas.networks.hash_network import evaluating
from avhash_nas.networks.modalities import features_dim
from avhash_nas.objectives.base import Objective
from avhash_nas.objectives.debiased_contrastive import check_contrast, debiased_contrastive
from avhash_nas.objectives.label_memory import LabelMemory
from avhash_nas.objectives.masked_views import masked_steps, masked_views
from avhash_nas.objectives.reconstruction import StepDecoder, check_decoder
from avhash_nas.objectives.two_views import look_at
from avhash_nas.offline import pooled_features, semantic_centers


def center_alignment(codes: Tensor, centers: Tensor, labels: Tensor, temperature: float = 0.5) -> Tensor:
    """Cross-entropy of the similarities between codes and hash centers, against soft labels.

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


class SLG(Objective):
    """Masked reconstruction, plus alpha times the contrast of two views, plus the alignment with hash centers.

    The objective of S5VH (Wang et al., AAAI 2025), for any network that has a code for each time step; labels are never
    read. Before training the training videos are clustered, and each cluster gets a hash center
    (`offline.semantic_centers`); a video's pseudo-label is its cluster at first, and after some epochs moves with
    the prediction from the whole video, once an epoch. It owns the decoder, a bidirectional Mamba layer over the codes
    of the visible time steps. The defaults are the published settings for ActivityNet; those for FCVID are mask 0.75,
    alpha 2.5, prior 0.1, alignment 0.01, clusters 450.

    The released code differs from the paper: its hash centers are never used, and a random matrix is trained in their
    place; pseudo-labels come from another clustering than the centers; and both directions of the decoder's Mamba share
    their weights. `legacy` does the same. It also predicts labels without the LayerNorm before the sign and with
    dropped layers; here they are predicted as codes are at test, in either case.

    Args:
        mask: Part of the time steps that a view hides.
        alpha: Weight of the contrastive loss.
        temperature: Of the contrastive loss, above 0.
        prior: Share of other videos that the contrastive loss takes to be of a video's own class, in [0, 1).
        alignment: Weight of the alignment.
        alignment_temperature: Of the alignment, above 0.
        clusters: Number of clusters and hash centers; at most as many as training videos.
        warmup: Epochs before the pseudo-labels move.
        smoothing: By how much they move towards the prediction, in [0, 1].
        decoder_width: Width of the decoder, even.
        decoder_layers: Its layers.
        legacy: As in the released code.

    Raises:
        AvnasError: An option is out of range.
    """

    default_components: ClassVar[Mapping[str, str]] = {"data.sampling": "avhash_nas.data.Shuffled"}
    decoder: StepDecoder
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
        super().__init__()
        ranges = {
            "mask": (mask, 0 < mask < 1),
            "alignment_temperature": (alignment_temperature, alignment_temperature > 0),
            "clusters": (clusters, clusters >= 2),
            "smoothing": (smoothing, 0 <= smoothing <= 1),
        }
        for name, (value, fine) in ranges.items():
            if not fine:
                raise AvnasError(f"objective.{name} is out of range: {value}")
        check_contrast(temperature, prior)
        check_decoder(decoder_width, decoder_layers)
        self.mask = mask
        self.alpha = alpha
        self.temperature = temperature
        self.prior = prior
        self.alignment = alignment
        self.alignment_temperature = alignment_temperature
        self.clusters = clusters
        self.warmup = warmup
        self.smoothing = smoothing
        self.decoder_width = decoder_width
        self.decoder_layers = decoder_layers
        self.legacy = legacy
        self.epoch = 0

    def prepare(self, data: HashingData, network: HashNetwork, seed: int) -> dict[str, Tensor]:
        """Cluster the training videos and place the hash centers.

        Returns:
            `centers` (N, q) and `assignment` (V,), the cluster of each training video.

        Raises:
            AvnasError: There are fewer training videos than clusters, or codes so far apart were not found.
            MissingExtraError: FAISS is not installed.
        """
        rows = data.splits["train"]
        if len(rows) < self.clusters:
            raise AvnasError(f"objective.clusters={self.clusters}, but there are only {len(rows)} training videos")
        found = semantic_centers(pooled_features(data, rows, network.modalities), network.bits, self.clusters, seed)
        return {"centers": torch.from_numpy(found.centers), "assignment": torch.from_numpy(found.assignment)}

    def setup(self, data: HashingData, network: HashNetwork, prepared: Mapping[str, Tensor]) -> None:
        """Make decoder, label memory and centers.

        Raises:
            AvnasError: The videos are too short for the mask.
        """
        masked_steps(data.frames, self.mask)
        layers = [BidirectionalMamba(self.decoder_width, tied=self.legacy) for _ in range(self.decoder_layers)]
        features = features_dim(network.modalities, data.visual_dim, data.audio_dim)
        self.decoder = StepDecoder(network.bits, features, layers, self.decoder_width)
        self.memory = LabelMemory(data.splits["train"], prepared["assignment"], self.clusters)
        if self.legacy:
            bound = network.bits**-0.5
            self.centers = nn.Parameter(torch.empty(self.clusters, network.bits).uniform_(-bound, bound))
        else:
            self.register_buffer("centers", prepared["centers"].clone())

    def start_epoch(self, epoch: int) -> None:
        """Learn whether pseudo-labels move."""
        self.epoch = epoch

    def loss(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        """The three losses over the videos of all ranks."""
        views = masked_views(len(batch.visual), batch.visual.shape[1], self.mask, batch.visual.device)
        seen = look_at(network, self.decoder, batch, views)
        contrast = debiased_contrastive(*seen.codes, self.temperature, self.prior)
        labels = self._labels(network, batch)
        aligned = [center_alignment(each, self.centers, labels, self.alignment_temperature) for each in seen.codes]
        return seen.reconstruction + self.alpha * contrast + self.alignment * 0.5 * (aligned[0] + aligned[1])

    @torch.no_grad()
    def _labels(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        """Pseudo-labels of all ranks' videos, moved first if it is time."""
        rows = gather_rows(batch.index)
        if self.epoch >= self.warmup:
            with evaluating(network.network):
                codes = network.codes(batch.visual, batch.audio)
            logits = gather_rows(codes).float() @ self.centers.float().T
            self.memory.refresh(rows, logits.softmax(dim=1), self.smoothing, self.epoch)
        return self.memory.read(rows)
