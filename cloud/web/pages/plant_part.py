"""A site or a line: the part of the plant that stands there, and what its machines did over the last day."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from uuid import UUID

from nicegui import ui

from cloud.core.errors import NotFound
from cloud.fleet.schemas import Where
from cloud.production.schemas import Node
from cloud.telemetry.schemas import Latest
from cloud.web import live
from cloud.web.elements import Words
from cloud.web.kpi_strip import show_kpis
from cloud.web.layout import frame, page_head
from cloud.web.pages import overview
from cloud.web.pages.overview import power_trend
from cloud.web.plant import Plant, load_plant
from cloud.web.plant_view import MOST_TILES, PlantView
from cloud.web.timeline import show_timelines
from cloud.web.visit import Visit
from protocols.text import Text

_SITE, _LINE = Text("Site", "站点"), Text("Line", "产线")
_EMPTY = Text(
    "No machine stands here yet. Place machines on the plant page.", "此处尚无设备，请在“工厂结构”页面放置设备。"
)


async def build_site(visit: Visit) -> None:
    """Build a site's page; raises NotFound."""
    identity = id_in(visit, "site_id")
    site = next((site for site in await visit.domains.identity.sites(visit.scope) if site.id == identity), None)
    if site is None:
        raise NotFound
    plant = await load_plant(visit, Where(site=identity), most=MOST_TILES)
    await _build(visit, site.name, visit.say(_SITE), plant, Node(kind="site", id=identity), crumbs=())


async def build_line(visit: Visit) -> None:
    """Build a line's page; raises NotFound."""
    identity = id_in(visit, "line_id")
    line = await visit.domains.identity.plant.line(visit.scope, identity)
    sites = {site.id: site.name for site in await visit.domains.identity.sites(visit.scope)}
    plant = await load_plant(visit, Where(line=identity))
    crumbs = ((f"/sites/{line.site_id}", sites[line.site_id]),) if line.site_id in sites else ()
    await _build(visit, line.name, visit.say(_LINE), plant, Node(kind="line", id=identity), crumbs=crumbs)


async def _build(
    visit: Visit, title: str, note: str, plant: Plant, node: Node, *, crumbs: Sequence[tuple[str, str]]
) -> None:
    now = datetime.now(UTC)
    with frame(visit, title):
        page_head(title, crumbs=(("/", visit.say(overview.TITLE)), *crumbs), note=note)
        if not plant:
            Words(visit.say(_EMPTY), "card muted", tag="p")
            return
        view = PlantView(visit, plant, whole=False, now=now)
        zone = next(iter(plant.values())).known.time_zone
        live.fill_in(visit, lambda: show_kpis(visit, node, zone, now))
        live.fill_in(visit, lambda: show_timelines(visit, list(plant.values()), now))
        trend = power_trend(visit, plant)
        await view.alarms.fill()
        view.show_moment(await visit.domains.fleet.agents(visit.scope), now)

    async def refresh(values: Collection[Latest], now: datetime) -> None:
        if not await view.follow(values, now):
            ui.navigate.reload()
            return
        await trend.extend()

    live.follow(visit, refresh, only=view.followed)


def id_in(visit: Visit, name: str) -> UUID:
    """Return the id in the page's path; raises NotFound for what is none."""
    try:
        return UUID(visit.request.path_params[name])
    except ValueError as error:
        raise NotFound from error
