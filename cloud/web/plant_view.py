"""A part of the plant on one page - the company, a site or a line: its figures, what needs attention, every machine."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from uuid import UUID

from cloud.fleet.schemas import Agent
from cloud.production.schemas import Node
from cloud.telemetry.schemas import Latest
from cloud.web.alarm_card import AlarmCard
from cloud.web.attention import Attention, concerns
from cloud.web.elements import Words, box, icon
from cloud.web.figures import Figures
from cloud.web.highlights import SUPPORTING
from cloud.web.plant import Equipment, take
from cloud.web.tiles import Tile
from cloud.web.visit import Visit
from cloud.web.words import RUNNING
from protocols.text import Text

ROOMY = 12
"""So many machines have tiles with all their leading values; more have small ones."""

MOST_TILES = 200
"""With more machines than this, sites and lines are shown, each with a page of its own that has the tiles."""

STATION = "inspection_station"

SERVICES = Text("site services", "公用设备")
_RUN = Text("{running} of {count} running", "{running}/{count} 台运行中")

Plant = Mapping[UUID, Equipment]


class PlantView:
    """Figures, attention and tiles of `plant`, the `whole` company's or a part. `refresh` brings them up to date in place."""

    def __init__(self, visit: Visit, plant: Plant, *, whole: bool, now: datetime) -> None:
        self._visit = visit
        self._plant = plant
        self._whole = whole
        self._tiles: dict[UUID, Tile] = {}
        self._running: list[tuple[Words, list[Equipment]]] = []
        lines = {each.known.line_id for each in plant.values()}
        headed = len({each.where for each in plant.values()}) > 1
        line = next(iter(lines)) if not whole and len(lines) == 1 else None
        sites = sorted({each.known.site_id for each in plant.values()})
        nodes = [Node(kind="line", id=line)] if line else [Node(kind="site", id=site) for site in sites]
        stations = [each.known.id for each in plant.values() if each.known.equipment_class == STATION]
        self._figures = Figures(visit, nodes, None if whole else stations)
        with box("columns even"):
            self._attention = Attention(visit)
            self.alarms = AlarmCard(visit, None if whole else list(plant))
        small = len(plant) > ROOMY
        for (site, of_line), machines in _grouped(plant.values()):
            if headed:
                self._head(site, of_line, machines)
            if headed and len(plant) > MOST_TILES:
                continue
            with box("tiles small" if small else "tiles"):
                for each in machines:
                    self._tiles[each.known.id] = Tile(visit, each, now, small=small)

    def _head(self, site: str, line: str, machines: Sequence[Equipment]) -> None:
        known = machines[0].known
        address = f"/lines/{known.line_id}" if line else f"/sites/{known.site_id}"
        with box("part-head"):
            with box("part-name", "a", href=address):
                icon("line" if line else "site")
                Words(f"{site} › {line or self._visit.say(SERVICES)}", tag="h2")
                icon("next")
            working = [each for each in machines if each.known.equipment_class not in SUPPORTING]
            if working:
                self._running.append((Words("", "muted small num"), working))

    @property
    def followed(self) -> Collection[int] | None:
        """The series whose values it needs, where there are machines without a tile; else all, also those to come."""
        if self._tiles:
            return None
        return [series for each in self._plant.values() for series in each.points]

    async def refresh(self, agents: Sequence[Agent], now: datetime) -> None:
        """Show the plant as it is now, with the gateways `agents` that serve it, and what it did over the day."""
        self.show_moment(agents, now)
        await self._figures.refresh(list(self._plant.values()), now)

    def show_moment(self, agents: Sequence[Agent], now: datetime) -> None:
        """Show the plant as it is now, but nothing that has to be asked for."""
        machines = self._plant.values()
        for identity, tile in self._tiles.items():
            tile.refresh(self._plant[identity], now)
        for words, members in self._running:
            running = sum(each.mark == RUNNING for each in members)
            words.show(self._visit.say(_RUN, running=running, count=len(members)))
        serving = {each.known.agent_id for each in machines}
        self._attention.refresh(concerns(machines, [agent for agent in agents if agent.id in serving], now))
        self._figures.show_moment(machines)

    async def follow(self, values: Collection[Latest], now: datetime) -> bool:
        """Take newer `values` and bring the page up to date; False where the plant itself is another than was drawn."""
        only = None if self._whole else list(self._plant)
        found = await self._visit.domains.fleet.equipment_list(self._visit.scope, only=only)
        listed = {known.id: known for known in found}
        known = {identity: listed.get(identity) for identity in self._plant}
        ours = [value for value in values if value.equipment_id in self._plant]
        if len(listed) != len(known) or None in known.values() or not take(self._plant, ours):
            return False
        for identity, one in known.items():
            if one is None or (one.line_id, one.label) != (
                self._plant[identity].known.line_id,
                self._plant[identity].known.label,
            ):
                return False
            self._plant[identity].known = one
        await self.refresh(await self._visit.domains.fleet.agents(self._visit.scope), now)
        return True


def _grouped(machines: Collection[Equipment]) -> Iterator[tuple[tuple[str, str], list[Equipment]]]:
    """Yield the machines by site and line, lines before what serves a whole site."""
    ordered = sorted(machines, key=lambda each: (each.where[0], not each.where[1], each.where[1], each.place))
    for where, members in groupby(ordered, key=lambda each: each.where):
        yield where, list(members)
