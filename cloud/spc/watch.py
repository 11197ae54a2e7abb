"""A point's control chart as its values come, one after the other: what signals now, against limits that are frozen."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from math import sqrt
from typing import Literal, NamedTuple

import numpy as np

from cloud.spc.charts import Baseline, Cusum, Ewma, rule_at, spread_limits, spreads

Chart = Literal["western_electric", "trend", "cusum", "ewma", "spread"]

_LOOK_BACK = 8


class FrozenLimits(NamedTuple):
    """What a control plan froze: its version, values a point of the chart, and the baseline limits rest on."""

    version: int
    subgroup: int
    base: Baseline


class ControlWatch:
    """The charts of one point; `mean` is that of the last whole subgroup, NaN before there is one."""

    def __init__(self, limits: FrozenLimits, charts: Collection[Chart]) -> None:
        self._limits, self._charts = limits, frozenset(charts)
        self._values: list[float] = []
        self._before = float("nan")
        self._z: deque[float] = deque(maxlen=_LOOK_BACK)
        self._cusum, self._ewma = Cusum(), Ewma()
        self.mean = float("nan")

    def add(self, value: float) -> bool | None:
        """Take the next value; returns whether a chart signals at the point it completes, None where it completes none."""
        self._values.append(value)
        size = self._limits.subgroup
        if len(self._values) < size:
            return None
        group = np.array(self._values)
        self._values = []
        base = self._limits.base
        self.mean = float(group.mean())
        z = (self.mean - base.centre) / (base.sigma / sqrt(size))
        self._z.append(z)
        rule = rule_at(np.array(self._z), len(self._z) - 1)
        signalling: dict[Chart, bool] = {
            "western_electric": rule not in (None, "trend"),
            "trend": self._is_trend(),
            "cusum": self._cusum.add(z),
            "ewma": self._ewma.add(z),
            "spread": self._spreads(group),
        }
        return any(signalling[chart] for chart in self._charts)

    def _is_trend(self) -> bool:
        steps = np.diff(np.array(self._z)[-6:])
        return len(steps) == 5 and bool(np.all(steps > 0) or np.all(steps < 0))

    def _spreads(self, group: np.ndarray) -> bool:
        _, lower, upper = spread_limits(self._limits.base, len(group))
        if len(group) == 1:
            spread, self._before = abs(float(group[0]) - self._before), float(group[0])
        else:
            spread = float(spreads(group[None])[0])
        return not lower <= spread <= upper if spread == spread else False  # noqa: PLR0124 - NaN before the second
