"""What AVHash is trained by: InfoNCE of the codes, of each modality, and between the modalities."""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor

from avhash_nas.baselines.avhash import AVHash, Views
from avhash_nas.data import Batch, BatchSampling, HashingData, Triplets
from avhash_nas.distributed import gather_rows
from avhash_nas.errors import AvnasError
from avhash_nas.networks import HashNetwork, RoutedNetwork
from avhash_nas.objectives import Objective, info_nce, info_nce_triplets


class AVHashLoss(Objective):
    """L = L_codes + w (L_aa + L_vv + L_av + L_va), each term InfoNCE by cosine (ACM MM 2024; the authors' code).

    L_aa and L_vv compare the pooled sequences of one modality, L_av an audio anchor with visual positives and
    negatives, L_va the reverse. As published, an anchor has one positive and a few negatives, in batches of
    `data.Triplets`.

    Args:
        alignment: w; 50 as published.
        temperature: What similarities are divided by, above 0.
        paired: One positive and the negatives of its group for each anchor, as published. Otherwise, all that the batch
            holds, for samplings such as `data.ClassBalanced`, which needs one pass for a video instead of one for each
            of its roles: the four terms are then 4 times `info_nce` over the pooled sequences of both modalities
            together, in which the other modality of the same video is a positive as well.

    Raises:
        AvnasError: An option is out of its range.
    """

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

    def setup(self, data: HashingData, network: HashNetwork, prepared: Mapping[str, Tensor]) -> None:  # noqa: ARG002
        """Look at the network.

        Raises:
            AvnasError: The network is no AVHash.
        """
        if not isinstance(network, AVHash):
            raise AvnasError(
                f"AVHashLoss compares the pooled sequences of an AVHash and cannot train {type(network).__name__}"
            )

    def sampling(self, chosen: BatchSampling) -> BatchSampling:
        """Learn how many negatives a group has.

        Raises:
            AvnasError: The batches have no groups.
        """
        if not self.paired:
            return chosen
        if not isinstance(chosen, Triplets):
            raise AvnasError(
                f"AVHashLoss: --data.sampling={type(chosen).__name__} makes no groups of anchor, positive and "
                "negatives; take triplets, or --objective.paired=false"
            )
        self.negatives = chosen.negatives
        return chosen

    def loss(self, network: RoutedNetwork, batch: Batch) -> Tensor:
        """The loss of the videos of all ranks."""
        views = network.apply(lambda avhash: cast(AVHash, avhash).views(batch.visual, batch.audio))
        return self.of_views(Views(*map(gather_rows, views)), gather_rows(batch.labels))

    def of_views(self, views: Views, labels: Tensor) -> Tensor:
        """The loss of what the network has made of the videos.

        Args:
            views: Of B videos; in the paired form whole groups of anchor, positive and negatives, in this order.
            labels: Whether video b has class c, bool, shape (B, C); the paired form does not read them.
        """
        codes, visual, audio = views
        if not self.paired:
            both = info_nce(torch.cat([visual, audio]), torch.cat([labels, labels]), self.temperature)
            return info_nce(codes, labels, self.temperature) + self.alignment * 4 * both
        anchors = torch.arange(len(codes), device=codes.device)[:, None] % (2 + self.negatives) == 0
        mixed = (torch.where(anchors, audio, visual), torch.where(anchors, visual, audio))
        terms = [info_nce_triplets(rows, self.negatives, self.temperature) for rows in (audio, visual, *mixed)]
        return info_nce_triplets(codes, self.negatives, self.temperature) + self.alignment * torch.stack(terms).sum()
