"""Curves over a stretch of time: what they are made from is chosen by the span and by how many readings there are."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Literal

import numpy as np

from cloud.core.db import AsyncConnection
from cloud.core.errors import Invalid, NotFound
from cloud.dictionary.service import entries_of
from cloud.telemetry.columns import instant
from cloud.telemetry.curves import LEVEL_S, aligned, choose, choose_fine, filled, legal, samples
from cloud.telemetry.downsample import largest_triangles
from cloud.telemetry.retained import Retained, us
from cloud.telemetry.schemas import Curve, History, Resolution, Sample, Shape
from cloud.telemetry.state_times import StateTimes, known_share, whole_hours
from cloud.telemetry.store import arrays, query, rollups, states
from protocols.dictionary.entries import Aggregation
from protocols.text import Text

MAX_SAMPLES = 100_000
"""Samples of all curves of one answer together."""

_READ_AT_ONCE = 60_000  # readings or states of one series that are picked from, or condensed; of ten such or more series together, ten times as many


@dataclass(frozen=True)
class Question:
    """What curves are asked for.

    Attributes:
        max_points: samples a curve may have; about the pixels of the chart's width.
        resolution: "auto" gives the readings themselves where no series has more than `max_points`, else the finest
            buckets that are not more.
        shape: see `schemas.Shape`.
        aligned: give every curve a sample for every bucket, empty ones too, so that their samples pair up.
        aggregation: None is the entry's own.
    """

    series: Sequence[int]
    start: datetime
    end: datetime
    max_points: int = 1000
    resolution: Resolution | Literal["auto"] = "auto"
    shape: Shape = "buckets"
    aligned: bool = False
    aggregation: Aggregation | None = None


class Reader:
    """Answers one question on one connection; `sql_ms` counts what the database took."""

    def __init__(self, connection: AsyncConnection, question: Question, retained: Retained) -> None:
        self._connection = connection
        self._retained = retained
        self._question = question
        self._share = MAX_SAMPLES // max(len(question.series), 1)
        self._points = min(question.max_points, self._share)
        self._at_once = max(_READ_AT_ONCE * 10 // max(len(question.series), 10), self._points)
        self._aggregations: dict[int, Aggregation] = {}
        self._sql_s = 0.0

    async def answer(self) -> History:
        """Return the curves in the order they were asked for.

        Buckets count from the midnight of the first series' site. Raises NotFound for a series that is not the tenant's,
        and Invalid where the resolution or the aggregation asked for is not to be had.
        """
        asked = self._question
        with self._database():
            known = {row["series_id"]: row for row in await query.select_series(self._connection, asked.series)}
        if not asked.series or any(series not in known for series in asked.series):
            raise NotFound
        entries = await entries_of(self._connection, {row["property"] for row in known.values()})
        for series, row in known.items():
            entry = entries.get(row["property"])
            self._aggregations[series] = legal(
                entry.aggregation if entry else "avg", asked.aggregation, row["property"]
            )
        if "duration_by_state" in self._aggregations.values():
            resolution, step_s, curves = await self._durations({one: row["time_zone"] for one, row in known.items()})
        elif asked.shape == "lttb":
            if asked.aligned:
                raise _picked_do_not_align()
            resolution, step_s, curves = await self._picked(list(known))
        else:
            resolution, step_s = await self._resolution()
            if resolution == "raw" and not step_s:
                curves = await self._as_they_came(list(known))
            else:
                curves = await self._buckets(list(known), resolution, step_s, known[asked.series[0]]["time_zone"])
        return History(
            start=asked.start,
            end=asked.end,
            resolution=resolution,
            shape=asked.shape,
            step_s=step_s,
            sql_ms=round(self._sql_s * 1000, 3),
            curves=[self._curve(series, curves.get(series, []), step_s) for series in asked.series],
        )

    async def _resolution(self) -> tuple[Resolution, int]:
        asked, span = self._question, self._question.end - self._question.start
        if asked.resolution != "auto":
            step_s = LEVEL_S.get(asked.resolution, 0)
            if step_s and span.total_seconds() / step_s > self._share:
                raise _too_many()
            if not step_s and asked.aligned:
                raise _readings_do_not_align()
            return asked.resolution, step_s
        with self._database():
            old = await self._retained.files(self._connection, asked.series, asked.start, asked.end)
        fine_s = 0 if old else choose_fine(span, self._points)  # the database makes these of readings it holds
        limit = self._at_once if fine_s else self._points
        count = await self._count(limit + 1)
        if count <= self._points and not asked.aligned:
            return "raw", 0
        if fine_s and count <= limit:
            return "raw", fine_s
        return choose(span, self._points)

    async def _as_they_came(self, series: Sequence[int]) -> dict[int, list[Sample]]:
        if await self._count(self._share + 1) > self._share:
            raise _too_many()
        asked = self._question
        curves = {}
        for one in series:
            with self._database():
                rows = await self._retained.readings(
                    self._connection, one, asked.start, asked.end, after=None, limit=self._share
                )
            curves[one] = [_sample(row) for row in rows]
        return curves

    async def _buckets(
        self, series: Sequence[int], resolution: Resolution, step_s: int, zone: str
    ) -> dict[int, list[Sample]]:
        asked = self._question
        origin = aligned(asked.start, step_s, zone)
        with self._database():
            if resolution == "raw":
                found = await rollups.select_fine_buckets(self._connection, series, origin, asked.end, step_s=step_s)
            else:
                found = await rollups.select_buckets(
                    self._connection, resolution, series, origin, asked.end, step_s=step_s
                )
        curves = {
            one: samples(group, self._aggregations[one]) for one, group in groupby(found, itemgetter("series_id"))
        }
        if asked.aligned:
            borders = _borders(origin, asked.end, step_s, zone)
            curves = {one: filled(curves.get(one, []), borders) for one in series}
        return curves

    async def _durations(self, zones: Mapping[int, str]) -> tuple[Resolution, int, dict[int, list[Sample]]]:
        """Return the time per state in buckets from the midnight of each series' own site on."""
        asked, span = self._question, self._question.end - self._question.start
        if asked.shape == "lttb" or asked.resolution == "raw":
            raise _durations_have_a_width()
        resolution, step_s = choose(span, self._points)
        if asked.resolution != "auto":
            resolution, step_s = asked.resolution, LEVEL_S[asked.resolution]
        if step_s < LEVEL_S["1h"] and await self._count(self._at_once + 1) > self._at_once:
            resolution, step_s = "1h", LEVEL_S["1h"]
        if asked.resolution not in ("auto", resolution) or span.total_seconds() / step_s > self._share:
            raise _too_many()
        curves = {}
        for one, zone in zones.items():
            curves[one] = await self._times(one, _borders(aligned(asked.start, step_s, zone), asked.end, step_s, zone))
        return resolution, step_s, curves

    async def _times(self, series: int, begins: Sequence[datetime]) -> list[Sample]:
        if not begins:
            return []
        origin, end = begins[0], self._question.end
        hours = whole_hours(end, origin) if len(begins) == 1 or begins[1] - origin >= timedelta(hours=1) else origin
        with self._database():
            before = await states.select_states_before(self._connection, [series], origin)
            merged = await states.select_state_hours(self._connection, [series], origin, hours)
            rest = await self._retained.numbers(self._connection, [series], hours, end, self._at_once)
        times = StateTimes([us(begin) for begin in (*begins, end)], before.get(series))
        for hour in merged:
            times.hour(hour)
        times.readings(rest)
        times.until(us(min(end, datetime.now(UTC))))
        return times.samples()

    async def _picked(self, series: Sequence[int]) -> tuple[Resolution, int, dict[int, list[Sample]]]:
        """Return the samples of the finest source that can be read at once."""
        asked, span_s = self._question, (self._question.end - self._question.start).total_seconds()
        resolution: Resolution
        # Counting readings takes as long as reading them; a day or more is counted by its hours.
        few = span_s < LEVEL_S["1d"] or asked.resolution == "raw" or await self._estimate() <= self._at_once
        if asked.resolution in ("auto", "raw") and few and await self._count(self._at_once + 1) <= self._at_once:
            resolution = "raw"
        elif asked.resolution == "auto":
            resolution = next((level for level, width in LEVEL_S.items() if span_s / width <= self._at_once), "1d")
        elif asked.resolution == "raw" or span_s / LEVEL_S[asked.resolution] > self._at_once:
            raise _too_many()
        else:
            resolution = asked.resolution
        curves = {}
        for one in series:
            curves[one] = await (self._of_readings(one) if resolution == "raw" else self._of_states(one, resolution))
        return resolution, 0, curves

    async def _of_readings(self, series: int) -> list[Sample]:
        asked = self._question
        if self._aggregations[series] == "counter_delta":
            self._aggregations[series] = "last"  # what the meter shows
        with self._database():
            found = await self._retained.numbers(self._connection, [series], asked.start, asked.end, self._at_once)
        if not len(found):  # text, which has no look to keep
            with self._database():
                rows = await self._retained.readings(
                    self._connection, series, asked.start, asked.end, after=None, limit=self._share
                )
            return [_sample(row) for row in rows]
        value = np.where(found.quality >= 0, found.value, np.nan)
        good = ((found.quality >= 0) & (found.quality < 16384)).astype(np.int64)
        return self._pick(found.time, value, low=value, high=value, n=np.ones_like(good), good=good)

    async def _of_states(self, series: int, resolution: Resolution) -> list[Sample]:
        asked = self._question
        if self._aggregations[series] == "counter_delta":
            self._aggregations[series] = "last"
        with self._database():
            found = await arrays.select_states(self._connection, resolution, series, asked.start, asked.end)
        value = found.last
        if self._aggregations[series] in ("avg", "sum"):
            value = found.sum / np.maximum(found.used, 1) if self._aggregations[series] == "avg" else found.sum
        return self._pick(found.time, value, low=found.low, high=found.high, n=found.n, good=found.good)

    def _pick(
        self,
        times: np.ndarray[tuple[int], np.dtype[np.int64]],
        value: np.ndarray[tuple[int], np.dtype[np.float64]],
        *,
        low: np.ndarray[tuple[int], np.dtype[np.float64]],
        high: np.ndarray[tuple[int], np.dtype[np.float64]],
        n: np.ndarray[tuple[int], np.dtype[np.int64]],
        good: np.ndarray[tuple[int], np.dtype[np.int64]],
    ) -> list[Sample]:
        bins = largest_triangles(times, value, us(self._question.start), us(self._question.end), self._points)
        if not bins:
            return []
        begins = [one.first for one in bins]
        return [
            Sample(
                time=instant(int(times[first if chosen is None else chosen])),
                value=None if chosen is None else float(value[chosen]),
                low=None if chosen is None else lowest,
                high=None if chosen is None else highest,
                n=count,
                good=of_good,
            )
            for (first, _, chosen), lowest, highest, count, of_good in zip(
                bins,
                np.fmin.reduceat(low, begins).tolist(),
                np.fmax.reduceat(high, begins).tolist(),
                np.add.reduceat(n, begins).tolist(),
                np.add.reduceat(good, begins).tolist(),
                strict=True,
            )
        ]

    async def _estimate(self) -> int:
        with self._database():
            return await rollups.count_rolled_up(
                self._connection, self._question.series, self._question.start, self._question.end
            )

    async def _count(self, limit: int) -> int:
        with self._database():
            return await self._retained.count(
                self._connection, self._question.series, self._question.start, self._question.end, limit
            )

    def _curve(self, series: int, found: list[Sample], step_s: int) -> Curve:
        asked = self._question
        due = sum(sample.n for sample in found)
        completeness = round(sum(sample.good for sample in found) / due, 6) if due else None
        covered = None
        if self._aggregations[series] == "duration_by_state":
            completeness = covered = known_share(found)
        elif step_s:
            passed_s = (min(asked.end, datetime.now(UTC)) - asked.start).total_seconds()
            with_value = sum(sample.value is not None or sample.low is not None for sample in found)
            covered = min(with_value / max(passed_s / step_s, 1.0), 1.0)
        return Curve(
            series_id=series,
            aggregation=self._aggregations[series],
            completeness=completeness,
            covered=None if covered is None else round(covered, 6),
            samples=found,
        )

    @contextmanager
    def _database(self) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self._sql_s += time.perf_counter() - began


def value_of(row: query.Row) -> float | str | None:
    """Return the value of a row that has either a number or a text."""
    value: float | str | None = row["number"] if row["text"] is None else row["text"]
    return value


def _sample(row: query.Row) -> Sample:
    """Return a reading as a sample; a bad one has no value, which is a gap."""
    value = value_of(row) if row["quality"] >= 0 else None
    number = None if isinstance(value, str) else value
    return Sample(time=row["time"], value=value, low=number, high=number, n=1, good=int(0 <= row["quality"] < 0x4000))


def _borders(origin: datetime, end: datetime, step_s: int, zone: str) -> list[datetime]:
    """Return the begins of all buckets; days begin at midnight, however long they are."""
    borders = [origin]
    while borders[-1] < end:
        following = borders[-1] + timedelta(seconds=step_s)
        if step_s == LEVEL_S["1d"]:
            # From noon of the day to the midnight after it; a day has 23 to 25 hours.
            following = aligned(borders[-1] + timedelta(hours=36), step_s, zone)
        borders.append(following)
    return borders[:-1]


def _too_many() -> Invalid:
    return Invalid(
        Text(
            f"More than {MAX_SAMPLES} samples; ask for fewer series, a shorter time, a coarser roll-up, or page by page.",
            f"数据超过 {MAX_SAMPLES} 条，请减少序列、缩短时间、选择更粗的汇总粒度或分页查询。",
        )
    )


def _durations_have_a_width() -> Invalid:
    return Invalid(
        Text(
            "Time per state is that of a bucket; let `resolution` be auto, 1m, 1h or 1d, and `shape` be buckets.",
            "各状态时长按时间段统计；resolution 应为 auto、1m、1h 或 1d，shape 应为 buckets。",
        )
    )


def _picked_do_not_align() -> Invalid:
    return Invalid(
        Text(
            "Picked samples (shape=lttb) stand where the readings do; leave out `aligned`, or ask for buckets.",
            "抽样数据(shape=lttb)位于各自读数的时刻，无法对齐；请去掉 aligned，或改用 buckets。",
        )
    )


def _readings_do_not_align() -> Invalid:
    return Invalid(
        Text(
            "Readings stand where they were taken; ask for a roll-up, or let `resolution` be auto.",
            "原始读数位于各自的采集时刻，无法对齐；请选择汇总粒度，或将 resolution 设为 auto。",
        )
    )
