"""The figures a manager asks for first, of a company, a site or a line: what runs, draws, costs, makes and wastes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from cloud.energy.schemas import Window
from cloud.production.schemas import Node
from cloud.web.elements import Words, box
from cloud.web.highlights import METER_CLASS, POWER
from cloud.web.language import NOTHING, number
from cloud.web.places import open_to
from cloud.web.plant import Equipment, total
from cloud.web.visit import Visit
from cloud.web.words import RUNNING
from protocols.text import Text

SLOW_EVERY = timedelta(seconds=30)
"""Figures of the day are asked for so often; those of the moment with every change."""

_RUNNING = Text("Machines running", "运行中的设备")
_OF = Text("of {count} connected", "共接入 {count} 台")
_POWER = Text("Power now", "当前功率")
_METERED = Text("at the meter", "电表总功率")
_SUMMED = Text("sum of the machines", "各设备功率合计")
_ENERGY = Text("Energy today", "今日用电")
_COSTS = Text("{currency} {cost} so far", "目前电费 {cost} {currency}")
_PARTS = Text("Good parts today", "今日良品")
_REJECTED = Text("{count} rejected · yield {share} %", "不良 {count} 件 · 良率 {share}%")
_INSPECTED = Text("Inspected, last 24 h", "近 24 小时检测")
_FOUND = Text("{reject} rejected · {review} to review", "不合格 {reject} 件 · 待复核 {review} 件")


class _Shown(NamedTuple):
    value: Words
    note: Words


class Figures:
    """A row of figures, each with a line of what it is made of.

    Energy and its cost are those of `nodes`, inspections those of `stations` - of the whole company where that is None,
    of nobody where there are none.
    """

    def __init__(self, visit: Visit, nodes: Collection[Node], stations: Collection[UUID] | None) -> None:
        self._visit = visit
        self._nodes = nodes
        self._stations = stations
        self._due = datetime.min.replace(tzinfo=UTC)
        self._open = {place.path for place in open_to(visit.principal.scopes)}
        with box("card figures"):
            self._running = self._figure(_RUNNING)
            self._power = self._figure(_POWER, unit="kW")
            self._energy = self._figure(_ENERGY, unit="kWh", page="/energy")
            self._parts = self._figure(_PARTS, page="/oee")
            self._inspected = None if stations == [] else self._figure(_INSPECTED, page="/inspections")

    def _figure(self, name: Text, *, unit: str = "", page: str = "") -> _Shown:
        linked = {"href": page} if page in self._open else {}
        with box("figure", "a" if linked else "div", **linked):
            Words(self._visit.say(name), "label", tag="div")
            with box("big"):
                value = Words(NOTHING)
                if unit:
                    Words(unit, "unit")
            return _Shown(value, Words("", "note", tag="div"))

    async def refresh(self, machines: Collection[Equipment], now: datetime) -> None:
        """Show how `machines` fare now, and - less often - over the day."""
        self.show_moment(machines)
        if now >= self._due:
            self._due = now + SLOW_EVERY
            await self.show_day(machines, now)

    def show_moment(self, machines: Collection[Equipment]) -> None:
        """Show how `machines` fare now."""
        say = self._visit.say
        self._running.value.show(str(sum(each.mark == RUNNING for each in machines)))
        self._running.note.show(say(_OF, count=len(machines)))
        metered = total([each for each in machines if each.known.equipment_class == METER_CLASS], POWER)
        power = total(machines, POWER) if metered is None else metered
        self._power.value.show(number(power))
        self._power.note.show("" if power is None else say(_SUMMED if metered is None else _METERED))

    async def show_day(self, machines: Collection[Equipment], now: datetime) -> None:
        """Show what was used, made and found."""
        visit = self._visit
        made = await visit.domains.production.made_today(visit.scope, [each.known.id for each in machines], now)
        self._parts.value.show(number(made.good, whole=True))
        if made.quality_rate is not None:
            share = f"{100 * made.quality_rate:.1f}"
            self._parts.note.show(visit.say(_REJECTED, count=number(made.scrap, whole=True), share=share))
        energy, cost = await self._used_today(now)
        self._energy.value.show(number(energy))
        self._energy.note.show(
            " · ".join(visit.say(_COSTS, currency=name, cost=number(sum_)) for name, sum_ in cost.items())
        )
        if self._inspected:
            day = now - timedelta(days=1)
            asked: list[UUID | None] = [None] if self._stations is None else [*self._stations]
            found = [await visit.domains.quality.summary(visit.scope, day, now, station) for station in asked]
            counts = {name: sum(getattr(one, name) for one in found) for name in ("total", "reject", "review")}
            self._inspected.value.show(number(float(counts["total"]), whole=True))
            self._inspected.note.show(visit.say(_FOUND, reject=counts["reject"], review=counts["review"]))

    async def _used_today(self, now: datetime) -> tuple[float | None, dict[str, float]]:
        """Return the electricity since midnight in kWh, and its cost by currency where a tariff says it."""
        energies: list[float] = []
        costs: dict[str, float] = {}
        for node in self._nodes:
            used = await self._visit.domains.energy.usage(
                self._visit.scope, node, Window(midnight(now, self._visit.zone), now), "month"
            )
            if used.total.energy.value is not None:
                energies.append(used.total.energy.value)
            if used.total.cost.value is not None:
                currency = used.total.cost.unit
                costs[currency] = costs.get(currency, 0.0) + used.total.cost.value
        return (sum(energies) if energies else None), costs


def midnight(now: datetime, zone: ZoneInfo) -> datetime:
    """Return the begin of the day on the clock of `zone`."""
    return now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
