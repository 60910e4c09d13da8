"""Who is relevant to whom: videos that share at least one label."""

import numpy as np

from avhash_nas.metrics.ranking import Bools


def relevance(labels: Bools, members: Bools) -> Bools:
    """Tells which items share at least one label with each query, by uniting the members of the query's classes.

    Args:
        labels: Whether the query has the class, shape (queries, C).
        members: Whether the class has the item, shape (C, items).

    Returns:
        Whether the item is relevant to the query, shape (queries, items).
    """
    result = np.zeros((len(labels), members.shape[1]), np.bool_)
    rows, classes = np.nonzero(labels)
    counts = np.bincount(rows, minlength=len(labels))
    ordinals = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    for ordinal in range(counts.max(initial=0)):  # as often as one query has labels: mostly once
        chosen = ordinals == ordinal
        result[rows[chosen]] |= members[classes[chosen]]
    return result
