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

from models.vision.features import Doubles
from models.vision.gaussian import FLOOR, CellGaussians, smooth, whitened
from models.vision.recipe import Recipe
from models.vision.taught import Taught, inputs, log_odds

MEMBERS = ("usual", "taught")

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
    """All that was learnt of good parts."""

    usual: Usual
    taught: Taught
    combination: Combination


def relative(features: npt.NDArray[np.floating]) -> Doubles:
    """Return `features` (..., cells, dimensions) less the picture's own mean of each."""
    own: Doubles = features.astype(np.float64)
    own -= own.mean(axis=-2, keepdims=True)
    return own


class Seen(NamedTuple):
    """What the members see of pictures: the map of `usual`, before smoothing, and the inputs of `taught`."""

    distance: Doubles
    inputs: Doubles


def see(features: npt.NDArray[np.floating], usual: Usual, grid: int) -> Seen:
    """Return what the members see of `features` (pictures, cells, dimensions)."""
    ours = whitened(relative(features), usual.relative)
    distance = np.log((ours**2).sum(axis=-1) + FLOOR)
    both = [inputs(ours, grid), inputs(whitened(features, usual.absolute), grid)]
    return Seen(distance, np.concatenate(both, axis=-1))


def member_maps(seen: Seen, taught: Taught, grid: int) -> Doubles:
    """Return the members' maps, shape (members, pictures, grid, grid)."""
    maps = [seen.distance, log_odds(seen.inputs, taught)]
    return np.stack([smooth(each.reshape(-1, grid, grid)) for each in maps])


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


def standard(scores: Doubles) -> tuple[Doubles, Doubles]:
    """Return median and spread, in standard deviations, of scores (..., pictures)."""
    loc = np.median(scores, axis=-1)
    spread = MAD_TO_SIGMA * np.median(np.abs(scores - loc[..., None]), axis=-1)
    return loc, np.maximum(spread, 1e-6)


def unusualness(features: npt.NDArray[np.floating], members: Members, recipe: Recipe) -> tuple[Doubles, Doubles]:
    """Return the raw scores (pictures,) and raw maps (pictures, grid, grid) of `features` (pictures, cells, dimensions)."""
    maps = member_maps(see(features, members.usual, recipe.grid), members.taught, recipe.grid)
    raw = combine(maps, members.combination)
    return score(raw, recipe.top), raw
