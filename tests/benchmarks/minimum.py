"""Finds the minimum of a smooth convex cost of many weights: L-BFGS (Nocedal and Wright, Numerical Optimization, 7.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

Cost = Callable[[np.ndarray], tuple[float, np.ndarray]]

REMEMBERED = 8
SUFFICIENT = 1e-4
"""Share of the decrease that the slope promises for a step to be taken (Armijo's condition)."""

FLAT = 1e-9


def minimum(cost: Cost, start: np.ndarray, steps: int) -> np.ndarray:
    """Return where `cost`, which gives (value, gradient), is least, after at most `steps` steps from `start`."""
    at, (value, gradient) = start, cost(start)
    pairs: deque[tuple[np.ndarray, np.ndarray, float]] = deque(maxlen=REMEMBERED)
    for _ in range(steps):
        direction = -_curved(gradient, pairs)
        slope = float(gradient @ direction)
        if slope > -FLAT:
            break
        length = 1.0 if pairs else min(1.0, 1.0 / float(np.abs(gradient).sum()))
        while True:
            there = at + length * direction
            new, new_gradient = cost(there)
            if new <= value + SUFFICIENT * length * slope:
                break
            length /= 2
            if length < 1e-12:
                return at
        moved, turned = there - at, new_gradient - gradient
        if (along := float(moved @ turned)) > 0:
            pairs.append((moved, turned, along))
        at, value, gradient = there, new, new_gradient
    return at


def _curved(gradient: np.ndarray, pairs: deque[tuple[np.ndarray, np.ndarray, float]]) -> np.ndarray:
    """Return the gradient times the inverse curvature that the last steps tell (two-loop recursion)."""
    result = gradient.copy()
    shares = []
    for moved, turned, along in reversed(pairs):
        share = float(moved @ result) / along
        shares.append(share)
        result -= share * turned
    if pairs:
        moved, turned, along = pairs[-1]
        result *= along / float(turned @ turned)
    for (moved, turned, along), share in zip(pairs, reversed(shares), strict=True):
        result += (share - float(turned @ result) / along) * moved
    return result
