"""Batch normalization that does not depend on how many processes share a batch."""

from torch import Tensor, nn
from typing_extensions import override

from avhash_nas.distributed import apply_to_all_rows


class BatchNorm(nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d` that normalizes over the batches of all ranks in training.

    It gathers the rows, so that outputs and running statistics equal, bit for bit, those of one process with the whole
    batch; gradients are those of the global batch in the sense of `avhash_nas.distributed`. Meant for a few values per
    video. torch's SyncBatchNorm, which sends sums instead, needs GPUs.
    """

    @override
    def forward(self, x: Tensor) -> Tensor:
        return apply_to_all_rows(super().forward, x) if self.training else super().forward(x)
