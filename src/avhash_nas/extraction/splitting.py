"""Cutting labelled videos into train, val and test."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from avhash_nas.data.portions import cut_stratified
from avhash_nas.extraction.labels import SPLITS


def draw_splits(
    labels: Mapping[str, Sequence[str]], portions: Sequence[float], seed: int, kept: Mapping[str, str] | None = None
) -> dict[str, str]:
    """A split for each video, every class cut in the same proportion.

    Args:
        labels: Names of classes by id.
        portions: Shares of train, val and test, all above 0.
        seed: Of the draw.
        kept: Splits, by id, of videos that have one already. The others are cut among themselves: videos that come
            later never move those that were there, which would mix what was trained on with what is tested.

    Returns:
        `train`, `val` or `test` by id, in the order of the labels.
    """
    known = {name: split for name, split in (kept or {}).items() if name in labels and split in SPLITS}
    new = [name for name in labels if name not in known]
    if not new:
        return {name: known[name] for name in labels}
    table = multi_hot([labels[name] for name in new])
    train, rest = cut_stratified(table, portions[0], seed)
    val, test = cut_stratified(table[rest], portions[1] / (portions[1] + portions[2]), seed + 1)
    for split, places in zip(SPLITS, (train, rest[val], rest[test]), strict=True):
        known |= {new[place]: split for place in places}
    return {name: known[name] for name in labels}


def multi_hot(labels: Sequence[Sequence[str]]) -> NDArray[np.bool_]:
    """Whether video i has class c, (videos, classes), classes in alphabetical order.

    Args:
        labels: Names of classes of each video.
    """
    columns = {name: column for column, name in enumerate(sorted({name for each in labels for name in each}))}
    table = np.zeros((len(labels), len(columns)), np.bool_)
    for row, each in enumerate(labels):
        table[row, [columns[name] for name in each]] = True
    return table
