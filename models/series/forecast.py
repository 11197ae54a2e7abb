"""Runs a seasonal model: values by the clock in, findings and forecasts out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.bundle import Bundle
from models.errors import InputError
from models.series.clock import AHEAD_S, Season, slot_of
from models.session import open_session
from models.verdict import VERDICTS, Verdict

Floats = npt.NDArray[np.float32]


class SeasonalFinding(NamedTuple):
    """What the model says of one value: None for a missing one; what was expected, and the band of the review limit."""

    verdict: Verdict | None
    score: float
    expected: float
    low: float
    high: float


class Forecaster:
    """A verified seasonal bundle for one value. It keeps what it has learnt since the fit."""

    def __init__(self, bundle: Bundle) -> None:
        """Open the model; raises InputError if it is no seasonal model, BundleRefused if the runtime cannot open it."""
        self.card = bundle.card
        if self.card.task != "seasonal":
            raise InputError("task", f"{self.card.name} is no seasonal model", f"{self.card.name} 不是季节模型")
        self.digest = bundle.digest
        self.sensor = self.card.sensors[0]
        self.period = int(self.card.fit.recipe["period"])
        self.season: Season = "day" if self.card.fit.recipe["season"] == "day" else "week"
        until = str(self.card.fit.recipe.get("until", ""))
        self.until = datetime.fromisoformat(until) if until else None
        """End of the last period it knows of, by the plant's clock; None where its card does not say when its data ended."""
        self._session = open_session(bundle.onnx)
        shapes = {tensor.name: tensor.shape for tensor in self.card.input}
        self._known = [np.full(shapes[name], np.nan, np.float32) for name in ("profile", "spread", "level")]
        self.ahead: Floats = np.full(shapes["profile"], np.nan, np.float32)
        """What is expected at each place of the season to come; NaN before the first value."""

    @property
    def known(self) -> list[list[float]]:
        """What is to be kept over a restart; give it to `resume`."""
        return [part.tolist() for part in (*self._known, self.ahead)]

    def resume(self, known: list[list[float]], until: datetime) -> None:
        """Go on from what was `known` at the end of the period `until`, of the same model."""
        *self._known, self.ahead = (np.array(part, np.float32) for part in known)
        self.until = until

    def catch_up(self, values: Sequence[float], end: datetime) -> tuple[int, int]:
        """Follow those of `values`, one a period and the last one up to `end`, that came after all it knows.

        Returns how many of them were read (NaN: missing), and how many periods there were since.
        """
        period = timedelta(seconds=self.period)
        if self.until is None or end <= self.until:
            return 0, 0
        since, read = end - self.until, 0
        count = min(since // period, len(values))
        for back in range(count, 0, -1):
            read += not np.isnan(values[-back])
            self.follow(values[-back], slot_of(end - back * period, self.season, self.period))
        self.until = end
        return read, ceil(since / period)

    def coming(self, slot: int, name: str) -> tuple[float, float, float]:
        """Return what is expected in sum over the time called so in AHEAD_S, from `slot` on, and the ends of its interval."""
        places = (slot + np.arange(max(AHEAD_S[name] // self.period, 1))) % len(self.ahead)
        whole = float(self.ahead[places].sum())
        width = float(self.card.fit.recipe.get(f"{name}_width", 0)) * float(self._known[1][places].sum())
        return whole, whole - width, whole + width

    def follow(self, value: float, slot: int) -> SeasonalFinding:
        """Return the finding on one value (NaN: missing) at a place of the season, as `clock.slot_of` tells it."""
        profile, spread, level = self._known
        score, verdict, expected, low, high, self.ahead, *self._known = self._session.run(
            ["score", "verdict", "expected", "low", "high", "ahead", "next_profile", "next_spread", "next_level"],
            {
                "values": np.array([value], np.float32),
                "slot": np.array([slot], np.float32),
                "profile": profile,
                "spread": spread,
                "level": level,
            },
        )
        said = None if np.isnan(value) else VERDICTS[int(verdict[0])]
        return SeasonalFinding(said, float(score[0]), float(expected[0]), float(low[0]), float(high[0]))
