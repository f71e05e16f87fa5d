"""How far a film's features lie from those of the training films."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def pooled(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(channels,) of a feature map (1, rows, cols, channels): the square root of each channel's mean.

    The root takes the long tail off channels that are never negative, so that a few loud ones do not decide.
    """
    return np.asarray(np.sqrt(np.maximum(features[0].mean((0, 1)), 0)), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Subspace:
    """The directions in which the pooled features of training films vary."""

    mean: NDArray[np.floating]
    """(channels,)."""
    scale: NDArray[np.floating]
    """(channels,), above 0."""
    basis: NDArray[np.floating]
    """(channels, directions), orthonormal."""
    unit: float
    """The mean of `residual` on training films."""

    def residual(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n,): how much of (n, channels) lies outside the subspace, 1 for a training film on average.

        The squared reconstruction error of a principal component analysis. A hand has features that
        no chest film has, in any mixture; a Mahalanobis distance in the subspace would not see them.
        Source: Jackson and Mudholkar, "Control procedures for residuals associated with principal
        component analysis", 1979 (the statistic Q).
        """
        z = (rows - self.mean) / self.scale
        inside = z @ self.basis.astype(np.float32)
        outside = (z**2).sum(1) - (inside**2).sum(1)
        return np.asarray(np.maximum(outside, 0) / self.unit, np.float32)
