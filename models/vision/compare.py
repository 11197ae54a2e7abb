"""Comparing with a taught reference: the numpy definition of what the graph of a printed or flat part computes.

The template is the median of good parts laid over each other. A pixel's difference is told in what good parts differ there, which
is much at edges and little on plain ground. Two maps come of it: `fine` by pixels, opened so that a lone pixel counts nothing
(a line one pixel wide does), and `coarse` by means over half a cell, which sees a stain no pixel of which is remarkable. Both are
put in standard deviations of their score on good parts, and the larger is the map whose most different cells make the score.

A picture that cannot be laid over the template has no differences that mean anything: see `Reference.unlike`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.vision.features import Doubles, Floats
from models.vision.members import OUTSIDE, standard
from models.vision.recipe import Recipe
from models.vision.registration import Registration

MAPS = ("fine", "coarse")

WHOLE = 1.5
"""In the misfit a difference counts no more than this, in standard deviations of the picture: about from ink to paper."""

LEAST_SCALE = 0.1
"""Smallest spread of a map's score on good parts: a tenth more or less of what they differ is nothing."""


class Tolerance(NamedTuple):
    """One over what good parts differ: `fine` (side, side), by pixel, and `coarse` (pieces, pieces), of means over pieces."""

    fine: Floats
    coarse: Floats


class Reference(NamedTuple):
    """All that was learnt of good parts.

    Attributes:
        registration: lays pictures over the template.
        tolerance: what good parts differ.
        edges: (side, side), sums to 1: where the template's edges are, by which it is seen whether a picture lies right.
        unlike: the misfit above which a picture does not lie over the template.
        loc, scale: (maps,), of the maps' scores on good parts.
        where: (cells,), 1 for a cell that is looked at, else 0.
    """

    registration: Registration
    tolerance: Tolerance
    edges: Floats
    unlike: float
    loc: Floats
    scale: Floats
    where: Floats


def piece(recipe: Recipe) -> int:
    """Return the side of the pieces over which means are compared, pixels: half a cell."""
    return max(recipe.size // recipe.grid // 2, 1)


def means(difference: Doubles, recipe: Recipe) -> Doubles:
    """Return the means of `difference` (side x side) over pieces."""
    side = piece(recipe)
    count = recipe.size // side
    mean: Doubles = difference.reshape(count, side, count, side).mean(axis=(1, 3))
    return mean


def maps(difference: Doubles, tolerance: Tolerance, recipe: Recipe) -> Doubles:
    """Return the two maps (maps, grid, grid) of a difference (side x side)."""
    fine = _opened(np.abs(difference) * tolerance.fine)
    coarse: Doubles = np.abs(means(difference, recipe)) * tolerance.coarse
    return np.stack([np.log1p(_highest(fine, recipe.grid)), np.log1p(_highest(coarse, recipe.grid))])


def misfit(difference: Doubles, edges: Floats) -> float:
    """Return how little of the template is found, 0..1: differences at its edges, each counted up to a bound."""
    return float((edges * np.tanh(np.abs(difference) / WHOLE)).sum())


def combined(of_parts: Doubles, loc: Floats, scale: Floats) -> Doubles:
    """Return the raw maps (pictures, grid, grid) of maps (maps, pictures, grid, grid)."""
    shape = (len(MAPS), 1, 1, 1)
    larger: Doubles = ((of_parts - loc.reshape(shape)) / scale.reshape(shape)).max(axis=0)
    return larger


def standards(scores: Doubles) -> tuple[Floats, Floats]:
    """Return `Reference.loc` and `Reference.scale` of scores (maps, pictures)."""
    loc, scale = standard(scores)
    return loc.astype(np.float32), np.maximum(scale, LEAST_SCALE).astype(np.float32)


def raw_map(difference: Doubles, reference: Reference, recipe: Recipe) -> Doubles:
    """Return the raw map (grid, grid) of a difference."""
    found = maps(difference, reference.tolerance, recipe)[:, None]
    whole = combined(found, reference.loc, reference.scale)[0]
    seen: Doubles = np.where(reference.where.reshape(whole.shape) > 0, whole, OUTSIDE)
    return seen


def _highest(plane: Doubles, cells: int) -> Doubles:
    side = len(plane) // cells
    highest: Doubles = plane.reshape(cells, side, cells, side).max(axis=(1, 3))
    return highest


def _opened(plane: Doubles) -> Doubles:
    """Return the larger of the openings by three pixels in a row and by three in a column."""
    return np.maximum(_opened_down(plane), _opened_down(plane.T).T)


def _opened_down(plane: Doubles) -> Doubles:
    least = _of_three(np.pad(plane, ((1, 1), (0, 0)), constant_values=np.inf), np.minimum)
    return _of_three(np.pad(least, ((1, 1), (0, 0)), constant_values=-np.inf), np.maximum)


def _of_three(padded: Doubles, of: np.ufunc) -> Doubles:
    found: Doubles = of(of(padded[:-2], padded[1:-1]), padded[2:])
    return found
