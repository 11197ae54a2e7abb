"""The form that names a machine and its sensors, for a model of its health."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from nicegui import ui

from cloud.core.principal import Principal, Scope
from cloud.fleet.schemas import Equipment
from cloud.telemetry.schemas import Point
from cloud.training.schemas import MachineRequest
from cloud.web.elements import Words, box
from cloud.web.forms import Choice, Field, attempt, button
from cloud.web.item_picker import figure_of
from cloud.web.node_choice import MOST_LISTED
from cloud.web.search_select import machines_found, search_select
from cloud.web.visit import Visit
from protocols.text import Text

_TITLE = Text("New model of machine health", "新建设备健康模型")
_NOTE = Text(
    "From stored readings of a time in which the machine ran well to a model that says when, and by which sensor, it strays.",
    "用设备正常运行时段的历史读数训练模型，指出何时、由哪个传感器偏离。",
)
_NAME, _MACHINE = Text("Name of its models", "其模型名称"), Text("Machine", "设备")
_PERIOD = Text("Seconds between two rows", "每行间隔，秒")
_RUNS, _ALWAYS = Text("Says that it runs", "运行信号"), Text("None: it always runs", "无：始终运行")
_SENSORS = Text("Sensors", "传感器")
_MAKE = Text("Go on", "下一步")
_RULE = Text(
    "Lower-case letters, digits and dashes, as in: pump-1. Choose sensors that move with the load or with wear; counters say little.",
    "小写字母、数字与短横线，例如 pump-1。请选择随负载或磨损变化的传感器；计数器意义不大。",
)


class MachineForm:
    """Draws the form: `machines` to choose from, or to search for where they are many. `show_points` fills it in."""

    def __init__(self, visit: Visit, machines: Sequence[Equipment]) -> None:
        self._visit, say = visit, visit.say
        self._points: Sequence[Point] = ()
        self._wanted: set[int] = set()
        self._machine: Any = None
        there = {str(one.id): one.label for one in machines if one.points}
        if not there:
            return
        with box("card stack wide machine-form"):
            Words(say(_TITLE), tag="h2")
            Words(say(_NOTE), "muted small", tag="p")
            with box("form-row"):
                self._name = Field(say(_NAME), maxlength="64", autocapitalize="none", spellcheck="false")
                if len(there) > MOST_LISTED:
                    self._machine = search_select(visit, say(_MACHINE), {}, None, self._find)
                    self._machine.props("outlined").classes("field-in").on_value_change(self.show_points)
                else:
                    self._machine = Choice(say(_MACHINE), there, next(iter(there)), self._again)
                self._period = Field(say(_PERIOD), "10", inputmode="decimal")
            self._place = box("stack")
            self._answer = box("stack")

    async def _find(self, typed: str) -> Mapping[str, str]:
        return await machines_found(self._visit, typed)

    async def _again(self, _: str) -> None:
        await self.show_points()

    async def show_points(self) -> None:
        """Read and show the points of the machine chosen, if one is."""
        if self._machine is None or not self._machine.value:
            return
        visit, say = self._visit, self._visit.say
        points = await visit.domains.telemetry.points(visit.scope, UUID(self._machine.value))
        self._points = [each for each in points if each.data_type not in ("STRING", "BOOLEAN")]
        self._wanted.clear()
        self._place.clear()
        with self._place:
            Words(say(_SENSORS), "strong small", tag="div")
            with box("ticks"):
                for point in self._points[:64]:
                    with box("ticked", "label"):
                        tick = box("", "input", type="checkbox")
                        tick.on(
                            "change",
                            lambda event, one=point.series_id: self._turn(one, bool(event.args)),
                            js_handler="event => emit(event.target.checked)",
                        )
                        Words(say(Text(point.name_en, point.name_zh)))
            signals = {str(one.series_id): say(Text(one.name_en, one.name_zh)) for one in points}
            self._running = Choice(say(_RUNS), {"": say(_ALWAYS)} | signals, "")
            Words(say(_RULE), "muted small", tag="p")
            with box("line"):
                button(say(_MAKE), self._make)

    def _turn(self, series: int, on: bool) -> None:
        (self._wanted.add if on else self._wanted.discard)(series)

    async def _make(self) -> None:
        async def act(principal: Principal) -> None:
            request = MachineRequest(
                name=self._name.value.strip(),
                equipment_id=UUID(self._machine.value),
                sensors={point.name: point.series_id for point in self._points if point.series_id in self._wanted},
                running=int(self._running.value) if self._running.value else None,
                period_s=figure_of(self._period.value),
            )
            made = await self._visit.domains.training.machines.create(principal, request)
            ui.navigate.to(f"/training/{made.id}")

        await attempt(self._visit, self._answer, Scope.ENGINEER, act)
