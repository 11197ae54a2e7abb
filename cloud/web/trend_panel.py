"""Curves of several points over one span: the chart, what it was made from, and its figures, below each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from nicegui import events, ui

from cloud.core.principal import Scope
from cloud.telemetry.schemas import History
from cloud.web import trend_chart
from cloud.web.alarm_words import SET_ALARM
from cloud.web.charts import wall_clock_ms
from cloud.web.elements import Words, box, icon
from cloud.web.language import NOTHING, number
from cloud.web.plant import Equipment, Point
from cloud.web.trend_chart import COLOURS, Axis, DrawnCurve
from cloud.web.trend_curves import Figures, dots, figures
from cloud.web.trend_view import Span, TrendView
from cloud.web.visit import Visit
from cloud.web.words import NO, STEPS, YES
from protocols.text import Text

SAMPLES = 800
"""How many samples a curve is asked for: about one per two pixels of a desk's chart."""

_COMPARED = {
    "span": Text("the span before", "上一时段"),
    "shift": Text("the shift before", "上一班次"),
    "day": Text("a day earlier", "前一天"),
    "week": Text("a week earlier", "上周同期"),
}
_LOW, _HIGH = Text("lowest", "最低"), Text("highest", "最高")
_LAST = Text("Last", "末值")
_COLUMNS = (
    Text("Curve", "曲线"),
    Text("Lowest", "最低"),
    Text("Mean", "平均"),
    Text("Highest", "最高"),
    _LAST,
    Text("Growth", "增量"),
    Text("Good readings", "有效率"),
)
_NOTHING = Text("No readings in this span.", "该时段内没有数据。")
_READINGS = Text("Drawn from {count} readings, as they came", "由 {count} 条原始读数绘制")
_FINE = Text("Drawn from readings, condensed to {step}", "由原始读数按 {step} 汇总绘制")
_ROLLED = Text("Drawn from the {level} roll-up, {step} a sample", "由{level}汇总绘制，每点 {step}")
_LEVELS = {"1m": Text("minute", "分钟级"), "1h": Text("hour", "小时级"), "1d": Text("day", "日级")}
_SQL = Text("{made} · database {ms} ms", "{made} · 数据库 {ms} 毫秒")
_AWAY = Text("Take {name} away", "移除 {name}")
_EACH = Text(
    "Figures are of the samples shown; a mean weighs each by its readings.",
    "统计基于所示采样点，平均值按读数数量加权。",
)

_ZOOMED = """event => {
    const zoom = event.batch ? event.batch[0] : event, {min, max} = getElement(%d).chart.getOption().xAxis[0];
    const at = (value, share) => value ?? min + (max - min) * share / 100;
    emit(at(zoom.startValue, zoom.start), at(zoom.endValue, zoom.end), min, max);
}"""
"""Tells what part of the time axis was zoomed into, and the axis: the server may have drawn another one meanwhile."""

_MARKABLE = """() => {
    const chart = getElement(%d).chart;
    if (chart.markable || !chart.getOption().series.length || matchMedia('(pointer: coarse)').matches) return;
    chart.markable = true;
    chart.dispatchAction({type: 'takeGlobalCursor', key: 'dataZoomSelect', dataZoomSelectActive: true});
}"""
"""Lets a mouse mark what to zoom into, which ECharts has behind a button of its own only."""

Choose = Callable[[Point], Awaitable[None]]
Zoom = Callable[[datetime, datetime], Awaitable[None]]


class TrendPanel:
    """Draws a view. A part of the chart that is dragged over, or spread with two fingers, is handed to `zoom`."""

    def __init__(self, visit: Visit, *, drop: Choose, zoom: Zoom) -> None:
        self._visit = visit
        self._drop = drop
        self._zoom = zoom
        self._span: tuple[datetime, datetime] | None = None
        self._chart = ui.echart({}).classes("chart trend")
        self._chart.on(
            "chart:datazoom", self._zoomed, throttle=0.4, leading_events=False, js_handler=_ZOOMED % self._chart.id
        )
        self._chart.on(
            "chart:finished",
            js_handler=_MARKABLE % self._chart.id,
        )
        self._made_from = Words("", "muted small", tag="div")
        self._figures = box("figures-table")

    async def show(
        self, view: TrendView, chosen: Mapping[int, tuple[Equipment, Point]], before: Span | None, now: datetime
    ) -> None:
        """Draw `view`; `chosen` gives each of its series with its machine, in their order, `before` what to compare with."""
        visit = self._visit
        start, end = shown = self._span = view.span(now)
        if not chosen:
            self._draw([], start, end)
            return
        series = list(chosen)
        answer = await visit.domains.telemetry.history(visit.scope, series, start, end, SAMPLES)
        earlier = None
        if before is not None:
            earlier = await visit.domains.telemetry.history(visit.scope, series, *before, SAMPLES)
        if self._span is not shown:  # another view was asked for while this one was read
            return
        curves = self._curves(answer, chosen, alone=len(series) == 1 and before is None)
        if before is not None and earlier is not None:
            later_by = wall(start, visit.zone) - wall(before[0], visit.zone)
            curves += self._curves(earlier, chosen, earlier=visit.say(_COMPARED[view.compare]), later_by=later_by)
        self._made_from.show(self._said(answer))
        self._draw(curves, start, end)
        self._count(answer, chosen)

    def _draw(self, curves: Sequence[DrawnCurve], start: datetime, end: datetime) -> None:
        self._chart.options.clear()
        self._chart.options.update(trend_chart.options(curves, start=start, end=end, zone=self._visit.zone))
        self._chart.update()
        if not curves:
            self._made_from.show("")
            self._figures.clear()

    def _curves(
        self,
        answer: History,
        chosen: Mapping[int, tuple[Equipment, Point]],
        *,
        alone: bool = False,
        earlier: str = "",
        later_by: timedelta = timedelta(),
    ) -> list[DrawnCurve]:
        say = self._visit.say
        drawn = []
        for place, (curve, (equipment, point)) in enumerate(zip(answer.curves, chosen.values(), strict=True)):
            grows = point.series.aggregation == "counter_delta"
            steps = point.series.data_type not in (None, "REAL_MEASURE") and not grows
            drawn.append(
                DrawnCurve(
                    name=f"{equipment.known.label} {say(point.name)}",
                    axis=axis_of(point, self._visit),
                    dots=dots(curve, grows=grows, steps=steps),
                    colour=place,
                    steps=steps,
                    banded=alone and answer.step_s > 0 and curve.aggregation == "avg",
                    earlier=earlier,
                    later_by=later_by,
                    extremes=(say(_LOW), say(_HIGH)),
                )
            )
        return drawn

    def _said(self, answer: History) -> str:
        say = self._visit.say
        count = sum(len(curve.samples) for curve in answer.curves)
        if not count:
            return say(_NOTHING)
        if not answer.step_s:
            made = say(_READINGS, count=f"{count:,}")
        else:
            size, name = next(step for step in STEPS if answer.step_s >= step[0])
            step = say(name, n=answer.step_s // size)
            level = answer.resolution
            made = say(_FINE, step=step) if level == "raw" else say(_ROLLED, level=say(_LEVELS[level]), step=step)
        return say(_SQL, made=made, ms=number(answer.sql_ms))

    def _count(self, answer: History, chosen: Mapping[int, tuple[Equipment, Point]]) -> None:
        say = self._visit.say
        self._figures.clear()
        with self._figures:
            with box("numbers", "table"):
                with box("", "thead"), box("", "tr"):
                    for place, column in enumerate(_COLUMNS):
                        Words(say(column), "" if place == 0 else "num", tag="th")
                    box("", "th")
                with box("", "tbody"):
                    for place, (curve, (equipment, point)) in enumerate(
                        zip(answer.curves, chosen.values(), strict=True)
                    ):
                        self._row(place, figures(curve), equipment, point)
            Words(say(_EACH), "muted small", tag="p")

    def _row(self, place: int, counted: Figures, equipment: Equipment, point: Point) -> None:
        say, unit = self._visit.say, point.series.unit_symbol
        with box("", "tr"):
            with box("", "td"), box("curve-name"):
                box("curve-swatch").style(f"background: {COLOURS[place % len(COLOURS)]}")
                with box("stack"):
                    Words(say(point.name) + (f" ({unit})" if unit else ""))
                    with box("link small", "a", href=f"/equipment/{equipment.known.id}"):
                        Words(equipment.known.label)
                    if self._visit.may(Scope.ENGINEER):
                        with box("link small", "a", href=f"/alarm-rules/new?series_id={point.id}"):
                            Words(say(SET_ALARM))
            words = point.series.values
            for column, value in zip(_COLUMNS[1:-1], counted[:-1], strict=True):
                if not words:
                    self._cell(column, number(value))
                else:  # codes have an order by chance only
                    said = words.get(int(value)) if value is not None and column is _LAST else None
                    self._cell(column, said[self._visit.language] if said else NOTHING)
            self._cell(_COLUMNS[-1], NOTHING if counted.good is None else f"{100 * counted.good:.1f} %")
            with box("", "td"):
                away = say(_AWAY, name=say(point.name))
                with box("bare", "button", type="button", aria_label=away, title=away) as button:
                    icon("close")
                button.on("click", lambda _: self._drop(point))

    def _cell(self, column: Text, shown: str) -> None:
        with box("num none" if shown == NOTHING else "num", "td", data_name=self._visit.say(column)):
            Words(shown)

    async def _zoomed(self, event: events.GenericEventArguments) -> None:
        if self._span is None or not isinstance(event.args, list):
            return
        first, last, begin, end = (float(place) for place in event.args)
        shown = [wall_clock_ms(instant, self._visit.zone) for instant in self._span]
        drawn = [round(place) for place in (begin, end)] == [round(place) for place in shown]
        if drawn and last - first < 0.99 * (end - begin):
            await self._zoom(*(trend_chart.instant_of(ms, self._visit.zone) for ms in (first, last)))


def wall(instant: datetime, zone: ZoneInfo) -> datetime:
    """Return the site's wall clock at `instant`, as if it were UTC."""
    return instant.astimezone(zone).replace(tzinfo=UTC)


def axis_of(point: Point, visit: Visit) -> Axis:
    """Return the axis a point's curve is drawn on: its unit's, or one of its own words."""
    if point.series.data_type == "BOOLEAN":
        return Axis("", {0: visit.say(NO), 1: visit.say(YES)})
    return Axis(
        point.series.unit_symbol, {value: names[visit.language] for value, names in point.series.values.items()}
    )
