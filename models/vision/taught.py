"""What tells defects from good: a logistic regression on whitened features of each cell, taught by planted defects.

A Mahalanobis distance counts every unusual direction alike; among the unusual ones, this has learnt which a defect takes. It sees
each whitened feature with its sign and its size, and the whole distance here and around.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.vision.features import Doubles, Floats
from models.vision.gaussian import FLOOR, smooth

BOUND = 3.0
"""Whitened features are bounded softly to +-3, so that one extreme feature does not decide alone."""

PENALTY = 3.0
"""Ridge on the weights of standardised inputs."""

STEPS = 25


class Taught(NamedTuple):
    """A fitted cell classifier: its answer, in log-odds, is inputs @ weights + bias.

    Attributes:
        weights: (inputs,), see `inputs`.
    """

    weights: Floats
    bias: float


def inputs(white: npt.NDArray[np.floating], grid: int) -> Doubles:
    """Return what is seen of whitened features (pictures, cells, dimensions): (pictures, cells, 2 * dimensions + 2)."""
    white = white.astype(np.float64)
    squared = white**2
    distance = np.log(squared.sum(axis=-1) + FLOOR)
    around = smooth(distance.reshape(-1, grid, grid)).reshape(distance.shape)
    return np.concatenate(
        [np.tanh(white / BOUND) * BOUND, np.log1p(squared), distance[..., None], around[..., None]], axis=-1
    )


def teach(good: Doubles, defective: Doubles) -> Taught:
    """Return the classifier of rows of `inputs`, both kinds counted as much in all; by Newton's method."""
    rows = np.concatenate([good, defective])
    mean, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    rows = np.concatenate([(rows - mean) / spread, np.ones((len(rows), 1))], axis=1)
    wanted = np.repeat([0.0, 1.0], [len(good), len(defective)])
    counted = np.repeat([len(rows) / 2 / len(good), len(rows) / 2 / len(defective)], [len(good), len(defective)])
    ridge = np.r_[np.full(rows.shape[1] - 1, PENALTY), 1e-6]
    weights = np.zeros(rows.shape[1])
    for _ in range(STEPS):
        odds = 1 / (1 + np.exp(-np.clip(rows @ weights, -30, 30)))
        slope = rows.T @ (counted * (odds - wanted)) + ridge * weights
        bend = (rows * (counted * odds * (1 - odds))[:, None]).T @ rows + np.diag(ridge)
        step = np.linalg.solve(bend, slope)
        weights -= step
        if np.abs(step).max() < 1e-6:
            break
    plain = weights[:-1] / spread
    return Taught(plain.astype(np.float32), float(np.float32(weights[-1] - mean @ plain)))


def log_odds(seen: Doubles, taught: Taught) -> Doubles:
    """Return the answer for rows of `inputs`."""
    answer: Doubles = seen @ taught.weights.astype(np.float64) + taught.bias
    return answer
