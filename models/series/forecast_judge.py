"""How good a seasonal model is on values it never saw: forecasts beside the naive ones, and how often it alarms."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from models.errors import InputError
from models.evaluate import auroc
from models.series.clock import AHEAD_S, SECONDS, Clocked
from models.series.forecast import Forecaster


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
        sums: of each time ahead (AHEAD_S) the error of its sum, that of the sum a week before, and the share within the interval.
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
    sums: dict[str, tuple[float, float, float]] = {}


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
    summed: dict[str, list[tuple[float, float, bool]]] = {name: [] for name in AHEAD_S}
    for row, (value, slot) in enumerate(zip(values, slots, strict=True)):
        findings.append(forecaster.follow(float(value), int(slot)))
        for name, seconds in AHEAD_S.items():
            coming = np.arange(row + 1, row + 1 + max(seconds // forecaster.period, 1))
            if coming[-1] >= len(values) or coming[0] < week:
                continue
            whole, low, high = forecaster.coming(int(slots[coming[0]]), name)
            actual, before = float(values[coming].sum()), float(values[coming - week].sum())
            if not np.isnan(actual + before):
                summed[name].append((abs(actual - whole), abs(actual - before), low <= actual <= high))
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
        sums={name: _means(found) for name, found in summed.items() if found},
    )


def _means(found: list[tuple[float, float, bool]]) -> tuple[float, float, float]:
    error, naive, inside = np.mean(found, axis=0)
    return float(error), float(naive), float(inside)
