"""How a point is read: test it, see what went over the wire in words, and mend byte order or scale by looking."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from edge_agent.point_test import Candidate, PointTest, test_point
from edge_agent.ui.draft_device import device_config
from edge_agent.ui.drafts import DraftPoint, Machine
from edge_agent.ui.elements import Words, box, button, failure, notice
from edge_agent.ui.visit import Visit
from edge_agent.ui.words import shown_value, unit_symbol
from protocols.errors import SunmaoError
from protocols.text import Text

if TYPE_CHECKING:
    from protocols.text import Language

_TITLE = Text("Is the value right?", "数值对吗？")
_HOW = Text(
    "Compare it with the machine's own display. Test shows what was asked and answered, and every other way to read it.",
    "请与设备面板对照。测试会显示收发报文，以及其他可能的读法。",
)
_TEST = Text("Test this point", "测试此点")
_TAP = Text("Tap the value the machine's display shows:", "点选与设备显示一致的数值：")
_UNLIKELY = Text("Less likely ways to read it", "可能性较小的读法")
_SCALES = Text("Or is only the decimal point wrong?", "还是只有小数点不对？")
_WIRE = Text("What went over the wire", "收发报文")
_SENT, _RECEIVED = Text("sent", "发送"), Text("received", "接收")
_TIME = Text("answered in {ms} ms", "应答用时 {ms} 毫秒")
_FACTORS = (0.001, 0.01, 0.1, 10.0, 100.0, 1000.0)


class ReadingWay:
    """The card; `changed` is told when a person has chosen another way to read."""

    def __init__(self, visit: Visit, machine: Machine, point: DraftPoint, changed: Callable[[], None]) -> None:
        self._visit, self._machine, self._point, self._changed = visit, machine, point, changed
        with box("card stack"):
            Words(visit.say(_TITLE), tag="h2")
            Words(visit.say(_HOW), "muted small", tag="p")
            button(visit.say(_TEST), self._test, "button quiet").mark("test")
            self._place = box("stack")

    async def _test(self) -> None:
        self._place.clear()
        try:
            device = device_config(self._machine, self._visit.workplace.folder, [self._point])
            found = await test_point(device, self._point.name)
        except SunmaoError as error:
            with self._place:
                failure(error, self._visit.language)
            return
        with self._place:
            self._show(found)

    def _show(self, found: PointTest) -> None:
        visit = self._visit
        good = found.quality == "Good"
        timed = visit.say(_TIME, ms=f"{found.round_trip_ms:.0f}") if found.round_trip_ms is not None else ""
        notice(visit.say(found.found), "good" if good else "bad", mend=timed)
        candidates = [candidate for candidate in found.candidates if candidate.value is not None]
        likely = [candidate for candidate in candidates if candidate.plausible]
        if candidates:
            Words(visit.say(_TAP), tag="div")
            for candidate in likely:
                self._candidate(candidate)
            unlikely = [candidate for candidate in candidates if not candidate.plausible]
            if unlikely:
                with box("", "details"):
                    with box("", "summary"):
                        Words(f"{visit.say(_UNLIKELY)} ({len(unlikely)})")
                    with box("stack tight"):
                        for candidate in unlikely:
                            self._candidate(candidate)
            self._scales(found)
        with box("", "details"):
            with box("", "summary"):
                Words(visit.say(_WIRE))
            with box("stack"):
                for sent in found.frames:
                    with box(f"frame {sent.direction}"):
                        Words(visit.say(_SENT if sent.direction == "sent" else _RECEIVED), "muted small")
                        Words(visit.say(sent.words), tag="div")
                        if sent.hex:
                            Words(sent.hex, "mono muted", tag="div")

    def _candidate(self, candidate: Candidate) -> None:
        here = candidate.configured
        classes = "choice here" if here else "choice" if candidate.plausible else "choice unlikely"
        choice = button("", lambda: self._take(candidate), classes)
        choice.clear()
        with choice:
            with box():
                Words(self._visit.say(candidate.why), "what", tag="div")
                shape = " ".join(filter(None, (candidate.type, candidate.byte or candidate.order)))
                place = " ".join(filter(None, (candidate.table, str(candidate.address))))
                Words(f"{shape} @ {place}", "about mono", tag="div")
            Words(_shown(candidate.value, self._point, self._visit.language), "value")

    def _take(self, candidate: Candidate) -> None:
        candidate.choose(self._point.fields)
        self._settled()

    def _scales(self, found: PointTest) -> None:
        point, value = self._point, found.value
        if isinstance(value, (bool, str)) or not value or "codes" in point.fields:
            return
        Words(self._visit.say(_SCALES), "muted small")
        with box("line"):
            for factor in _FACTORS:
                button(
                    _shown(value * factor, point, self._visit.language),
                    partial(self._scale, factor),
                    "chip",
                )

    def _scale(self, factor: float) -> None:
        self._point.scale = float(f"{self._point.scale * factor:.6g}")
        self._settled()

    def _settled(self) -> None:
        """Another way to read is a person's decision; what the point means has to be looked at again."""
        self._point.included = True
        self._changed()
        self._place.clear()


def _shown(value: object, point: DraftPoint, language: Language) -> str:
    number = shown_value(value, None, language)  # type: ignore[arg-type]
    return f"{number} {unit_symbol(point.unit)}".strip()
