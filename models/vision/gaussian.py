"""PaDiM: one Gaussian of good features per cell of the grid, and how unusual a picture's cells are under them.

After Defard et al., "PaDiM: a patch distribution modeling framework" (2021), with each cell's covariance shrunk towards
the one of all cells. A few dozen pictures cannot fill a covariance of fifty features; the shared one can.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.vision.features import Doubles, Floats
from models.vision.recipe import Recipe

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


def fit_cells(features: Floats, shrink: float) -> CellGaussians:
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


def unusualness(features: npt.NDArray[np.floating], cells: CellGaussians, recipe: Recipe) -> tuple[Doubles, Doubles]:
    """Return the raw scores (pictures,) and raw maps (pictures, grid, grid) of `features` (pictures, cells, dimensions)."""
    centred = (features.astype(np.float64) - cells.means).transpose(1, 2, 0)
    white = cells.whitening.astype(np.float64) @ centred
    squared = (white**2).sum(axis=1).T.reshape(-1, recipe.grid, recipe.grid)
    padded = np.pad(np.log(squared + FLOOR), ((0, 0), (1, 1), (1, 1)), mode="edge")
    maps = np.zeros_like(squared)
    for (row, column), weight in np.ndenumerate(SMOOTHING):
        maps += weight * padded[:, row : row + recipe.grid, column : column + recipe.grid]
    most = np.sort(maps.reshape(len(maps), -1), axis=1)[:, -recipe.top :]
    return most.mean(axis=1), maps
