"""The curve of one point over a stretch of time, and in words what it was made from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from nicegui import ui

from cloud.telemetry.schemas import History as Answer
from cloud.web import charts
from cloud.web.elements import Words
from cloud.web.plant import Point
from cloud.web.trend_view import TrendView
from cloud.web.visit import Visit
from cloud.web.words import STEPS
from protocols.text import Text

SAMPLES = 600
"""How many samples a curve is asked for: about one per pixel of a phone, two pixels of a desk."""

VISIBLE_STEPS = 400
"""How many steps a reader can tell apart on the chart's time axis; a shorter move is not worth a redraw."""

_LOW, _HIGH = Text("lowest", "最低"), Text("highest", "最高")
_NOTHING = Text("No values in this stretch of time.", "该时段内没有数据。")
_TEXT_POINT = Text("Values of this point are text; there is no curve.", "该数据点为文本，没有曲线。")
_RAW = Text("{count} readings, as they came", "共 {count} 条原始读数")
_MEAN = Text("mean, lowest and highest per {step}", "每 {step} 的平均值、最低值与最高值")
_LAST = Text("last value per {step}", "每 {step} 的末值")
_INCREASE = Text("increase per {step}", "每 {step} 的增量")
_SUM = Text("sum per {step}", "每 {step} 的合计")
_ROLLED = {"avg": _MEAN, "last": _LAST, "counter_delta": _INCREASE, "sum": _SUM, "duration_by_state": _LAST}


class History:
    """A chart card's contents: which point, the curve, what it was made from.

    `trends`, where given, is a link that is kept leading to the same curve among the trends; `alarm` one that leads to a new
    alarm rule on the point.
    """

    def __init__(
        self,
        visit: Visit,
        *,
        tall: bool = True,
        of: str = "",
        trends: ui.element | None = None,
        alarm: ui.element | None = None,
    ) -> None:
        self._visit = visit
        self._trends = trends
        self._alarm = alarm
        self._point: Point | None = None
        self._length = timedelta(minutes=10)
        self._drawn = datetime.min.replace(tzinfo=UTC)
        self._of = f"{of} · " if of else ""
        self._title = Words("", tag="h2")
        self._made_from = Words("", "muted small", tag="div")
        self._classes = "chart tall" if tall else "chart"

    @property
    def chosen(self) -> int | None:
        """Number of the series shown."""
        return self._point.id if self._point else None

    def place(self) -> None:
        """Put the chart here."""
        self._chart = ui.echart({}).classes(self._classes)

    def choose(self, point: Point | None, length: timedelta | None) -> None:
        """Say what to draw; `extend` draws it."""
        self._point = point or self._point
        self._length = length or self._length

    async def extend(self) -> None:
        """Draw the curve up to now if that moves it by a visible step."""
        if datetime.now(UTC) - self._drawn >= self._length / VISIBLE_STEPS:
            await self.show()

    async def show(self, *, point: Point | None = None, length: timedelta | None = None) -> None:
        """Draw the curve up to now; of another point or over another length, where given."""
        self.choose(point, length)
        if self._point is None:
            return
        visit, series = self._visit, self._point.series
        if self._trends:
            self._trends.props["href"] = TrendView((series.series_id,), self._length).address
        if self._alarm:
            self._alarm.props["href"] = f"/alarm-rules/new?series_id={series.series_id}"
        unit = f" {series.unit_symbol}" if series.unit_symbol else ""
        self._drawn = end = datetime.now(UTC)
        start = end - self._length
        self._title.show(visit.say(self._point.name) + (f" ({series.unit_symbol})" if series.unit_symbol else ""))
        if not self._point.numeric:
            self._made_from.show(visit.say(_TEXT_POINT))
            self._draw([], start, end, unit)
            return
        answer = await visit.domains.telemetry.history(visit.scope, [series.series_id], start, end, SAMPLES)
        if self._drawn is not end:  # another curve was asked for while this one was read
            return
        band = answer.step_s > 0 and series.aggregation == "avg"
        samples = [
            charts.Sample(sample.time, sample.value, sample.low if band else None, sample.high if band else None)
            for sample in answer.curves[0].samples
            if not isinstance(sample.value, str)
        ]
        self._made_from.show(self._of + self._words(answer, len(samples)))
        self._draw(samples, answer.start, answer.end, unit)

    def _words(self, answer: Answer, count: int) -> str:
        assert self._point is not None  # noqa: S101 - there is an answer only for a point
        if not count:
            return self._visit.say(_NOTHING)
        if not answer.step_s:
            return self._visit.say(_RAW, count=count)
        size, name = next(step for step in STEPS if answer.step_s >= step[0])
        step = self._visit.say(name, n=answer.step_s // size)
        return self._visit.say(_ROLLED[self._point.series.aggregation], step=step)

    def _draw(self, samples: list[charts.Sample], start: datetime, end: datetime, unit: str) -> None:
        assert self._point is not None  # noqa: S101 - only a point is drawn
        self._chart.options.clear()
        self._chart.options.update(
            charts.line_chart(
                samples,
                start=start,
                end=end,
                zone=self._visit.zone,
                name=self._visit.say(self._point.name),
                unit=unit,
                stepped=self._point.series.data_type != "REAL_MEASURE",
                extremes=(self._visit.say(_LOW), self._visit.say(_HIGH)),
            )
        )
        self._chart.update()
