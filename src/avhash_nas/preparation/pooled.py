"""One vector for each video: the mean over its time steps."""

import numpy as np
from numpy.typing import NDArray

from avhash_nas.data import HashingData
from avhash_nas.errors import AvnasError
from avhash_nas.networks import side_by_side

_VIDEOS_AT_ONCE = 256


def pooled_features(
    data: HashingData, rows: NDArray[np.int64], *, visual: bool = True, audio: bool = True
) -> NDArray[np.float32]:
    """Means over time, of both modalities `side_by_side`; read in pieces, so that memory beside the result is bounded.

    Args:
        data: An open data set.
        rows: The videos' rows, (V,).
        visual: Take the visual features.
        audio: Take the audio features; they come after the visual ones.

    Returns:
        (V, F), float32; F is the sum of the dimensions taken.

    Raises:
        AvnasError: No modality is taken.
    """
    if not visual and not audio:
        raise AvnasError("pooled_features: visual=False and audio=False leave no features")
    rows = np.ascontiguousarray(rows, np.int64)
    pooled = np.empty((len(rows), visual * data.visual_dim + audio * data.audio_dim), np.float32)
    for start in range(0, len(rows), _VIDEOS_AT_ONCE):
        batch = data.batch(rows[start : start + _VIDEOS_AT_ONCE])
        alone = batch.visual if visual else batch.audio
        features = side_by_side(batch.visual, batch.audio) if visual and audio else alone
        pooled[start : start + len(features)] = features.numpy().mean(1)
    return pooled
