"""Sets the shifts of a site or a line: a usual pattern to begin with, then times, breaks and days as they are."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from datetime import date, time

from nicegui import ui
from pydantic import ValidationError

from cloud.core.errors import Problem
from cloud.core.principal import Scope
from cloud.production.schemas import (
    BreakPattern,
    CalendarException,
    CalendarRequest,
    CalendarVersion,
    ExceptionRequest,
    Node,
    ShiftPattern,
)
from cloud.web.elements import Words, box
from cloud.web.visit import Visit
from protocols.text import Text

WEEKDAYS = (
    Text("Mon", "周一"), Text("Tue", "周二"), Text("Wed", "周三"), Text("Thu", "周四"), Text("Fri", "周五"),
    Text("Sat", "周六"), Text("Sun", "周日"),
)  # fmt: skip

_WEEK = frozenset({1, 2, 3, 4, 5})
_ALL = frozenset(range(1, 8))


def _pattern(name: Text, start: str, end: str, breaks: Sequence[tuple[str, str]], days: frozenset[int]) -> ShiftPattern:
    rests = [BreakPattern(start=time.fromisoformat(a), end=time.fromisoformat(b)) for a, b in breaks]
    return ShiftPattern(
        name_en=name.en,
        name_zh=name.zh,
        weekdays=set(days),
        start=time.fromisoformat(start),
        end=time.fromisoformat(end),
        breaks=rests,
    )


_DAY_SHIFT, _NIGHT_SHIFT = Text("Day", "白班"), Text("Night", "夜班")
TEMPLATES: tuple[tuple[Text, tuple[ShiftPattern, ...]], ...] = (
    (Text("One shift", "单班制"), (_pattern(_DAY_SHIFT, "08:00", "17:00", [("12:00", "13:00")], _WEEK),)),
    (
        Text("Two shifts of 12 h", "两班倒（12 小时）"),
        (
            _pattern(_DAY_SHIFT, "08:00", "20:00", [("12:00", "13:00")], _ALL),
            _pattern(_NIGHT_SHIFT, "20:00", "08:00", [("00:00", "01:00")], _ALL),
        ),
    ),
    (
        Text("Three shifts of 8 h", "三班倒（8 小时）"),
        (
            _pattern(Text("Early", "早班"), "00:00", "08:00", [("04:00", "04:30")], _ALL),
            _pattern(Text("Middle", "中班"), "08:00", "16:00", [("12:00", "12:30")], _ALL),
            _pattern(Text("Late", "晚班"), "16:00", "00:00", [("20:00", "20:30")], _ALL),
        ),
    ),
)

_SHIFTS = Text("When work is planned", "班次")
_BEGIN_WITH = Text("Begin with a usual pattern:", "选择常用班制：")
_NAME, _START, _END = Text("Shift", "班次名称"), Text("From", "开始"), Text("To", "结束")
_BREAKS, _DAYS = Text("Breaks, as 12:00-13:00", "休息，如 12:00-13:00"), Text("Days", "工作日")
_VALID_FROM, _SAVE, _ADD, _REMOVE = (
    Text("Valid from", "生效日"),
    Text("Save", "保存"),
    Text("Add a shift", "增加班次"),
    Text("Remove", "删除"),
)
_SAVED = Text("Saved. Figures of the days it holds for are being made anew.", "已保存，相关日期的指标正在重新计算。")
_NOT_UNDERSTOOD = Text(
    "Times are written as 08:00, breaks as 12:00-13:00 with commas between, days as YYYY-MM-DD.",
    "时间格式如 08:00，休息如 12:00-13:00（多段以逗号分隔），日期如 2026-01-31。",
)
_VERSIONS, _NO_SHIFTS = Text("Versions", "历史版本"), Text("no work planned", "不计划生产")
_EXCEPTIONS = Text("Holidays and days worked as another", "假日与调休")
_NO_EXCEPTIONS = Text("No such day is entered yet.", "尚未登记假日或调休。")
_DAY, _CALLED, _WORKS_AS = Text("Day", "日期"), Text("Name", "名称"), Text("Worked as", "按哪天上班")
_OFF = Text("no work", "休息")


class ShiftForm:
    """The shifts and the exceptions of one place."""

    def __init__(
        self,
        visit: Visit,
        node: Node,
        site: Node,
        *,
        versions: Sequence[CalendarVersion],
        exceptions: Sequence[CalendarException],
        today: date,
    ) -> None:
        self._visit = visit
        self._site = site
        self._line = node.id if node.kind == "line" else None
        self._rows: list[_Row] = []
        mine = [one for one in versions if (one.site_id, one.line_id) == (site.id, self._line)]
        current = [one for one in mine if one.valid_from <= today] or mine[:1]
        with box("card stack wide"):
            Words(visit.say(_SHIFTS), tag="h2")
            with box("line"):
                Words(visit.say(_BEGIN_WITH), "muted")
                for name, shifts in TEMPLATES:
                    self._button(visit.say(name), lambda _, shifts=shifts: self._show(shifts), "quiet")
            self._place = box("stack wide")
            with box("line"):
                begin = today if mine else today.replace(month=1, day=1)
                self._valid_from = ui.input(visit.say(_VALID_FROM), value=begin.isoformat()).props(
                    "outlined dense type=date"
                )
                self._button(visit.say(_ADD), lambda _: self._add(TEMPLATES[0][1][0]), "quiet")
                self._button(visit.say(_SAVE), lambda _: self._save())
            if mine:
                self._show_versions(mine)
        self._show(current[-1].shifts if current else ())
        self._show_exceptions([one for one in exceptions if (one.site_id, one.line_id) == (site.id, self._line)], today)

    def _button(self, name: str, act: object, kind: str = "") -> None:
        with box(f"button {kind}", "button", type="button").on("click", act):  # type: ignore[arg-type]
            Words(name)

    def _show(self, shifts: Sequence[ShiftPattern]) -> None:
        self._place.clear()
        self._rows = []
        for shift in shifts:
            self._add(shift)

    def _add(self, shift: ShiftPattern) -> None:
        with self._place:
            self._rows.append(_Row(self._visit, shift, self._drop))

    def _drop(self, row: _Row) -> None:
        self._rows.remove(row)
        row.element.delete()

    async def _save(self) -> None:
        try:
            request = CalendarRequest(
                site_id=self._site.id,
                line_id=self._line,
                valid_from=date.fromisoformat(self._valid_from.value or ""),
                shifts=[row.pattern() for row in self._rows],
            )
        except (ValueError, ValidationError):
            ui.notify(self._visit.say(_NOT_UNDERSTOOD), type="warning")
            return
        principal = self._visit.acting(Scope.ENGINEER)
        await self._act(self._visit.domains.production.calendars.put(principal, request))

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

    def _show_versions(self, versions: Sequence[CalendarVersion]) -> None:
        visit = self._visit
        calendars = visit.domains.production.calendars
        with box("stack above"):
            Words(visit.say(_VERSIONS), "muted small", tag="div")
            for version in reversed(versions):
                with box("line spread"):
                    told = "; ".join(
                        f"{visit.say(Text(one.name_en, one.name_zh))} {one.start:%H:%M}–{one.end:%H:%M}"
                        for one in version.shifts
                    )
                    Words(f"{version.valid_from.isoformat()} · {told or visit.say(_NO_SHIFTS)}")
                    self._button(
                        visit.say(_REMOVE),
                        lambda _, one=version: self._act(calendars.remove(visit.acting(Scope.ENGINEER), one.id)),
                        "quiet",
                    )

    def _show_exceptions(self, exceptions: Sequence[CalendarException], today: date) -> None:
        visit = self._visit
        calendars = visit.domains.production.calendars
        with box("card stack wide"):
            Words(visit.say(_EXCEPTIONS), tag="h2")
            if not exceptions:
                Words(visit.say(_NO_EXCEPTIONS), "muted", tag="p")
            for one in exceptions:
                with box("line spread"):
                    works = visit.say(WEEKDAYS[one.works_as - 1]) if one.works_as else visit.say(_OFF)
                    Words(f"{one.day.isoformat()} · {one.name} · {works}")
                    self._button(
                        visit.say(_REMOVE),
                        lambda _, one=one: self._act(calendars.remove_exception(visit.acting(Scope.ENGINEER), one.id)),
                        "quiet",
                    )
            with box("line"):
                day = ui.input(visit.say(_DAY), value=today.isoformat()).props("outlined dense type=date")
                name = ui.input(visit.say(_CALLED)).props("outlined dense maxlength=80")
                kinds = {0: visit.say(_OFF)} | {i: visit.say(one) for i, one in enumerate(WEEKDAYS, 1)}
                works_as = (
                    ui.select(kinds, value=0, label=visit.say(_WORKS_AS)).props("outlined dense").classes("short")
                )

                async def add() -> None:
                    try:
                        request = ExceptionRequest(
                            site_id=self._site.id,
                            line_id=self._line,
                            day=date.fromisoformat(day.value or ""),
                            works_as=works_as.value or None,
                            name=(name.value or "").strip(),
                        )
                    except (ValueError, ValidationError):
                        ui.notify(visit.say(_NOT_UNDERSTOOD), type="warning")
                        return
                    await self._act(calendars.put_exception(visit.acting(Scope.ENGINEER), request))

                self._button(visit.say(_SAVE), add)


class _Row:
    """One shift of the form."""

    def __init__(self, visit: Visit, shift: ShiftPattern, drop: object) -> None:
        self._visit = visit
        self._shift = shift
        with box("shift-row") as self.element:
            self._name = ui.input(visit.say(_NAME), value=visit.say(Text(shift.name_en, shift.name_zh)))
            self._start = ui.input(visit.say(_START), value=f"{shift.start:%H:%M}").classes("short")
            self._end = ui.input(visit.say(_END), value=f"{shift.end:%H:%M}").classes("short")
            breaks = ", ".join(f"{one.start:%H:%M}-{one.end:%H:%M}" for one in shift.breaks)
            self._breaks = ui.input(visit.say(_BREAKS), value=breaks)
            days = {i: visit.say(one) for i, one in enumerate(WEEKDAYS, 1)}
            self._days = ui.select(days, value=sorted(shift.weekdays), multiple=True, label=visit.say(_DAYS))
            for field in (self._name, self._start, self._end, self._breaks, self._days):
                field.props("outlined dense")
            with box("button quiet", "button", type="button").on("click", lambda: drop(self)):  # type: ignore[operator]
                Words(visit.say(_REMOVE))

    def pattern(self) -> ShiftPattern:
        """Return what the row says; raises ValueError or ValidationError for what is no shift."""
        before, typed = self._shift, (self._name.value or "").strip()
        same = typed == self._visit.say(Text(before.name_en, before.name_zh))
        pieces = [one.strip() for one in (self._breaks.value or "").replace("，", ",").split(",") if one.strip()]
        breaks = []
        for piece in pieces:
            start, _, end = piece.replace("–", "-").partition("-")
            breaks.append(BreakPattern(start=time.fromisoformat(start.strip()), end=time.fromisoformat(end.strip())))
        return ShiftPattern(
            name_en=before.name_en if same else typed,
            name_zh=before.name_zh if same else typed,
            weekdays=set(self._days.value or ()),
            start=time.fromisoformat((self._start.value or "").strip()),
            end=time.fromisoformat((self._end.value or "").strip()),
            breaks=breaks,
        )
