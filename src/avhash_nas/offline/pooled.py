"""Mean features of videos."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from avhash_nas.data import HashingData
from avhash_nas.networks import features_of


def pooled_features(
    data: HashingData, rows: NDArray[np.int64], modalities: Sequence[str] = ("visual", "audio")
) -> NDArray[np.float32]:
    """Computes the means over time of `networks.features_of`, reading in pieces.

    Args:
        data: An open dataset.
        rows: The videos' rows, (V,).
        modalities: `visual`, `audio` or both.

    Returns:
        (V, F), float32.

    Raises:
        AvnasError: The modalities are empty.
    """
    means = [features_of(modalities, piece.visual, piece.audio).mean(dim=1) for piece in data.pieces(rows)]
    return torch.cat(means).numpy()
