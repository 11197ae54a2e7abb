"""The members of a model and how they are put together: the numpy definition of what the released graph computes.

`usual` says how far each cell is from what is usual there, by its features relative to the picture's own mean, so that a whole
picture's shift in look counts little. `taught` says how much it looks like a defect rather than a good cell, by relative and by
absolute features. Each member's map is put in standard deviations of its score on good parts, and the mean of both is the map
whose most unusual cells make the score.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.vision.features import Doubles, Floats
from models.vision.gaussian import FLOOR, CellGaussians, smooth, whitened
from models.vision.recipe import Recipe
from models.vision.taught import Taught, inputs, log_odds

MEMBERS = ("usual", "taught")

OUTSIDE = -1000.0
"""What a cell that is not looked at has in a map: below all that is, so that it makes no score."""

MAD_TO_SIGMA = 1.4826
"""Median absolute deviation to standard deviation, for a normal distribution."""


class Usual(NamedTuple):
    """What is usual of features relative to the picture, and of the features themselves."""

    relative: CellGaussians
    absolute: CellGaussians


class Combination(NamedTuple):
    """How members' maps become one. Each: (members,), float32.

    Attributes:
        loc, scale: of the member's score on good parts.
        weight: sums to 1; 0 for a member that is left out.
    """

    loc: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]


class Members(NamedTuple):
    """All that was learnt of good parts; `where`: (cells,), 1 for a cell that is looked at, else 0."""

    usual: Usual
    taught: Taught
    combination: Combination
    where: Floats


def relative(features: npt.NDArray[np.floating], where: Floats) -> Doubles:
    """Return `features` (..., cells, dimensions) less the picture's own mean of each over the cells that are looked at."""
    own: Doubles = features.astype(np.float64)
    own -= np.average(own, axis=-2, weights=where)[..., None, :]
    return own


class Seen(NamedTuple):
    """What the members see of pictures: the map of `usual`, before smoothing, and the inputs of `taught`."""

    distance: Doubles
    inputs: Doubles


def see(features: npt.NDArray[np.floating], usual: Usual, grid: int, where: Floats) -> Seen:
    """Return what the members see of `features` (pictures, cells, dimensions)."""
    ours = whitened(relative(features, where), usual.relative)
    distance = np.log((ours**2).sum(axis=-1) + FLOOR)
    both = [inputs(ours, grid), inputs(whitened(features, usual.absolute), grid)]
    return Seen(distance, np.concatenate(both, axis=-1))


def member_maps(seen: Seen, taught: Taught, grid: int) -> Doubles:
    """Return the members' maps, shape (members, pictures, grid, grid)."""
    maps = [seen.distance, log_odds(seen.inputs, taught)]
    return np.stack([smooth(each.reshape(-1, grid, grid)) for each in maps])


def within(maps: Doubles, where: Floats) -> Doubles:
    """Return maps (..., grid, grid) with `OUTSIDE` in cells that are not looked at."""
    seen: Doubles = np.where(where.reshape(maps.shape[-2:]) > 0, maps, OUTSIDE)
    return seen


def score(maps: Doubles, top: int) -> Doubles:
    """Return the mean of the `top` highest cells of maps (..., grid, grid)."""
    most = np.sort(maps.reshape(*maps.shape[:-2], -1), axis=-1)[..., -top:]
    mean: Doubles = most.mean(axis=-1)
    return mean


def combine(maps: Doubles, combination: Combination) -> Doubles:
    """Return the raw maps (pictures, grid, grid) of members' maps."""
    loc, scale, weight = (part.astype(np.float64)[:, None, None, None] for part in combination)
    whole: Doubles = (weight * ((maps - loc) / scale)).sum(axis=0)
    return whole


def in_units(members: Members, shift: float, scale: float) -> Members:
    """Return `members` whose raw map is `scale` times what it was, plus `shift`."""
    loc, spread, weight = members.combination
    moved = (loc - shift / scale * spread).astype(np.float32)
    return members._replace(combination=Combination(moved, spread, (weight * scale).astype(np.float32)))


def standard(scores: Doubles) -> tuple[Doubles, Doubles]:
    """Return median and spread, in standard deviations, of scores (..., pictures)."""
    loc = np.median(scores, axis=-1)
    spread = MAD_TO_SIGMA * np.median(np.abs(scores - loc[..., None]), axis=-1)
    return loc, np.maximum(spread, 1e-6)


def unusualness(features: npt.NDArray[np.floating], members: Members, recipe: Recipe) -> tuple[Doubles, Doubles]:
    """Return the raw scores (pictures,) and raw maps (pictures, grid, grid) of `features` (pictures, cells, dimensions)."""
    seen = see(features, members.usual, recipe.grid, members.where)
    maps = member_maps(seen, members.taught, recipe.grid)
    raw = within(combine(maps, members.combination), members.where)
    return score(raw, recipe.top), raw
