"""What is usual of one value at each time of the day or week - energy above all: the definition, in numpy.

Additive exponential smoothing (Winters, "Forecasting sales by exponentially weighted moving averages", 1960) without a
slope: a profile with one place for each time of the season, and a level that all places share. What a reading differs by
from what was expected moves both, but no further than a share of the usual spread allows (Gelper, Fried, Croux, "Robust
forecasting with exponential and Holt-Winters smoothing", 2010), so that one wild day does not become usual. The spread is
kept for each place: a night is predicted better than a change of shift. The score is the difference in spreads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Slots = npt.NDArray[np.int64]

WILD = 5.0
"""The spread takes no difference for more than so many spreads."""

FLOOR = 1e-6
"""Smallest spread, in shares of the profile's largest value."""


class State(NamedTuple):
    """What is known after a reading: profile and spread by place, and level; with leading axes for several ways at once."""

    profile: Doubles
    spread: Doubles
    level: Doubles


class Seasonal(NamedTuple):
    """A fitted model.

    Attributes:
        start: what is known before the first reading.
        step, level_step: share of a difference that moves the place, and the level.
        clip: in spreads, the largest difference that moves them.
        floor: smallest spread, in the value's unit.
    """

    start: State
    step: Doubles
    level_step: Doubles
    clip: Doubles
    floor: float


def follow(model: Seasonal, values: Doubles, slots: Slots) -> Iterator[tuple[Doubles, Doubles, State]]:
    """Yield of each value: what was expected, the spread it was expected with, and what is known after it.

    A missing value (NaN) changes nothing. `start` may have leading axes, as may step, level_step and clip.
    """
    profile, spread, level = (np.array(part, np.float64) for part in model.start)
    for value, slot in zip(values, slots, strict=True):
        expected, usual = profile[..., slot] + level, spread[..., slot].copy()
        apart = value - expected
        if not np.isnan(value):
            moved = np.clip(apart, -model.clip * usual, model.clip * usual)
            profile[..., slot] += model.step * moved
            level = level + model.level_step * moved
            size = np.minimum(np.abs(apart), WILD * usual)
            spread[..., slot] = np.maximum(usual + model.step * (size - usual), model.floor)
        yield expected, usual, State(profile, spread, level)


def first_state(values: Doubles, slots: Slots, places: int, blur: int) -> State:
    """Return median and mean absolute difference of each place; what no reading tells is taken from all.

    `blur` places to either side share in the spread, which a few weeks tell of one place only roughly.
    """
    grid = np.full((places, len(values) // places + 2), np.nan)
    grid[slots, (np.arange(len(values)) + slots[0]) // places] = values
    known = ~np.isnan(grid)
    middle = float(np.nanmedian(values))
    profile = np.array([np.median(row[seen]) if seen.any() else middle for row, seen in zip(grid, known, strict=True)])
    apart = np.where(known, np.abs(grid - profile[:, None]), 0).sum(axis=1)
    near = [np.roll(apart, shift) for shift in range(-blur, blur + 1)]
    count = [np.roll(known.sum(axis=1), shift) for shift in range(-blur, blur + 1)]
    overall = apart.sum() / known.sum()
    # As if the mean over all places had been seen once more at each.
    spread = (np.sum(near, axis=0) + overall) / (np.sum(count, axis=0) + 1)
    floor = FLOOR * max(float(np.abs(profile).max()), 1e-12)
    return State(profile, np.maximum(spread, floor), np.zeros(()))
