"""What is usual of a machine's sensors, and how unusual a reading is: the definition, in numpy.

Every sensor is standardised, and smoothed by an exponentially weighted moving average (EWMA; Roberts, "Control chart tests
based on geometric moving averages", 1959). The smoothed vector is compared with what it was in healthy time, twice: by its
Mahalanobis distance under a covariance shrunk after Ledoit and Wolf ("A well-conditioned estimator for large-dimensional
covariance matrices", 2004), which sees sensors that no longer go together, and by its furthest single sensor, which no
covariance can explain away. The score is the larger of the two, each in units of its own limit in healthy time.

A second opinion (`recipe.way` "pca") asks the same of principal components instead: of T2 and Q, see `pca`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.series.pca import components
from models.series.recipe import HealthRecipe

Doubles = npt.NDArray[np.float64]

FLOOR = 1e-9
"""Smallest spread of a sensor, in its own unit: one that never moved in healthy time is unusual as soon as it does."""


class Health(NamedTuple):
    """A fitted model of n sensors.

    Attributes:
        mean, spread: of each sensor in healthy time, in its unit.
        step: share of a new reading in the average, 1 - 2^(-1 / half life).
        centre, width: mean and standard deviation of each smoothed, standardised sensor.
        whitening: rows x n; the length of whitening @ (smoothed - centre) is the Mahalanobis distance, or the root of T2.
        far, furthest: the distance, and the furthest sensor's or the root of Q, that count as 1.
        rest: of the second opinion, n x n: what the main components leave of each sensor; None in the first.
    """

    mean: Doubles
    spread: Doubles
    step: float
    centre: Doubles
    width: Doubles
    whitening: Doubles
    far: float
    furthest: float
    rest: Doubles | None = None


def independent_after(half_life: float) -> float:
    """Return after how many readings an average is as good as a new one.

    The mean of n independent readings has the variance of an average of step s at n = (2 - s) / s (Roberts, 1959).
    """
    step = 1 - 2 ** (-1 / half_life)
    return float((2 - step) / step)


class Scores(NamedTuple):
    """Of each row: the score, and each sensor's signed part in it, both in units of the limit in healthy time."""

    score: Doubles
    contributions: Doubles


def first_state(sensors: int) -> npt.NDArray[np.float32]:
    """Return the state of a machine that has not been read yet."""
    return np.full(sensors, np.nan, np.float32)


def standardised(model: Health, values: Doubles) -> Doubles:
    """Return `values` (rows x sensors) in spreads from the mean; NaN stays."""
    return (values - model.mean) / model.spread


def smoothed(model: Health, values: Doubles, state: Doubles | None = None) -> Doubles:
    """Return the averages after each row, from `state` on (NaN or None: from the first reading on).

    A missing reading leaves a sensor's average as it was; a sensor that has not been read yet is taken as in healthy time.
    """
    average = np.full(values.shape[1], np.nan) if state is None else state
    averages = np.empty_like(values)
    for row, reading in enumerate(standardised(model, values)):
        known = np.where(np.isnan(average), model.centre, average)
        now = np.where(np.isnan(reading), known, reading)
        before = np.where(np.isnan(average), now, average)
        average = before + model.step * (now - before)
        averages[row] = average
    return averages


def distances(model: Health, averages: Doubles) -> tuple[Doubles, Doubles]:
    """Return of each row the Mahalanobis distance, and each sensor's own distance in standard deviations, signed.

    In the second opinion: the root of T2, and what the main components leave of each sensor.
    """
    apart = averages - model.centre
    each = apart / model.width if model.rest is None else apart @ model.rest.T
    return np.sqrt(((apart @ model.whitening.T) ** 2).sum(axis=1)), each


def beside(model: Health, each: Doubles) -> Doubles:
    """Return of each row the furthest sensor's distance; in the second opinion the root of Q."""
    return np.asarray(np.abs(each).max(axis=1) if model.rest is None else np.sqrt((each**2).sum(axis=1)))


def scores(model: Health, values: Doubles, state: Doubles | None = None) -> Scores:
    """Return how unusual each row of `values` (rows x sensors, in the sensors' units) is."""
    far, each = distances(model, smoothed(model, values, state))
    return Scores(np.maximum(far / model.far, beside(model, each) / model.furthest), each / model.furthest)


def learn(values: Doubles, recipe: HealthRecipe) -> Health:
    """Return what is usual in `values` (rows x sensors); `far` and `furthest` are 1 until they are calibrated."""
    mean, spread = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    ones = np.ones_like(mean)
    blank = Health(
        mean=mean,
        spread=np.maximum(spread, FLOOR * np.maximum(np.abs(mean), 1)),
        step=1 - 2 ** (-1 / recipe.half_life),
        centre=0 * ones,
        width=ones,
        whitening=np.eye(len(mean)),
        far=1.0,
        furthest=1.0,
    )
    return shaped(blank, smoothed(blank, values), recipe)


def shaped(model: Health, averages: Doubles, recipe: HealthRecipe) -> Health:
    """Return `model` with the centre, widths and covariance of `averages`, the most unusual share `trim` left out."""
    apart = ((averages - averages.mean(axis=0)) ** 2 / np.maximum(averages.var(axis=0), FLOOR)).sum(axis=1)
    kept = averages[apart <= np.quantile(apart, 1 - recipe.trim)]
    covariance = shrunk_covariance(kept)
    if recipe.way == "pca":
        # Of the correlation: averages of a quick sensor vary less than those of a slow one, and are to count alike.
        width = np.sqrt(np.diag(covariance))
        main, rest = components(covariance / np.outer(width, width), recipe.explained)
        return model._replace(centre=kept.mean(axis=0), width=width, whitening=main / width, rest=rest / width)
    # C = L L'; the length of inv(L) x is the Mahalanobis distance.
    whitening = np.linalg.inv(np.linalg.cholesky(covariance))
    return model._replace(centre=kept.mean(axis=0), width=np.sqrt(np.diag(covariance)), whitening=whitening)


def shrunk_covariance(rows: Doubles) -> Doubles:
    """Return the covariance of `rows` shrunk towards a multiple of the identity (Ledoit and Wolf, 2004, section 3)."""
    count, size = rows.shape
    apart = rows - rows.mean(axis=0)
    sample = apart.T @ apart / count
    level = np.trace(sample) / size
    spread = ((sample - level * np.eye(size)) ** 2).sum()
    squared = (apart**2).sum(axis=1)
    error = min(((squared**2).sum() / count - (sample**2).sum()) / count, spread)
    share = error / spread if spread > 0 else 1.0
    return np.asarray((1 - share) * sample + (share * level + FLOOR) * np.eye(size))


def held_out(
    model: Health, averages: Doubles, blocks: Sequence[npt.NDArray[np.int64]], recipe: HealthRecipe
) -> tuple[Doubles, Doubles]:
    """Return each row's distance and its furthest sensor's, under a model learnt from the other blocks."""
    far, furthest = np.empty(len(averages)), np.empty(len(averages))
    for block in blocks:
        others = np.setdiff1d(np.arange(len(averages)), block)
        learnt = shaped(model, averages[others], recipe)
        far[block], each = distances(learnt, averages[block])
        furthest[block] = beside(learnt, each)
    return far, furthest
