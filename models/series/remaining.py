"""How long a machine of a kind still runs: the definition, in numpy.

Each sensor is standardised and smoothed twice, quickly and slowly, so that its level and its trend are seen; a small network
of both says how much life is left, as a share of `cap` cycles - above that nothing shows yet, so that is all that is said
(the piecewise linear target of Heimes, "Recurrent neural networks for remaining useful life estimation", 2008). The interval
is what units the network had not learnt from were off by, each unit counting once (Dunn, Wasserman and Ramdas,
"Distribution-free prediction sets for two-layer hierarchical models", 2022), by how much life is said to be left.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Layers = tuple[tuple[Doubles, Doubles], ...]
"""Weights (inputs x outputs) and offsets of each layer."""

EDGES = (0.2, 0.4, 0.6, 0.8)
"""Shares of the cap between which intervals are alike."""


class Remaining(NamedTuple):
    """A fitted model of n sensors.

    Attributes:
        mean, spread: of each sensor, in its unit.
        steps: share of a new reading in the quick average, and in the slow one.
        layers: from both averages (2n, the quick ones first) to the share of the cap; tanh between them.
        cap: cycles.
        low, high: by place between EDGES: what is to be added to the cycles said, for the interval.
    """

    mean: Doubles
    spread: Doubles
    steps: tuple[float, float]
    layers: Layers
    cap: float
    low: Doubles
    high: Doubles


def smoothed(model: Remaining, values: Doubles, unit: npt.NDArray[np.int64]) -> Doubles:
    """Return rows x 2n averages, each unit's from its first reading on.

    A missing reading leaves the averages; a sensor that has not been read yet is taken as at its mean.
    """
    step = np.repeat(model.steps, values.shape[1])
    averages, state = np.empty((len(values), len(step))), np.empty(0)
    for row, reading in enumerate(np.tile((values - model.mean) / model.spread, 2)):
        if row == 0 or unit[row] != unit[row - 1]:
            state = np.full(len(step), np.nan)
        now = np.where(np.isnan(reading), np.where(np.isnan(state), 0.0, state), reading)
        before = np.where(np.isnan(state), now, state)
        averages[row] = state = before + step * (now - before)
    return averages


def shares(layers: Layers, averages: Doubles) -> Doubles:
    """Return of each row the share of the cap that is left, 0..1."""
    at = averages
    for weights, offsets in layers[:-1]:
        at = np.tanh(at @ weights + offsets)
    weights, offsets = layers[-1]
    return np.clip((at @ weights + offsets)[:, 0], 0, 1)


def said(model: Remaining, averages: Doubles) -> Doubles:
    """Return rows x (cycles left, at least, at most); the last two are an interval."""
    share = shares(model.layers, averages)
    place = np.searchsorted(EDGES, share, side="left")
    cycles = model.cap * share
    low, high = (np.clip(cycles + offset[place], 0, model.cap) for offset in (model.low, model.high))
    return np.column_stack([cycles, low, high])
