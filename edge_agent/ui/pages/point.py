"""One point: what it means, how it is read, whether it is collected - and a test of it, in words."""

from __future__ import annotations

from nicegui import ui

from edge_agent.ui.draft_device import draft_is_sound
from edge_agent.ui.drafts import DraftPoint, Machine
from edge_agent.ui.elements import Field, MarkView, Words, box, button, failure, link_button
from edge_agent.ui.layout import MACHINES, frame
from edge_agent.ui.live_values import LiveValues
from edge_agent.ui.pages.machine import GONE
from edge_agent.ui.pages.meaning import Meaning
from edge_agent.ui.pages.reading_way import ReadingWay
from edge_agent.ui.visit import Visit
from edge_agent.ui.words import NOTHING, confidence_mark, quality_words, shown_value, unit_symbol
from protocols.errors import ConfigError, SunmaoError
from protocols.text import Text

_NAME, _RENAME = Text("Name", "名称"), Text("Rename", "改名")
_LEAVE_OUT, _TAKE_IN = Text("Do not collect it", "不采集此点"), Text("Collect it", "采集此点")
_DONE = Text("Done", "完成")
_TAKEN = Text("another point of this machine has that name", "本设备已有同名的点")
_EMPTY = Text("the name is empty", "名称为空")
_MEND = Text("choose another name", "请换一个名称")
_TO_SAVE = Text("What you change here is used once you save the machine.", "此处的更改在保存设备后生效。")


async def build(visit: Visit, number: str, place: int) -> None:
    """Build the page of point `place` of machine `number`."""
    machine = visit.workplace.drafts.machine(number)
    if machine is None or not 0 <= place < len(machine.points):
        with frame(visit, visit.say(GONE), back=("/machines", visit.say(MACHINES))):
            return
    point = machine.points[place]
    with frame(visit, point.name, back=(f"/machine/{machine.id}", machine.name)):
        _Page(visit, machine, point)


class _Page:
    def __init__(self, visit: Visit, machine: Machine, point: DraftPoint) -> None:
        self._visit, self._machine, self._point = visit, machine, point
        self._live = LiveValues(machine, visit.workplace.folder, only=point)
        with box("card stack"):
            with box("spread"):
                with box("big-value"):
                    self._value = Words(NOTHING)
                    self._unit = Words("", "unit")
                self._mark = MarkView("", "off")
            self._quality = Words("", "muted", tag="div")
            if point.said and point.said != point.name:
                Words(point.said, "muted small", tag="div")
        self._said = box()
        self._meaning = Meaning(visit, machine, point, self._live, self._changed)
        ReadingWay(visit, machine, point, self._changed)
        with box("card", "details"):
            with box("", "summary"):
                Words(f"{visit.say(_NAME)} · {visit.say(_TAKE_IN if not point.included else _LEAVE_OUT)}")
            with box("stack"):
                self._name = Field(visit.say(_NAME), point.name, maxlength="120")
                button(visit.say(_RENAME), self._rename, "button quiet small")
                button(visit.say(_TAKE_IN if not point.included else _LEAVE_OUT), self._toggle, "button quiet small")
        Words(visit.say(_TO_SAVE), "muted small", tag="p")
        link_button(visit.say(_DONE), f"/machine/{machine.id}")
        self._live.start()
        ui.context.client.on_delete(self._live.stop)
        self._refresh()
        ui.timer(0.5, self._refresh)

    def _refresh(self) -> None:
        point, language = self._point, self._visit.language
        mark, tone = confidence_mark(
            included=point.included, confirmed=point.confirmed, code=point.code, confidence=point.confidence
        )
        self._mark.show(mark.to(language), tone)
        self._meaning.refresh()
        reading = self._live.readings.get(point.name)
        problem = self._live.problem
        if reading is None or reading.value is None:
            self._value.show(NOTHING)
            self._unit.show("")
            worded = quality_words(reading.quality).to(language) if reading else ""
            self._quality.show(problem.explain(language) if problem is not None else worded)
            return
        codes = point.fields.get("codes") or {}
        meaning = codes.get(str(self._live.raw(point)))
        named = point.sure and (meaning is not None or not codes)
        self._value.show(
            shown_value(reading.value if meaning is None else meaning, point.code if named else None, language)
        )
        self._unit.show(unit_symbol(point.unit))
        self._quality.show(
            problem.explain(language) if problem is not None else quality_words(reading.quality).to(language)
        )

    def _changed(self) -> None:
        """Keep what was decided; the value is read anew by it."""
        self._said.clear()
        try:
            draft_is_sound(self._machine, self._point)
        except SunmaoError as error:
            with self._said:
                failure(error, self._visit.language)
        self._visit.workplace.keep()
        self._live.point_changed()
        self._refresh()

    def _rename(self) -> None:
        name = self._name.value.strip()
        taken = any(other is not self._point and other.name == name for other in self._machine.points)
        if not name or taken:
            self._said.clear()
            with self._said:
                failure(ConfigError(_TAKEN if name else _EMPTY, _MEND), self._visit.language)
            return
        self._point.name = name
        self._changed()
        ui.navigate.reload()

    def _toggle(self) -> None:
        self._point.included = not self._point.included
        self._changed()
        ui.navigate.to(f"/machine/{self._machine.id}")
