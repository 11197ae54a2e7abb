"""How good a model of remaining life is on units it never saw, beside saying always the same, or what follows from age alone."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt

from models.bundle import Bundle
from models.series.histories import Histories
from models.series.monitor import Monitor

Doubles = npt.NDArray[np.float64]


class RemainingEvaluation(msgspec.Struct, frozen=True):
    """Figures of one model; cycles above the cap count as the cap.

    Attributes:
        units, rows: judged.
        rmse: root of the mean squared error, in cycles; `rmse_mean` that of always saying the mean of the learnt units,
            `rmse_age` that of a straight line in the age.
        penalty: sum over the rows of the score of the 2008 challenge, by which late is worse than early (Saxena et al.,
            "Damage propagation modeling for aircraft engine run-to-failure simulation", 2008).
        inside: share of the truth within the interval, `wanted` as it was asked for.
    """

    units: int
    rows: int
    rmse: float
    rmse_mean: float
    rmse_age: float
    penalty: float
    inside: float
    wanted: float


def judge(
    bundle: Bundle, histories: Histories, advance: Callable[[int, int], None] | None = None
) -> RemainingEvaluation:
    """Return the figures of `bundle` on `histories`: each unit is followed from its first row on."""
    monitor, recipe = Monitor(bundle), bundle.card.fit.recipe
    found = np.empty((len(histories.values), 3))
    for row, reading in enumerate(histories.values):
        if row == 0 or histories.unit[row] != histories.unit[row - 1]:
            monitor.restart()
        found[row] = monitor.follow(reading).remaining
        if advance:
            advance(row + 1, len(found))
    rows = histories.last
    cap, offset, slope = (float(recipe[key]) for key in ("cap", "age_offset", "age_slope"))
    truth = np.minimum(histories.remaining[rows], cap)
    by_age = np.clip(offset + slope * histories.age[rows], 0, cap)
    late = found[rows, 0] - truth
    return RemainingEvaluation(
        units=histories.units,
        rows=len(rows),
        rmse=_root(late),
        rmse_mean=_root(truth - float(recipe["mean_remaining"])),
        rmse_age=_root(truth - by_age),
        penalty=float((np.exp(np.where(late < 0, -late / 13, late / 10)) - 1).sum()),
        inside=float(((found[rows, 1] <= truth + 1e-3) & (truth <= found[rows, 2] + 1e-3)).mean()),
        wanted=float(recipe["coverage"]),
    )


def _root(apart: Doubles) -> float:
    return float(np.sqrt((apart**2).mean()))
