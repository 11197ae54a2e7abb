"""PaDiM: one Gaussian of good features per cell of the grid.

After Defard et al., "PaDiM: a patch distribution modeling framework" (2021), with each cell's covariance shrunk towards
the one of all cells. A few dozen pictures cannot fill a covariance of fifty features; the shared one can.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.vision.features import Doubles, Floats

FLOOR = 1.0
"""Added to a squared distance before its logarithm, so that a perfect match is 0."""

SMOOTHING = np.outer([0.25, 0.5, 0.25], [0.25, 0.5, 0.25])
"""Binomial kernel over the grid: a defect lights up neighbouring cells, noise does not."""

RIDGE = 1e-3
"""Variance added to every feature: keeps the covariance invertible where a feature never varies."""


class CellGaussians(NamedTuple):
    """Fitted cells.

    Attributes:
        means: (cells, dimensions).
        whitening: (cells, dimensions, dimensions), the inverse of the Cholesky factor of each covariance.
    """

    means: Floats
    whitening: Floats


def fit_cells(features: npt.NDArray[np.floating], shrink: float) -> CellGaussians:
    """Return the Gaussians of `features`, shape (pictures, cells, dimensions).

    A cell's covariance is (1 - shrink) * its own + shrink * the mean over all cells + `RIDGE`.
    """
    count = features.shape[0]
    means = features.mean(axis=0, dtype=np.float64)
    centred = (features - means).astype(np.float64).transpose(1, 2, 0)
    own = centred @ centred.transpose(0, 2, 1) / max(count - 1, 1)
    shared = own.mean(axis=0) + RIDGE * np.eye(own.shape[-1])
    whitening = np.linalg.inv(np.linalg.cholesky((1 - shrink) * own + shrink * shared))
    return CellGaussians(means.astype(np.float32), whitening.astype(np.float32))


def whitened(features: npt.NDArray[np.floating], cells: CellGaussians) -> Doubles:
    """Return `features` (pictures, cells, dimensions) in standard deviations, independent of each other under `cells`."""
    centred = (features.astype(np.float64) - cells.means).transpose(1, 2, 0)
    white: Doubles = (cells.whitening.astype(np.float64) @ centred).transpose(2, 0, 1)
    return white


def smooth(maps: Doubles) -> Doubles:
    """Return `maps` (pictures, grid, grid) smoothed over neighbouring cells, edges repeated."""
    grid = maps.shape[-1]
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)), mode="edge")
    return sum(
        (
            weight * padded[:, row : row + grid, column : column + grid]
            for (row, column), weight in np.ndenumerate(SMOOTHING)
        ),
        np.zeros_like(maps),
    )
