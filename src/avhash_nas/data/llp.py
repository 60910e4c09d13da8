"""The features that VALOR publishes for LLP, brought to one vector for each time step."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from avhash_nas.errors import DataError


def clap_steps(features: NDArray[np.float32], steps: int = 10) -> NDArray[np.float32]:
    """CLAP's feature map of a video as one vector for each time step.

    VALOR interpolates the 64 positions, as 2 x 32, to 2 x 1024 (bicubic), maps them linearly, averages the two rows and
    then the 1024 columns in equal parts. A linear map commutes with all of these, as their weights sum to 1, so
    training on the result is the same with 1 / 6 of the numbers.

    Args:
        features: Shape (64, dim).
        steps: T.

    Returns:
        Shape (T, dim).

    Raises:
        DataError: The shape is another one.
    """
    if features.ndim != 2 or len(features) != 64:
        raise DataError([f"CLAP features: expected shape (64, dim), got {features.shape}"])
    plane = torch.from_numpy(features.astype(np.float32)).T.reshape(1, -1, 2, 32)
    wide = functional.interpolate(plane, size=(2, 1024), mode="bicubic").mean(dim=2)
    return functional.adaptive_avg_pool1d(wide, steps)[0].T.contiguous().numpy()
