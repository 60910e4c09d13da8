"""Similar and dissimilar videos by an anchor graph, without a matrix of all pairs."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from avhash_nas.data.sampling import Positions
from avhash_nas.errors import AvnasError

_NEAREST = (3, 4, 5)
_VIDEOS_AT_ONCE = 1024
_CACHED_ROWS = 1024


class AnchorGraph:
    """The similar and the dissimilar videos of each video, as BTH, DKPH and MCMSH use them.

    From BTH (Li et al., CVPR 2021); the graph is that of "Hashing with Graphs" (Liu et al., ICML 2011). A video's
    weights Z on its s nearest anchors are a softmax over -distance^2 / (2 h^2), where h is the mean distance to the
    s-th nearest anchor over the square root of 2. The affinity of two videos is A_s = Z diag(sum of Z)^-1 Z^T. They are
    similar when A_3 is above the threshold; dissimilar, a hard negative, when A_5 is and neither A_4 nor A_3; else
    unrelated. The released code fills V x V matrices (8.3 GB each for FCVID). Here a row is computed on demand from the
    videos that share an anchor; memory grows with V.

    The released code also counts a video as similar to itself and draws it as its own partner; here it does so only
    for a video without any similar one.

    Args:
        x: One vector for each video, (V, F).
        anchors: Centers of clusters of such vectors, (A, F); at least 5.
        threshold: Affinity above which videos are related.

    Attributes:
        nearest: The 5 nearest anchors of each video, nearest first, (V, 5).

    Raises:
        AvnasError: There are too few anchors, the shapes differ, or a video is neither dissimilar nor unrelated to any.
    """

    def __init__(self, x: NDArray[np.floating], anchors: NDArray[np.floating], threshold: float = 1e-5) -> None:
        if len(anchors) < max(_NEAREST):
            raise AvnasError(f"AnchorGraph: {len(anchors)} anchors; it takes at least {max(_NEAREST)}")
        if x.ndim != 2 or x.shape[1:] != anchors.shape[1:]:
            raise AvnasError(f"AnchorGraph: videos of the shape {x.shape} and anchors of {anchors.shape} do not match")
        self.threshold = threshold
        self.nearest, squared = _nearest_anchors(x, anchors, max(_NEAREST))
        self._close, self._middle, self._wide = (_Affinity(self.nearest[:, :s], squared[:, :s]) for s in _NEAREST)
        # A batch asks for the rows of the same videos several times.
        self._similar = lru_cache(_CACHED_ROWS)(self.similar)
        self._dissimilar = lru_cache(_CACHED_ROWS)(self.dissimilar)
        suspects = np.flatnonzero(self._close.at_most() >= len(x))
        for position in suspects.tolist():
            if len(self.similar(position)) == len(x) - 1:
                raise AvnasError(f"AnchorGraph: video {position} is similar to all others: take more anchors")

    def __len__(self) -> int:
        return len(self.nearest)

    def similar(self, position: int) -> Positions:
        """Returns the videos similar to a video, ascending, without itself."""
        videos = self._close.above(position, self.threshold)
        others: Positions = videos[videos != position]
        return others

    def dissimilar(self, position: int) -> Positions:
        """Returns the videos dissimilar to a video, ascending: those at a middle distance."""
        nearer = np.union1d(self._middle.above(position, self.threshold), self._close.above(position, self.threshold))
        return np.setdiff1d(self._wide.above(position, self.threshold), nearer, assume_unique=True)

    def are_similar(self, first: Positions, second: Positions) -> NDArray[np.bool_]:
        """Tells whether the videos of each pair, (n,) and (n,), are similar; a video is similar to itself."""
        similar: NDArray[np.bool_] = np.logical_or(
            self._close.of_pairs(first, second) > self.threshold, first == second
        )
        return similar

    def draw_similar(self, positions: Positions, random: np.random.Generator) -> Positions:
        """Draws uniformly, for each video, one that is similar to it; the video itself if there is none.

        Args:
            positions: The videos, (n,).
            random: Generator, of which one number is drawn for each video.
        """
        chances = random.random(len(positions))
        drawn = positions.astype(np.int64)
        for number, (position, chance) in enumerate(zip(positions.tolist(), chances, strict=True)):
            choices = self._similar(position)
            if len(choices):
                drawn[number] = choices[int(chance * len(choices))]
        return drawn

    def draw_dissimilar(self, positions: Positions, random: np.random.Generator) -> Positions:
        """Draws uniformly, for each video, one that is dissimilar to it; an unrelated one if there is none.

        Args:
            positions: The videos, (n,).
            random: Generator, of which one number is drawn for each video.
        """
        chances = random.random(len(positions))
        drawn = np.empty(len(positions), np.int64)
        for number, (position, chance) in enumerate(zip(positions.tolist(), chances, strict=True)):
            choices = self._dissimilar(position)
            if len(choices):
                drawn[number] = choices[int(chance * len(choices))]
            else:
                related = np.union1d(self._similar(position), position)
                rank = int(chance * (len(self) - len(related)))
                drawn[number] = rank + np.searchsorted(related - np.arange(len(related)), rank, side="right")
        return drawn

    def draw_pairs(self, positions: Positions, random: np.random.Generator) -> Positions:
        """Draws, for each video, a similar or a dissimilar one with probability 1/2 each; see `are_similar`.

        Returns:
            (n, 1), the form of partners in `data.Tuples`.
        """
        similar = random.random(len(positions)) < 0.5
        drawn = np.empty(len(positions), np.int64)
        drawn[similar] = self.draw_similar(positions[similar], random)
        drawn[~similar] = self.draw_dissimilar(positions[~similar], random)
        return drawn[:, None]


class _Affinity:
    """A = Z diag(sum of Z)^-1 Z^T from the anchors of each video.

    Args:
        anchors: The nearest anchors of each video, (V, s).
        squared: The squared distances to them, (V, s).
    """

    def __init__(self, anchors: NDArray[np.int64], squared: NDArray[np.float64]) -> None:
        scale = np.sqrt(squared[:, -1]).mean() ** 2  # 2 h^2
        exponent = -squared / (scale or 1.0)
        z = np.exp(exponent - exponent.max(1, keepdims=True))
        z /= z.sum(1, keepdims=True)
        total = np.bincount(anchors.ravel(), z.ravel())
        self._anchors = anchors
        self._weights = z / np.sqrt(total[anchors])
        order = np.argsort(anchors.ravel(), kind="stable")
        self._members = order // anchors.shape[1]
        self._members_weights = self._weights.ravel()[order]
        self._starts = np.concatenate([[0], np.bincount(anchors.ravel(), minlength=anchors.max() + 1).cumsum()])

    def above(self, position: int, threshold: float) -> Positions:
        """Returns the videos whose affinity to a video is above a threshold, ascending."""
        groups = [slice(self._starts[anchor], self._starts[anchor + 1]) for anchor in self._anchors[position]]
        terms = zip(self._weights[position], groups, strict=True)
        values = np.concatenate([weight * self._members_weights[members] for weight, members in terms])
        videos, place = np.unique(np.concatenate([self._members[members] for members in groups]), return_inverse=True)
        above: Positions = videos[np.bincount(place, values) > threshold]
        return above

    def of_pairs(self, first: Positions, second: Positions) -> NDArray[np.float64]:
        """Computes the affinity of each pair, (n,)."""
        shared = self._anchors[first][:, :, None] == self._anchors[second][:, None, :]
        affinity: NDArray[np.float64] = np.einsum("ns,nst,nt->n", self._weights[first], shared, self._weights[second])
        return affinity

    def at_most(self) -> NDArray[np.int64]:
        """Computes an upper bound of the number of videos with a positive affinity to each, itself included, (V,)."""
        most: NDArray[np.int64] = np.diff(self._starts)[self._anchors].sum(1)
        return most


def _nearest_anchors(
    x: NDArray[np.floating], anchors: NDArray[np.floating], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Finds the nearest anchors of each video and the squared distances, (V, count); ties go to the first anchor."""
    anchors = anchors.astype(np.float64)
    norms = (anchors**2).sum(1)
    nearest = np.empty((len(x), count), np.int64)
    squared = np.empty((len(x), count))
    for start in range(0, len(x), _VIDEOS_AT_ONCE):
        videos = x[start : start + _VIDEOS_AT_ONCE].astype(np.float64)
        left = ((videos**2).sum(1)[:, None] + norms - 2 * videos @ anchors.T).clip(0)
        rows = np.arange(len(videos))
        for rank in range(count):
            chosen = left.argmin(1)
            nearest[start : start + len(videos), rank] = chosen
            squared[start : start + len(videos), rank] = left[rows, chosen]
            left[rows, chosen] = np.inf
    return nearest, squared
