"""Batch normalization that does not depend on how many processes share a batch."""

from torch import Tensor, nn

from avhash_nas.distributed import apply_to_all_rows


class BatchNorm(nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d` whose batch, in training on several ranks, is that of all of them.

    The rows are gathered, so that outputs and running statistics are, bit for bit, those of one process with the whole
    batch; gradients are those of the global batch in the sense of `avhash_nas.distributed`. Made for a few numbers a video;
    torch's SyncBatchNorm, which sends sums instead, needs GPUs.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalized rows.

        Args:
            x: Shape (B, C).

        Returns:
            Shape (B, C).
        """
        return apply_to_all_rows(super().forward, x) if self.training else super().forward(x)
