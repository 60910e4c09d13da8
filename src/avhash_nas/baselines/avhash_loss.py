"""AVHash's loss: InfoNCE of the codes, of each modality, and between the modalities."""

import torch
from torch import Tensor
from typing_extensions import override

from avhash_nas.baselines.avhash import AVHash, Views
from avhash_nas.data import Batch, BatchSampling, Triplets
from avhash_nas.distributed import gather_rows
from avhash_nas.errors import AvnasError
from avhash_nas.networks import RoutedNetwork
from avhash_nas.objectives import NetworkObjective, info_nce, info_nce_triplets


class AVHashLoss(NetworkObjective[AVHash]):
    """L = L_codes + w (L_aa + L_vv + L_av + L_va), each term InfoNCE by cosine (ACM MM 2024; the authors' code).

    L_aa and L_vv compare the pooled sequences of one modality, L_av an audio anchor with visual positives and
    negatives, L_va the reverse. As published, an anchor has one positive and a few negatives, in batches of
    `data.Triplets`.

    Args:
        alignment: w; 50 as published.
        temperature: Divisor of the similarities, above 0.
        paired: Compare each anchor with the positive and the negatives of its group, as published. Otherwise compare
            all videos of the batch, for samplings such as `data.ClassBalanced`, which need one pass for a video instead
            of one for each of its roles: the four terms are then 4 times `info_nce` over the pooled sequences of both
            modalities together, in which the other modality of the same video is a positive as well.

    Raises:
        AvnasError: An option is out of its range.
    """

    network_class = AVHash

    def __init__(self, alignment: float = 50.0, temperature: float = 0.1, *, paired: bool = True) -> None:
        super().__init__()
        for name, value, fine in (
            ("alignment", alignment, alignment >= 0),
            ("temperature", temperature, temperature > 0),
        ):
            if not fine:
                raise AvnasError(f"AVHashLoss: {name} is out of range: {value}")
        self.alignment = alignment
        self.temperature = temperature
        self.paired = paired
        self.negatives = 0

    @override
    def sampling(self, chosen: BatchSampling) -> BatchSampling:
        if not self.paired:
            return chosen
        if not isinstance(chosen, Triplets):
            raise AvnasError(
                f"AVHashLoss: --data.sampling={type(chosen).__name__} makes no groups of anchor, positive and "
                "negatives; take triplets, or --objective.paired=false"
            )
        self.negatives = chosen.negatives
        return chosen

    @override
    def loss(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        views = network.apply(lambda avhash: self.own(avhash).views(batch.visual, batch.audio))
        return self.of_views(Views(*map(gather_rows, views)), gather_rows(batch.labels))

    def of_views(self, views: Views, labels: Tensor) -> Tensor:
        """Computes the loss of the network's outputs.

        Args:
            views: Outputs for B videos; in the paired form whole groups of anchor, positive and negatives, in order.
            labels: Whether video b has class c, bool, shape (B, C); ignored in the paired form.
        """
        codes, visual, audio = views
        if not self.paired:
            both = info_nce(torch.cat([visual, audio]), torch.cat([labels, labels]), self.temperature)
            return info_nce(codes, labels, self.temperature) + self.alignment * 4 * both
        anchors = torch.arange(len(codes), device=codes.device)[:, None] % (2 + self.negatives) == 0
        mixed = (torch.where(anchors, audio, visual), torch.where(anchors, visual, audio))
        terms = [info_nce_triplets(rows, self.negatives, self.temperature) for rows in (audio, visual, *mixed)]
        return info_nce_triplets(codes, self.negatives, self.temperature) + self.alignment * torch.stack(terms).sum()
