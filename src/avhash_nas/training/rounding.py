"""How far the values of codes are from exact, and how many lie so close to zero that their bit is a matter of rounding.

Sums come out differently in another order, and with the size of a batch, the device or the library the order changes.
"""

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avhash_nas.data import Batch
from avhash_nas.networks import HashNetwork

VIDEOS = 16
"""How many videos are computed once more."""

_IDS = 20


class RoundingSample:
    """Some of a pass's videos with their values, to be compared with the same network in double precision.

    Args:
        rows: Of all videos of the pass, `Batch.index`; evenly spaced ones are taken.
    """

    def __init__(self, rows: NDArray[np.int64]) -> None:
        self._rows = set(rows[np.linspace(0, len(rows) - 1, VIDEOS).astype(int)].tolist())
        self._kept: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, values: Tensor, batch: Batch) -> None:
        """Keep those videos of a batch that belong to the sample.

        Args:
            values: Their relaxed codes, (B, q).
            batch: As the network got it.
        """
        places = [place for place, row in enumerate(batch.index.tolist()) if row in self._rows]
        if places:
            visual, audio, sampled = (part[places].cpu().double() for part in (batch.visual, batch.audio, values))
            self._kept.append((visual, audio, sampled))

    def rounding(self, network: HashNetwork) -> float:
        """How near to zero a value must be for its sign to be in doubt: four times the largest error in the sample.

        Two computations may err in opposite directions, and other videos twice as much as those in the sample.

        Args:
            network: That gave the values; its weights are taken as they are.
        """
        if not self._kept:
            return 0.0
        exact = copy.deepcopy(network).cpu().double().eval()
        with torch.inference_mode():
            errors = [(exact(visual, audio) - values).abs().max() for visual, audio, values in self._kept]
        return 4 * float(max(errors))


def near_zero(values: NDArray[np.float16], ids: NDArray[np.str_], rounding: float) -> dict[str, Any]:
    """How many values are within rounding of zero, as JSON values.

    Args:
        values: Relaxed codes, (n, q).
        ids: Of the videos, (n,).
        rounding: From `RoundingSample`.

    Returns:
        {"values": how many, "videos": how many have one, "ids": the first of them}.
    """
    close = np.abs(values) <= np.float32(rounding)
    some = close.any(axis=1)
    return {"values": int(close.sum()), "videos": int(some.sum()), "ids": ids[some][:_IDS].tolist()}
