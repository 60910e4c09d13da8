"""Principal components."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from avhash_nas.errors import AvnasError

_POINTS_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class PCA:
    """A projection on the directions of largest variance.

    Args:
        mean: Mean of the fitted points, (F,).
        components: Orthonormal directions by falling variance, (D, F). The entry of largest absolute value in each is
            positive.
        variances: Variance of the fitted points along each direction, (D,), with the divisor V.
    """

    mean: NDArray[np.float64]
    components: NDArray[np.float64]
    variances: NDArray[np.float64]

    @classmethod
    def fit(cls, x: NDArray[np.floating], dims: int) -> Self:
        """Computes the directions by an eigendecomposition of the covariance.

        Args:
            x: Points, (V, F).
            dims: D, from 1 to the smaller of V and F.

        Raises:
            AvnasError: dims is out of its range.
        """
        if not 1 <= dims <= min(x.shape):
            raise AvnasError(f"PCA: dims={dims} must be from 1 to {min(x.shape)}, the smaller of {x.shape}")
        mean = x.mean(0, dtype=np.float64)
        scatter = np.zeros((x.shape[1], x.shape[1]))
        for start in range(0, len(x), _POINTS_AT_ONCE):
            centered = x[start : start + _POINTS_AT_ONCE] - mean
            scatter += centered.T @ centered
        variances, directions = np.linalg.eigh(scatter / len(x))
        components = directions.T[::-1][:dims]
        largest = np.abs(components).argmax(1)
        signs = np.sign(components[np.arange(dims), largest])
        return cls(mean, components * signs[:, None], variances[::-1][:dims].clip(0))

    def apply(self, x: NDArray[np.floating]) -> NDArray[np.float32]:
        """Maps points (V, F) to their coordinates along the components, (V, D), float32."""
        reduced = np.empty((len(x), len(self.components)), np.float32)
        for start in range(0, len(x), _POINTS_AT_ONCE):
            block = slice(start, start + _POINTS_AT_ONCE)
            reduced[block] = (x[block] - self.mean) @ self.components.T
        return reduced
