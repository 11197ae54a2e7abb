"""The plant on one page: what runs, what it makes, what it wastes, what it draws."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from nicegui import ui

from cloud.telemetry.schemas import Latest
from cloud.web import live
from cloud.web.elements import Words, box
from cloud.web.gallery import Gallery
from cloud.web.highlights import METER_CLASS, PARTS_GOOD, PARTS_REJECT, POWER
from cloud.web.history import History
from cloud.web.language import number
from cloud.web.layout import frame, page_head
from cloud.web.pages import inspections
from cloud.web.pages.first_steps import show_first_steps
from cloud.web.plant import Plant, load_plant, take, total
from cloud.web.tiles import Tile
from cloud.web.visit import Visit
from cloud.web.words import RUNNING
from protocols.text import Text

TITLE = Text("Plant overview", "工厂总览")
TREND = timedelta(hours=1)
LATEST_INSPECTIONS = 6

_RUNNING = Text("Machines running", "运行中的设备")
_OF = Text("of {count} connected", "共接入 {count} 台")
_POWER = Text("Power now", "当前功率")
_METERED = Text("at the meter", "电表总功率")
_SUMMED = Text("sum of the machines", "各设备功率合计")
_PARTS = Text("Good parts", "良品数")
_REJECTED = Text("{count} rejected · yield {share} %", "不良 {count} 件 · 良率 {share}%")
_INSPECTED = Text("Inspected, last 24 h", "近 24 小时检测")
_FOUND = Text("{reject} rejected · {review} to review", "不合格 {reject} 件 · 待复核 {review} 件")
_LAST_HOUR = Text("{name}, last hour", "{name}，近 1 小时")
_LATEST = Text("Latest inspections", "最新检测")
_ALL = Text("All inspections", "全部检测记录")


async def build(visit: Visit) -> None:
    """Build the overview and keep it up to date."""
    now = datetime.now(UTC)
    plant = await load_plant(visit)
    with frame(visit, visit.say(TITLE)):
        with page_head(visit.say(TITLE)):
            Words(visit.tenant, "muted")
        if not plant:
            await show_first_steps(visit)
        else:
            figures = _Figures(visit)
            with box("tiles"):
                tiles = {identity: Tile(visit, equipment, now) for identity, equipment in plant.items()}
            with box("columns"):
                trend = await _trend(visit, plant)
                gallery = await _latest_inspections(visit)
            figures.refresh(plant)
            await figures.count_inspections(now)

    async def refresh(values: Collection[Latest], now: datetime) -> None:
        listed = await visit.domains.fleet.equipment_list(visit.scope)
        if {known.id for known in listed} != set(plant) or not take(plant, values):
            ui.navigate.reload()
            return
        for known in listed:
            plant[known.id].known = known
            tiles[known.id].refresh(plant[known.id], now)
        if plant:
            figures.refresh(plant)
            await trend.extend()
            if gallery.refresh(await inspections.latest(visit, LATEST_INSPECTIONS)):
                await figures.count_inspections(now)

    live.follow(visit, refresh)


async def _trend(visit: Visit, plant: Plant) -> History:
    """Chart the power at the meter, or of the first equipment that reports any."""
    metered = sorted(plant.values(), key=lambda each: each.known.equipment_class != METER_CLASS)
    drawn = [(each, point) for each in metered for point in each.points.values() if point.code == POWER]
    with box("card filled"):
        with box():
            history = History(visit, tall=False, of=visit.say(_LAST_HOUR, name=drawn[0][0].known.name) if drawn else "")
        history.place()
    await history.show(point=drawn[0][1] if drawn else None, length=TREND)
    return history


async def _latest_inspections(visit: Visit) -> Gallery:
    with box("card"):
        with box("card-head"):
            Words(visit.say(_LATEST), tag="h2")
            with box("link", "a", href="/inspections"):
                Words(visit.say(_ALL))
        return Gallery(visit, await inspections.latest(visit, LATEST_INSPECTIONS), short=True)


class _Figures:
    """The four numbers a manager asks for first."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        with box("card figures"):
            self._running, self._connected, _ = self._figure(_RUNNING)
            self._power, self._power_note, unit = self._figure(_POWER)
            unit.show("kW")
            self._parts, self._parts_note, _ = self._figure(_PARTS)
            self._inspected, self._found, _ = self._figure(_INSPECTED)

    def _figure(self, name: Text) -> tuple[Words, Words, Words]:
        with box("figure"):
            Words(self._visit.say(name), "label", tag="div")
            with box("big"):
                value, unit = Words(""), Words("", "unit")
            return value, Words("", "note", tag="div"), unit

    def refresh(self, plant: Plant) -> None:
        """Show what runs, draws and makes now."""
        say, machines = self._visit.say, list(plant.values())
        self._running.show(str(sum(each.mark == RUNNING for each in machines)))
        self._connected.show(say(_OF, count=len(machines)))
        meters = [each for each in machines if each.known.equipment_class == METER_CLASS]
        metered = total(meters, POWER)
        self._power.show(number(total(machines, POWER) if metered is None else metered))
        self._power_note.show(say(_SUMMED if metered is None else _METERED))
        good, reject = total(machines, PARTS_GOOD), total(machines, PARTS_REJECT) or 0.0
        self._parts.show(number(good, whole=True))
        if good is not None and good + reject > 0:
            share = f"{100 * good / (good + reject):.1f}"
            self._parts_note.show(say(_REJECTED, count=number(reject, whole=True), share=share))

    async def count_inspections(self, now: datetime) -> None:
        """Show how many parts were inspected over the last day and what was found."""
        visit = self._visit
        summary = await visit.domains.quality.summary(visit.scope, now - timedelta(days=1), now)
        self._inspected.show(number(float(summary.total), whole=True))
        self._found.show(visit.say(_FOUND, reject=summary.reject, review=summary.review))
