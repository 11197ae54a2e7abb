"""Sets how machines are read and how fast they are planned to be, machine by machine."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime

from nicegui import ui
from pydantic import ValidationError

from cloud.core.errors import Problem
from cloud.core.principal import Scope
from cloud.production.schemas import EquipmentSettings, MachineReading, RunTimeRequest
from cloud.web.elements import MarkView, Words, box
from cloud.web.language import number
from cloud.web.settings_history import RunTimeHistory, SettingsHistory, SinceFields
from cloud.web.visit import Visit
from cloud.web.words import Mark
from protocols.text import Text

MOST_ROWS = 100
"""Machines whose settings a page shows; of a larger place one chooses a line or a machine."""

_MACHINES = Text("Machines", "设备")
_MORE_MACHINES = Text(
    "{count} more: choose their line, or the machine, at the top of the page.",
    "另有 {count} 台：请在页面顶部选择所在产线或设备。",
)
_CYCLE = Text("Ideal cycle, s per piece", "理想节拍（秒/件）")
_SET, _MORE = Text("Set from now on", "从现在起生效"), Text("How it is read", "取数方式")
_READY = Mark(Text("OEE complete", "OEE 数据齐全"), "good")
_LACKING = Mark(Text("Something is missing", "尚缺数据"), "warn")
_READ_FROM, _NONE = Text("Read from: {codes}", "取自：{codes}"), Text("nothing yet", "暂无")
_NOTHING = Text(
    "Tells neither state nor counts. If it produces, set how it is read.",
    "未提供状态或计数。若参与生产，请设置取数方式。",
)
_NO_MACHINES = Text("No machine here tells anything about production yet.", "该范围内尚无与生产相关的设备。")
_STATE_POINT = Text("Point that tells the state", "状态点")
_BY_ENTRY = Text("chosen by its dictionary entry", "按数据字典自动选择")
_THRESHOLD_POINT = Text("Or: runs while this point is high", "或：此点高于阈值时为运行")
_THRESHOLD, _PROPOSE = Text("Threshold", "阈值"), Text("Propose from 14 days", "根据近14天建议")
_PROPOSED = Text(
    "Standing {low}, running {high} {unit}; running {share} % of the time.",
    "停机约 {low}，运行约 {high} {unit}；运行时间占 {share} %。",
)
_ALL_GOOD = Text("Nothing counts rejects: take all parts for good", "无不良品计数：全部视为良品")
_MICRO, _HOLD = (
    Text("Micro-stops are shorter than, s", "短暂停机上限（秒）"),
    Text("Unknown after a silence of, s", "静默多久后状态未知（秒）"),
)
_PER_CYCLE = Text("Pieces per cycle, where only cycles are counted", "每循环件数（仅有循环计数时）")
_LABELS = {
    **{"state_point": _STATE_POINT, "threshold_point": _THRESHOLD_POINT, "threshold": _THRESHOLD},
    **{"parts_per_cycle": _PER_CYCLE, "micro_stop_s": _MICRO, "hold_s": _HOLD, "all_good": _ALL_GOOD},
}
_SAVE, _CANCEL = Text("Save", "保存"), Text("Cancel", "取消")
_SAVED = Text("Saved. The figures are being made anew.", "已保存，指标正在重新计算。")
_NO_NUMBER = Text("Give a number within the limits.", "请填写有效范围内的数字。")


class MachineForm:
    """All machines that tell anything about production, and what their figures lack."""

    def __init__(self, visit: Visit, readings: Sequence[MachineReading]) -> None:
        self._visit = visit
        shown = [one for one in readings if one.takes_part] + [
            one for one in readings if not one.takes_part and one.points
        ]
        with box("card stack wide"):
            Words(visit.say(_MACHINES), tag="h2")
            if not shown:
                Words(visit.say(_NO_MACHINES), "muted", tag="p")
            for reading in shown[:MOST_ROWS]:
                self._show(reading)
            if len(shown) > MOST_ROWS:
                Words(visit.say(_MORE_MACHINES, count=len(shown) - MOST_ROWS), "muted", tag="p")

    def _show(self, reading: MachineReading) -> None:
        visit = self._visit
        with box("machine-row"):
            with box("stack"):
                with box("line"):
                    Words(reading.equipment, "strong")
                    if reading.takes_part:
                        MarkView(_LACKING if reading.lacks_en else _READY, visit.language)
                codes = ", ".join(reading.sources) or visit.say(_NONE)
                Words(visit.say(_READ_FROM, codes=codes), "muted small", tag="div")
                if not reading.takes_part:
                    Words(visit.say(_NOTHING), "muted small", tag="div")
                for en, zh in zip(reading.lacks_en, reading.lacks_zh, strict=True) if reading.takes_part else ():
                    Words(visit.say(Text(en, zh)), "small is-warn", tag="div")
            with box("line"):
                value = None if reading.run_time_s is None else reading.run_time_s
                cycle = ui.number(visit.say(_CYCLE), value=value, min=0.001).props("outlined dense").classes("short")
                with box("button quiet", "button", type="button").on(
                    "click", lambda: self._set_cycle(reading, cycle.value)
                ):
                    Words(visit.say(_SET))
                with box("button quiet", "button", type="button").on("click", lambda: self._open(reading)):
                    Words(visit.say(_MORE))

    async def _set_cycle(self, reading: MachineReading, seconds: float | None) -> None:
        # The first one holds for what there is already, too; later ones must not change the past.
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        valid_from = datetime(2000, 1, 1, tzinfo=UTC) if reading.run_time_s is None else now
        try:
            request = RunTimeRequest(item="", valid_from=valid_from, seconds=seconds or 0)
        except ValidationError:
            ui.notify(self._visit.say(_NO_NUMBER), type="warning")
            return
        settings = self._visit.domains.production.machine_settings
        await self._act(settings.put_run_time(self._visit.acting(Scope.ENGINEER), reading.equipment_id, request))

    async def _open(self, reading: MachineReading) -> None:
        visit, known = self._visit, reading.settings
        door = visit.domains.production.machine_settings
        versions = await door.versions(visit.scope, reading.equipment_id)
        run_times = await door.run_times(visit.scope, reading.equipment_id)
        points: dict[str, str] = {"": visit.say(_BY_ENTRY)} | {name: name for name in reading.points}
        with ui.dialog() as dialog, box("card stack wide sheet"):
            Words(f"{reading.equipment} · {visit.say(_MORE)}", tag="h2")
            state = ui.select(points, value=known.state_point or "", label=visit.say(_STATE_POINT))
            by = ui.select(points, value=known.threshold_point or "", label=visit.say(_THRESHOLD_POINT))
            threshold = ui.number(visit.say(_THRESHOLD), value=known.threshold)
            told = Words("", "muted small", tag="div")
            with box("button quiet", "button", type="button").on(
                "click", lambda: self._propose(reading, str(by.value or ""), threshold, told)
            ):
                Words(visit.say(_PROPOSE))
            per_cycle = ui.number(visit.say(_PER_CYCLE), value=known.parts_per_cycle)
            micro = ui.number(visit.say(_MICRO), value=known.micro_stop_s)
            hold = ui.number(visit.say(_HOLD), value=known.hold_s)
            all_good = ui.checkbox(visit.say(_ALL_GOOD), value=known.all_good)
            for field in (state, by, threshold, per_cycle, micro, hold):
                field.props("outlined dense")
            since = SinceFields(visit, known_before=bool(versions) or reading.takes_part)
            if versions:
                SettingsHistory(visit, reading.equipment_id, versions, _LABELS, self._act)
            if run_times:
                RunTimeHistory(visit, reading.equipment_id, run_times, self._act)

            async def save() -> None:
                changed = known.model_dump() | {
                    "state_point": state.value or None,
                    "threshold_point": by.value or None,
                    "threshold": threshold.value if by.value else None,
                    "parts_per_cycle": per_cycle.value,
                    "micro_stop_s": int(micro.value or 0),
                    "hold_s": int(hold.value or 0),
                    "all_good": all_good.value,
                }
                try:
                    settings, valid_from = EquipmentSettings(**changed), since.value
                except ValueError:
                    ui.notify(visit.say(_NO_NUMBER), type="warning")
                    return
                await self._act(door.put(visit.acting(Scope.ENGINEER), reading.equipment_id, settings, valid_from))

            with box("line spread"):
                with box("button", "button", type="button").on("click", save):
                    Words(visit.say(_SAVE))
                with box("button quiet", "button", type="button").on("click", dialog.close):
                    Words(visit.say(_CANCEL))
        dialog.on("hide", dialog.delete)
        dialog.open()

    async def _propose(self, reading: MachineReading, point: str, field: ui.number, told: Words) -> None:
        visit = self._visit
        if not point:
            return
        found = await visit.domains.production.machine_settings.propose_threshold(
            visit.scope, reading.equipment_id, point
        )
        if found.value is None or found.share_high is None:
            told.show(visit.say(Text(found.reason_en, found.reason_zh)))
            return
        field.value = round(found.value, 3)
        share = f"{100 * found.share_high:.0f}"
        told.show(visit.say(_PROPOSED, low=number(found.low), high=number(found.high), unit=found.unit, share=share))

    async def _act(self, act: Awaitable[object]) -> None:
        if not await self._visit.may_still(Scope.ENGINEER):
            return
        try:
            await act
        except Problem as problem:
            ui.notify(self._visit.say(problem.detail), type="negative")
            return
        ui.notify(self._visit.say(_SAVED), type="positive")
        ui.navigate.to(self._visit.here)
