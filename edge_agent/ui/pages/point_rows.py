"""The list of a machine's points: what each one is taken for, its live value, how sure that is, and why."""

from __future__ import annotations

from typing import NamedTuple

from edge_agent.ui.drafts import DraftPoint, Machine
from edge_agent.ui.elements import MarkView, Words, box, notice
from edge_agent.ui.live_values import LiveValues
from edge_agent.ui.visit import Visit
from edge_agent.ui.words import NOTHING, confidence_mark, entry_name, quality_words, shown_value, unit_symbol
from protocols.text import Text

_LOOK = Text("Please look at these", "请核对")
_SURE = Text("Sure", "已确定")
_NONE = Text("Without an entry of the dictionary", "没有字典条目")
_OUT = Text("Not collected", "不采集")
_SILENT = Text("No live values at present", "暂无实时数值")


class _Row(NamedTuple):
    point: DraftPoint
    value: Words
    unit: Words


class PointRows:
    """Draws the points, the doubtful ones first; then only values change."""

    def __init__(self, visit: Visit, machine: Machine) -> None:
        self._visit = visit
        self._machine = machine
        self._rows: list[_Row] = []
        self._problem = box()
        self._said = ""
        points = list(enumerate(machine.points))
        self._section(_LOOK, [(n, p) for n, p in points if p.doubtful], open=True)
        self._section(_SURE, [(n, p) for n, p in points if p.sure], open=True)
        self._section(_NONE, [(n, p) for n, p in points if p.included and p.code is None], open=len(points) < 40)
        self._section(_OUT, [(n, p) for n, p in points if not p.included], open=False)

    def refresh(self, live: LiveValues) -> None:
        """Show the latest values, or why there are none."""
        said = live.problem.explain(self._visit.language) if live.problem is not None else ""
        if said != self._said:
            self._said = said
            self._problem.clear()
            if live.problem is not None:
                with self._problem:
                    notice(self._visit.say(_SILENT), "warn", mend=said)
        for row in self._rows:
            reading = live.readings.get(row.point.name)
            if reading is None or not row.point.included:
                row.value.show(NOTHING)
                row.unit.show("")
                continue
            worded = quality_words(reading.quality).to(self._visit.language)
            if reading.value is None:
                row.value.show(worded or NOTHING)
                row.unit.show("")
            else:
                row.value.show(
                    shown_value(reading.value, row.point.code if row.point.sure else None, self._visit.language)
                )
                row.unit.show(unit_symbol(row.point.unit))

    def _section(self, name: Text, points: list[tuple[int, DraftPoint]], *, open: bool) -> None:
        if not points:
            return
        with box("", "details", **({"open": ""} if open else {})):
            with box("", "summary"):
                Words(f"{self._visit.say(name)} ({len(points)})")
            with box("card points"):
                for number, point in points:
                    self._row(number, point)

    def _row(self, number: int, point: DraftPoint) -> None:
        visit = self._visit
        mark, tone = confidence_mark(
            included=point.included, confirmed=point.confirmed, code=point.code, confidence=point.confidence
        )
        address = f"/machine/{self._machine.id}/point/{number}"
        with box("point" if point.included else "point out", "a", href=address):
            with box():
                Words(entry_name(point.code, visit.language) if point.code else point.name, "entry", tag="div")
                if point.code:
                    Words(point.name, "own", tag="div")
            with box("stack tight"):
                with box("value"):
                    value = Words(NOTHING)
                    unit = Words("", "unit")
                MarkView(visit.say(mark), tone)
            Words(visit.say(point.reason), "why", tag="div")
        self._rows.append(_Row(point, value, unit))
