"""The plant on one page: what runs, what it makes, what it wastes, what it draws and costs - and what needs somebody."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from nicegui import ui

from cloud.telemetry.schemas import Latest
from cloud.web import live
from cloud.web.elements import Words, box
from cloud.web.gallery import Gallery
from cloud.web.highlights import METER_CLASS, POWER
from cloud.web.history import History
from cloud.web.layout import frame, page_head
from cloud.web.pages import inspections
from cloud.web.pages.first_steps import show_first_steps
from cloud.web.plant import Plant, load_plant
from cloud.web.plant_view import MOST_TILES, PlantView
from cloud.web.visit import Visit
from protocols.text import Text

TITLE = Text("Plant overview", "工厂总览")
TREND = timedelta(hours=1)
LATEST_INSPECTIONS = 6

_LAST_HOUR = Text("{name}, last hour", "{name}，近 1 小时")
_LATEST = Text("Latest inspections", "最新检测")
_ALL = Text("All inspections", "全部检测记录")


async def build(visit: Visit) -> None:
    """Build the overview and keep it up to date."""
    now = datetime.now(UTC)
    plant = await load_plant(visit, most=MOST_TILES)
    with frame(visit, visit.say(TITLE)):
        with page_head(visit.say(TITLE)):
            Words(visit.tenant, "muted")
        if not plant:
            await show_first_steps(visit)
        else:
            view = PlantView(visit, plant, whole=True, now=now)
            with box("columns"):
                trend = power_trend(visit, plant)
                gallery = await _latest_inspections(visit)
            await view.alarms.fill()
            view.show_moment(await visit.domains.fleet.agents(visit.scope), now)

    async def refresh(values: Collection[Latest], now: datetime) -> None:
        if not plant:
            if await visit.domains.fleet.places(visit.scope):
                ui.navigate.reload()
            return
        if not await view.follow(values, now):
            ui.navigate.reload()
            return
        await trend.extend()
        gallery.refresh(await inspections.latest(visit, LATEST_INSPECTIONS))

    live.follow(visit, refresh, only=view.followed if plant else ())


def power_trend(visit: Visit, plant: Plant) -> History:
    """Chart the power at the meter, or of the first equipment that reports any; it is drawn when it is first extended."""
    metered = sorted(plant.values(), key=lambda each: each.known.equipment_class != METER_CLASS)
    drawn = [(each, point) for each in metered for point in each.points.values() if point.code == POWER]
    with box("card filled"):
        with box():
            history = History(
                visit, tall=False, of=visit.say(_LAST_HOUR, name=drawn[0][0].known.label) if drawn else ""
            )
        history.place()
    history.choose(drawn[0][1] if drawn else None, TREND)
    return history


async def _latest_inspections(visit: Visit) -> Gallery:
    with box("card"):
        with box("card-head"):
            Words(visit.say(_LATEST), tag="h2")
            with box("link", "a", href="/inspections"):
                Words(visit.say(_ALL))
        return Gallery(visit, await inspections.latest(visit, LATEST_INSPECTIONS), short=True)
