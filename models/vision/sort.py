"""Names the defect of a part: the numpy definition of what the graph answers besides the verdict.

A picture is described by the features the model has anyway - of its most unusual cells, the highest anywhere, the mean - and by how unusual
it is in how many cells. On these stands a multinomial logistic regression, and a name is given only where the set of all names that are not
ruled out holds just one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.vision.features import Doubles, Floats
from models.vision.pictures import Grey

Numbers = npt.NDArray[np.floating]
Indices = npt.NDArray[np.int64]

NEAR = 16
"""The most unusual cells: so many, the last of them with no weight, so that none comes in or goes out with a jump."""

MOST_RANKS = 128

SPECK = 1e-6
"""Added to a sum that may be nothing."""


class Named(NamedTuple):
    """A picture (side x side) of a part whose defect somebody has named."""

    grey: Grey
    part: str
    kind: str


class Head(NamedTuple):
    """What names defects: `kinds[i]` has log-odds description @ weights[:, i] + bias[i]; a name is given from `floor` on."""

    kinds: list[str]
    weights: Floats
    bias: Floats
    floor: float


def ranks(where: Floats) -> list[int]:
    """Return which cells, in the order of how unusual they are, a description tells of: the first, second, fourth, ..."""
    inside = int(np.count_nonzero(where))
    return [1 << power for power in range(MOST_RANKS.bit_length()) if 1 << power <= min(inside, MOST_RANKS)]


def near(where: Floats) -> int:
    """Return how many cells are the most unusual ones."""
    return min(NEAR, int(np.count_nonzero(where)))


def describe(features: Numbers, raw_map: Doubles, where: Floats) -> Doubles:
    """Return the description of a picture by features (cells, dimensions) and raw map (grid, grid), one row of numbers."""
    own = np.average(features.astype(np.float64), axis=0, weights=where)
    relative = features - own
    unusual = raw_map.ravel()
    order = np.sort(unusual)[::-1]
    weight = np.maximum(unusual - order[near(where) - 1], 0)
    top = weight @ relative / (weight.sum() + SPECK)
    described: Doubles = np.concatenate(
        [top, (relative * where[:, None]).max(axis=0), own, order[[rank - 1 for rank in ranks(where)]]]
    )
    return described


def probabilities(odds: Doubles) -> Doubles:
    """Return the probabilities of log-odds (..., kinds)."""
    power = np.exp(odds - odds.max(axis=-1, keepdims=True))
    chances: Doubles = power / power.sum(axis=-1, keepdims=True)
    return chances


def chances_of(described: Doubles, head: Head) -> Doubles:
    """Return the probability of each kind for a description."""
    return probabilities(described @ head.weights.astype(np.float64) + head.bias)


def named_by(chances: Doubles, floor: float) -> Indices:
    """Return the kind that rows of chances (parts, kinds) name, -1 where it is not just one."""
    within = chances > floor
    return np.where(within.sum(axis=1) == 1, within.argmax(axis=1), -1).astype(np.int64)
