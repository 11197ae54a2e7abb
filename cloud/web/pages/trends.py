"""Trends: the curves of any points together, over any span, beside an earlier one. The page's address is the look at them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import get_args
from urllib.parse import urlencode

from nicegui import ui

from cloud.core.principal import Scope
from cloud.fleet.schemas import Place
from cloud.production.schemas import Node
from cloud.telemetry.schemas import ExportFormat, Latest
from cloud.web import live
from cloud.web.elements import Words, box, icon
from cloud.web.kept_views import KeptViews
from cloud.web.layout import frame, page_head
from cloud.web.plant import Equipment, Point, load_points
from cloud.web.point_picker import PointPicker
from cloud.web.spans import SpanFields
from cloud.web.trend_chart import MOST_AXES
from cloud.web.trend_panel import TrendPanel, axis_of
from cloud.web.trend_view import MOST_SERIES, Compare, Span, TrendView
from cloud.web.visit import Visit
from protocols.text import Text

TITLE = Text("Trends", "趋势")

LENGTHS = (
    (Text("1 h", "1 小时"), timedelta(hours=1)),
    (Text("8 h", "8 小时"), timedelta(hours=8)),
    (Text("24 h", "24 小时"), timedelta(hours=24)),
    (Text("7 d", "7 天"), timedelta(days=7)),
    (Text("30 d", "30 天"), timedelta(days=30)),
)
COMPARED: Mapping[Compare, Text] = {
    "none": Text("Alone", "不对比"),
    "span": Text("Span before", "上一时段"),
    "shift": Text("Shift before", "上一班次"),
    "day": Text("Day before", "前一天"),
    "week": Text("Week before", "上周"),
}
LONGEST_BETWEEN_SHIFTS = timedelta(days=14)
"""A shift before is looked for so far back: over a long holiday."""

BEAT_S = 1.0
"""So often the page looks whether the present has moved by a visible step."""

VISIBLE_STEPS = 400
"""How many steps a reader can tell apart on the time axis; a shorter move of the present is not worth a redraw."""

_NOTE = Text(
    "Any points together. The address of this page shows the same curves again.",
    "任意数据点同图对比。本页网址即为当前视图，可直接分享。",
)
_CHOOSE = Text("Points", "数据点")
_EMPTY = Text(
    "Choose points on the left, or search for them. Up to {most} curves of two units.",
    "请在左侧选择或搜索数据点，最多 {most} 条曲线、两种单位。",
)
_NO_PLANT = Text(
    "No machine delivers yet. Connect the first one from the overview.", "尚无设备接入，请先在总览页接入第一台设备。"
)
_TOO_MANY = Text(
    "{most} curves are as many as a chart shows clearly. Take one away first.",
    "一张图最多显示 {most} 条曲线，请先移除一条。",
)
_TWO_UNITS = Text(
    "{unit} would be a third axis. Take the curves of another unit away first.",
    "“{unit}”需要第三个坐标轴，请先移除其他单位的曲线。",
)
_NO_UNIT = Text("its values", "该数据点")
_GONE = Text(
    "{count} of the points this address asks for are not there any more.", "该网址中有 {count} 个数据点已不存在。"
)
_NO_SHIFTS = Text(
    "There is no shift before at this time: the shift calendar of this place has none.",
    "该时间没有上一班次：所在位置的班次日历中没有对应班次。",
)
_NOW, _BACK, _ON, _WIDER = (
    Text("Up to now", "至当前"),
    Text("Earlier", "向前"),
    Text("Later", "向后"),
    Text("Zoom out", "缩小"),
)
_COMPARE, _EXPORT = Text("Compare with", "对比"), Text("Export", "导出")
_HINT = Text("Drag over the chart to look closer.", "在图上拖选可放大。")


async def build(visit: Visit) -> None:
    """Build the page and, while it shows the present, keep it up to date."""
    places = await visit.domains.fleet.places(visit.scope)
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE), note=visit.say(_NOTE))
        if not places:
            with box("card stack"):
                Words(visit.say(_NO_PLANT), tag="p")
            return
        page = _Trends(visit, places)
    await page.picker.grow()
    await page.kept.draw()
    await page.show(TrendView.read(visit.request.query_params))

    async def refresh(_: Collection[Latest], now: datetime) -> None:
        await page.extend(now)

    live.follow(visit, refresh, every_s=BEAT_S)


class _Trends:
    def __init__(self, visit: Visit, places: Sequence[Place]) -> None:
        self._visit = visit
        self._known: dict[int, tuple[Equipment, Point]] = {}
        self._view = TrendView()
        self._client = ui.context.client
        self._drawn = datetime.min.replace(tzinfo=UTC)
        with box("trends"):
            with box("card picker"):
                Words(visit.say(_CHOOSE), tag="h2")
                self.picker = PointPicker(visit, places, self._toggle)
            with box("card stack"):
                self._tools()
                self.kept = KeptViews(visit, lambda: self._view, self._open)
                self._notice = box("notice warn", role="status")
                self._empty = Words(visit.say(_EMPTY, most=MOST_SERIES), "muted empty-note", tag="p")
                self._panel = TrendPanel(visit, drop=self._drop, zoom=self._zoom)

    def _tools(self) -> None:
        say = self._visit.say
        with box("tools"):
            with box("choices"):
                self._lengths = {
                    length: self._choice(name, partial(self._look_back, length)) for name, length in LENGTHS
                }
            with box("choices"):
                for name, act in ((_BACK, "back"), (_WIDER, "wider"), (_ON, "on")):
                    with box("", "button", type="button", title=say(name), aria_label=say(name)) as button:
                        icon({"back": "back", "wider": "zoom_out", "on": "next"}[act])
                    button.on("click", lambda _, act=act: self._move(act))
                self._now = self._choice(_NOW, lambda: self._look_back(self._view.length))
            self._fields = SpanFields(self._visit, self._zoom)
        with box("tools"):
            Words(say(_COMPARE), "muted small")
            with box("choices"):
                self._compared = {
                    compare: self._choice(name, partial(self._compare, compare)) for compare, name in COMPARED.items()
                }
            with box("line"):
                Words(say(_EXPORT), "muted small")
                self._exports = {}
                for format in get_args(ExportFormat):
                    with box("link", "a", download="") as self._exports[format]:
                        Words({"csv": "CSV", "xlsx": "Excel", "parquet": "Parquet"}[format])
            Words(say(_HINT), "muted small wide-only")

    def _choice(self, name: Text, act: Callable[[], Awaitable[None]]) -> ui.element:
        with box("", "button", type="button") as button:
            Words(self._visit.say(name))
        button.on("click", lambda _: act())
        return button

    async def show(self, view: TrendView, *, note: str = "") -> None:
        """Show `view` and make it the page's address."""
        await self._learn(view.series)
        known = [one for one in view.series if one in self._known]
        fitting = self._on_two_axes(known)
        if len(known) < len(view.series):
            note = self._visit.say(_GONE, count=len(view.series) - len(known))
        elif len(fitting) < len(known):
            note = self._third_axis(next(one for one in known if one not in fitting))
        view = replace(view, series=tuple(fitting))
        changed, self._view = view != self._view, view
        now = self._drawn = datetime.now(UTC)
        self._say(note)
        self._mark(now)
        self._empty.set_visibility(not view.series)
        self.picker.mark(view.series)
        before = view.compared_span(now, self._visit.zone, await self._shifts(view, now))
        if self._view is not view:  # another one was asked for while the shifts were read
            return
        if before is None and view.compare == "shift" and view.series:
            self._say(self._visit.say(_NO_SHIFTS))
        await self._panel.show(view, {one: self._known[one] for one in view.series}, before, now)
        if changed:
            self._client.run_javascript(f"history.replaceState({{}}, '', {json.dumps(view.address)})")

    async def _learn(self, series: Sequence[int]) -> None:
        if new := [one for one in series if one not in self._known]:
            points = await self._visit.domains.telemetry.catalogue.of(self._visit.scope, new)
            found = await load_points(self._visit, points)
            self._known |= {point.id: (equipment, point) for equipment, point in found}

    async def _shifts(self, view: TrendView, now: datetime) -> list[Span]:
        """Return the shifts of the first curve's machine that tell which one came before, if that is asked for."""
        if view.compare != "shift" or not view.series:
            return []
        machine = Node(kind="equipment", id=self._known[view.series[0]][0].known.id)
        start, end = view.span(now)
        shifts = await self._visit.domains.production.shifts_between(
            self._visit.scope, machine, start - LONGEST_BETWEEN_SHIFTS, end
        )
        return [(shift.start, shift.end) for shift in shifts]

    async def extend(self, now: datetime) -> None:
        """Draw up to now, if the view does so and that moves it by a visible step."""
        view = self._view
        if view.end is None and view.series and now - self._drawn >= view.length / VISIBLE_STEPS:
            await self.show(view)

    def _say(self, note: str) -> None:
        self._notice.set_visibility(bool(note))
        self._notice.clear()
        if note:
            with self._notice:
                icon("warn")
                Words(note)

    def _mark(self, now: datetime) -> None:
        view = self._view
        for length, button in self._lengths.items():
            _press(button, view.end is None and length == view.length)
        for compare, button in self._compared.items():
            _press(button, compare == view.compare)
        _press(self._now, view.end is None)
        start, end = view.span(now)
        self._fields.show(start, end)
        for format, link in self._exports.items():
            asked = {"series_id": view.series, "start": start.isoformat(), "end": end.isoformat()}
            query = urlencode({**asked, "format": format, "lang": self._visit.language}, doseq=True)
            link.props["href"] = f"/api/v1/export?{query}" if view.series else None
            link.classes(remove="off", add="" if view.series else "off")

    async def _may(self) -> bool:
        return await self._visit.may_still(Scope.READ)

    async def _open(self, view: TrendView) -> None:
        if await self._may():
            await self.show(view)

    async def _drop(self, point: Point) -> None:
        await self._toggle(self._known[point.id][0], point)

    async def _toggle(self, equipment: Equipment, point: Point) -> None:
        if not await self._may():
            return
        self._known[point.id] = (equipment, point)
        view = self._view.toggled(point.id)
        if len(view.series) > MOST_SERIES:
            await self.show(self._view, note=self._visit.say(_TOO_MANY, most=MOST_SERIES))
        else:
            await self.show(view)

    def _on_two_axes(self, series: Sequence[int]) -> list[int]:
        """Return those of `series` that two axes can carry, the first ones first."""
        axes = {one: axis_of(self._known[one][1], self._visit).key for one in series}
        carried = list(dict.fromkeys(axes.values()))[:MOST_AXES]
        return [one for one in series if axes[one] in carried]

    def _third_axis(self, series: int) -> str:
        unit = self._known[series][1].series.unit_symbol
        return self._visit.say(_TWO_UNITS, unit=unit or self._visit.say(_NO_UNIT))

    async def _look_back(self, length: timedelta) -> None:
        if await self._may():
            await self.show(replace(self._view, length=length, end=None))

    async def _compare(self, compare: Compare) -> None:
        if await self._may():
            await self.show(replace(self._view, compare=compare))

    async def _zoom(self, start: datetime, end: datetime) -> None:
        if await self._may():
            await self.show(self._view.over(start, end))

    async def _move(self, act: str) -> None:
        if not await self._may():
            return
        now = datetime.now(UTC)
        if act == "wider":
            await self.show(self._view.zoomed_out(now))
        else:
            await self.show(self._view.moved(now, 0.5 if act == "on" else -0.5))


def _press(button: ui.element, on: bool) -> None:
    button.props["aria-pressed"] = str(on).lower()
    button.classes(remove="here", add="here" if on else "")
