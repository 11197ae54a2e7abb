"""One part of the plant on a wall board: readable from across the workshop, so few things, large."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from cloud.web.elements import MarkView, Words, box
from cloud.web.figures import SLOW_EVERY
from cloud.web.highlights import METER_CLASS, POWER, SUPPORTING
from cloud.web.language import NOTHING, number
from cloud.web.plant import Equipment, total
from cloud.web.visit import Visit
from cloud.web.words import RUNNING
from protocols.text import Text

MOST = 12
"""How many machines a slide shows; a line with more has several."""

FEW = 4
"""So few machines are shown larger."""

_RUNNING = Text("Running", "运行")
_GOOD = Text("Good parts today", "今日良品")
_REJECT = Text("Rejects today", "今日不良")
_YIELD = Text("Yield today", "今日良率")
_POWER = Text("Power now", "当前功率")


class BoardSlide:
    """The slide of some machines under one title. It is built once; `refresh` changes what has changed."""

    def __init__(self, visit: Visit, title: str, where: str, machines: Sequence[Equipment]) -> None:
        self._visit = visit
        self._machines = machines
        self._due = datetime.min.replace(tzinfo=UTC)
        with box("slide") as self.ground:
            with box("slide-head"):
                Words(title, "slide-title", tag="h1")
                Words(where, "slide-where", tag="div")
            with box("slide-figures"):
                self._running = self._figure(_RUNNING)
                self._good = self._figure(_GOOD)
                self._reject = self._figure(_REJECT)
                self._yield = self._figure(_YIELD, "%")
                self._power = self._figure(_POWER, "kW")
            with box("slide-machines few" if len(machines) <= FEW else "slide-machines"):
                self._cards = [_Card(visit, machine) for machine in machines]

    def _figure(self, name: Text, unit: str = "") -> Words:
        with box("slide-figure"):
            Words(self._visit.say(name), "slide-label", tag="div")
            with box("slide-value"):
                value = Words(NOTHING)
                if unit:
                    Words(unit, "slide-unit")
        return value

    async def refresh(self, now: datetime) -> None:
        """Show the machines as they are now."""
        working = [each for each in self._machines if each.known.equipment_class not in SUPPORTING]
        self._running.show(f"{sum(each.mark == RUNNING for each in working)}/{len(working)}" if working else NOTHING)
        metered = total([each for each in self._machines if each.known.equipment_class == METER_CLASS], POWER)
        self._power.show(number(total(self._machines, POWER) if metered is None else metered))
        for card in self._cards:
            card.refresh()
        if now >= self._due:
            self._due = now + SLOW_EVERY
            machines = [each.known.id for each in self._machines]
            made = await self._visit.domains.production.made_today(self._visit.scope, machines, now)
            self._good.show(number(made.good, whole=True))
            self._reject.show(number(made.scrap, whole=True))
            self._yield.show(NOTHING if made.quality_rate is None else f"{100 * made.quality_rate:.1f}")


class _Card:
    def __init__(self, visit: Visit, machine: Equipment) -> None:
        self._visit = visit
        self._machine = machine
        with box("slide-card") as self._ground:
            Words(machine.known.label, "slide-name", tag="div")
            self._mark = MarkView(machine.mark, visit.language, plain=True)
            with box("slide-reading"):
                self._value, self._unit = Words(""), Words("", "slide-unit")
            self._label = Words("", "slide-label", tag="div")
        self._tone = ""

    def refresh(self) -> None:
        mark = self._machine.mark
        self._mark.show(mark)
        if mark.tone != self._tone:
            self._ground.classes(remove=self._tone, add=mark.tone)
            self._tone = mark.tone
        leading = self._machine.ranked(1)
        self._value.show(leading[0].shown(self._visit.language) if leading else NOTHING)
        self._unit.show(leading[0].series.unit_symbol if leading else "")
        self._label.show(self._visit.say(leading[0].name) if leading else "")
