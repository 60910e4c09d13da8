"""A class distribution for each training video that is kept and refined while a network trains."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class LabelMemory(nn.Module):
    """Soft pseudo-labels of the training videos. Checkpoints hold them.

    Args:
        rows: The training videos' rows of the dataset, (V,).
        assignment: The class that each starts with, (V,).
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
        """Labels of some videos.

        Args:
            rows: Rows of training videos, (B,).

        Returns:
            (B, N), float32.
        """
        return self.labels[self.places[rows]]

    def refresh(self, rows: Tensor, predicted: Tensor, smoothing: float, epoch: int) -> None:
        """Moves labels towards predictions, at most once in an epoch for each video.

        Args:
            rows: Rows of training videos, (B,).
            predicted: Class distributions, (B, N).
            smoothing: Weight of the prediction, in [0, 1].
            epoch: The present epoch.
        """
        places = self.places[rows]
        due = self.refreshed[places] < epoch
        moved = torch.lerp(self.labels[places], predicted.float(), smoothing)
        self.labels[places] = torch.where(due[:, None], moved, self.labels[places])
        self.refreshed[places] = epoch
