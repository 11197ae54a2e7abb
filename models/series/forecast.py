"""Runs a seasonal model: values by the clock in, findings and forecasts out; and how good it is, beside the naive rivals."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from models.bundle import Bundle
from models.errors import InputError
from models.evaluate import auroc
from models.series.clock import SECONDS, Clocked, Season
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


class SeasonalEvaluation(msgspec.Struct, frozen=True):
    """Figures of one model on values it never saw; errors are mean absolute ones, in the value's unit.

    Attributes:
        rows: values judged.
        mean: of the values.
        day_ahead, week_ahead: error of the forecast made so long before.
        naive_day, naive_week: error of taking the value a day, or a week, before; on the same rows.
        outside: share of the values beyond the review limit, `wanted` as it was asked for.
        rejected: share beyond the reject limit.
        auroc: with labels, probability that a marked value scores above another.
    """

    rows: int
    mean: float
    day_ahead: float
    naive_day: float
    week_ahead: float
    naive_week: float
    outside: float
    wanted: float
    rejected: float
    auroc: float | None


class Forecaster:
    """A verified seasonal bundle for one value. It keeps what it has learnt since the fit."""

    def __init__(self, bundle: Bundle) -> None:
        """Open the model; raises InputError if it is no seasonal model, BundleRefused if the runtime cannot open it."""
        self.card = bundle.card
        if self.card.task != "seasonal":
            raise InputError("task", f"{self.card.name} is no seasonal model", f"{self.card.name} 不是季节模型")
        self.sensor = self.card.sensors[0]
        self.period = int(self.card.fit.recipe["period"])
        self.season: Season = "day" if self.card.fit.recipe["season"] == "day" else "week"
        self._session = open_session(bundle.onnx)
        shapes = {tensor.name: tensor.shape for tensor in self.card.input}
        self._known = [np.full(shapes[name], np.nan, np.float32) for name in ("profile", "spread", "level")]
        self.ahead: Floats = np.full(shapes["profile"], np.nan, np.float32)
        """What is expected at each place of the season to come; NaN before the first value."""

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


def judge(
    forecaster: Forecaster, clocked: Clocked, advance: Callable[[int, int], None] | None = None
) -> SeasonalEvaluation:
    """Return the figures of `forecaster` on `clocked`: forecasts are made at every row, from the rows before alone.

    Raises InputError if the table is no longer than a week, or has another period.
    """
    if clocked.period != forecaster.period:
        raise InputError(
            "period",
            f"the values are {clocked.period} s apart, the model's {forecaster.period} s",
            f"数据间隔为 {clocked.period} 秒，模型为 {forecaster.period} 秒",
        )
    values, slots = clocked.table.values[:, 0], clocked.slots(forecaster.season)
    day, week = (SECONDS[season] // forecaster.period for season in ("day", "week"))
    if len(values) <= 2 * week:
        raise InputError("no_rows", "more than two weeks are needed to judge", "评估需要两周以上的数据")
    forecasts = {lead: np.full(len(values), np.nan) for lead in (day, week)}
    findings = []
    for row, (value, slot) in enumerate(zip(values, slots, strict=True)):
        findings.append(forecaster.follow(float(value), int(slot)))
        for lead, made in forecasts.items():
            if row + lead < len(values):
                made[row + lead] = forecaster.ahead[slots[row + lead]]
        if advance:
            advance(row + 1, len(values))
    rows = np.arange(week, len(values))
    rows = rows[~np.isnan(values[rows]) & ~np.isnan(values[rows - day]) & ~np.isnan(values[rows - week])]
    truth = values[rows]
    if not len(rows):
        raise InputError(
            "no_rows", "no value has one a day and one a week before it", "没有同时具备前一天和前一周读数的值"
        )
    label = None if clocked.table.label is None else clocked.table.label[rows]
    score = np.array([findings[row].score for row in rows])
    return SeasonalEvaluation(
        rows=len(rows),
        mean=float(truth.mean()),
        day_ahead=float(np.abs(truth - forecasts[day][rows]).mean()),
        naive_day=float(np.abs(truth - values[rows - day]).mean()),
        week_ahead=float(np.abs(truth - forecasts[week][rows]).mean()),
        naive_week=float(np.abs(truth - values[rows - week]).mean()),
        outside=float(np.mean([findings[row].verdict != "pass" for row in rows])),
        wanted=forecaster.card.review.wanted,
        rejected=float(np.mean([findings[row].verdict == "reject" for row in rows])),
        auroc=auroc(score[~label], score[label]) if label is not None and 0 < label.sum() < len(label) else None,
    )
