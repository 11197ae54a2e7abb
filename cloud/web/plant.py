"""Equipment and points as the pages show them: dictionary names, unit symbols, values in words, states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from cloud.fleet.schemas import ANYWHERE, Where
from cloud.fleet.schemas import Equipment as FleetEquipment
from cloud.telemetry.schemas import Latest
from cloud.telemetry.schemas import Point as Series
from cloud.web.highlights import MOMENTARY, PARTS_GOOD, PARTS_TOTAL, SUPPORTING, leading, working_state
from cloud.web.language import NOTHING, number
from cloud.web.visit import Visit
from cloud.web.words import BY_HAND, GATEWAY_LOST, NO, NO_DATA, REMOVED, UNREACHABLE, WAITING, YES, Mark
from protocols.dictionary.entries import equipment_classes, load_dictionary
from protocols.reading import BAD_WAITING_FOR_INITIAL_DATA, Quality
from protocols.text import Language, Text

_STATES = {"silent": GATEWAY_LOST, "down": UNREACHABLE, "removed": REMOVED, "by_hand": BY_HAND}


@dataclass
class Point:
    """One point: what it is, and its latest reading if it has any."""

    series: Series
    latest: Latest | None = None

    @property
    def id(self) -> int:
        """Number of its series."""
        return self.series.series_id

    @property
    def code(self) -> str:
        """Code of its dictionary entry, or ""."""
        return self.series.property

    @property
    def name(self) -> Text:
        """The dictionary's name, or the point's own where it is not mapped."""
        return Text(self.series.name_en, self.series.name_zh)

    @property
    def definition(self) -> Text:
        """What the dictionary says it is."""
        entry = load_dictionary().get(self.code)
        return entry.definition if entry else self.name

    @property
    def value(self) -> float | str | None:
        """The latest value."""
        return self.latest.value if self.latest else None

    @property
    def quality(self) -> Quality:
        """The latest value's quality."""
        return Quality(self.latest.quality) if self.latest else BAD_WAITING_FOR_INITIAL_DATA

    @property
    def numeric(self) -> bool:
        """True if it can be drawn as a curve."""
        return self.series.data_type != "STRING" and not isinstance(self.value, str)

    def shown(self, language: Language) -> str:
        """Return the value for a reader: a number, the name of a coded value, yes or no, or a dash where there is none."""
        value = self.value
        if value is None or isinstance(value, str):
            return value or NOTHING
        if self.series.data_type == "BOOLEAN":
            return (YES if value else NO).to(language)
        if names := self.series.values.get(int(value)):
            return names[language]
        return number(value, whole=self.series.data_type == "INTEGER_COUNT")


@dataclass
class Equipment:
    """One equipment, what the fleet knows of it, and its points by series."""

    known: FleetEquipment
    points: dict[int, Point] = field(default_factory=dict)

    @property
    def class_name(self) -> Text:
        """The name of its kind."""
        return equipment_classes().get(self.known.equipment_class, Text("Equipment", "设备"))

    @property
    def where(self) -> tuple[str, str]:
        """The names of its site and its line, "" for what serves the whole site."""
        return self.known.site, self.known.line or ""

    @property
    def reason(self) -> Text:
        """Why it is down."""
        return Text(self.known.reason_en, self.known.reason_zh)

    @property
    def mark(self) -> Mark:
        """Its state: first whether it is heard at all, then what its values say."""
        if self.known.state in _STATES:
            return _STATES[self.known.state]
        valued = [point for point in self.points.values() if point.latest]
        if not valued:
            return WAITING if self.known.state == "waiting" else NO_DATA
        return working_state(valued)

    @property
    def place(self) -> tuple[bool, bool, str]:
        """Its place among others: what makes parts, what helps it, what only measures; then by name."""
        makes = any(point.code in (PARTS_GOOD, PARTS_TOTAL) for point in self.points.values())
        return (self.known.equipment_class in SUPPORTING, not makes, self.known.label)

    @property
    def last_value(self) -> datetime | None:
        """When its newest value arose."""
        return max((point.latest.time for point in self.points.values() if point.latest), default=None)

    def ranked(self, count: int | None = None) -> list[Point]:
        """Return its points, those a manager looks for first in front."""
        return leading(self.known.equipment_class, list(self.points.values()), count)

    def number(self, property_code: str) -> float | None:
        """Return the present good value of a dictionary entry, or None; what is removed has no present."""
        if self.known.state == "removed":
            return None
        for point in self.points.values():
            if point.code == property_code and point.quality.good and isinstance(point.value, (int, float)):
                return float(point.value)
        return None


Plant = Mapping[UUID, Equipment]


def total(plant: Iterable[Equipment], property_code: str) -> float | None:
    """Return the sum of one dictionary entry over equipment, or None if none has a good value of it."""
    values = [value for each in plant if (value := each.number(property_code)) is not None]
    return sum(values) if values else None


async def load_plant(visit: Visit, where: Where = ANYWHERE, *, most: int | None = None) -> dict[UUID, Equipment]:
    """Return equipment of the tenant by id, what makes parts first, with its points and latest values.

    Of more than `most` in several places only the points that say in what state a machine is and what power it draws.
    """
    telemetry, fleet = visit.domains.telemetry, visit.domains.fleet
    plant = {known.id: Equipment(known) for known in await fleet.equipment_list(visit.scope, where=where)}
    by_place = most is not None and len(plant) > most and len({each.where for each in plant.values()}) > 1
    few = MOMENTARY if by_place else None
    machines = None if where == ANYWHERE else list(plant)
    series = await telemetry.points(visit.scope, machines, properties=few)
    asked = None if few is None and machines is None else [one.series_id for one in series]
    latest = {value.series_id: value for value in await telemetry.latest(visit.scope, series=asked)}
    for one in series:
        if one.equipment_id in plant:
            plant[one.equipment_id].points[one.series_id] = Point(one, latest.get(one.series_id))
    return dict(sorted(plant.items(), key=lambda item: item[1].place))


async def load_points(visit: Visit, series: Sequence[Series]) -> list[tuple[Equipment, Point]]:
    """Return the points of `series` with their equipment and latest values, in their order."""
    machines = {one.equipment_id for one in series}
    known = {one.id: Equipment(one) for one in await visit.domains.fleet.equipment_list(visit.scope, only=machines)}
    asked = [one.series_id for one in series]
    latest = {value.series_id: value for value in await visit.domains.telemetry.latest(visit.scope, series=asked)}
    return [
        (known[one.equipment_id], Point(one, latest.get(one.series_id))) for one in series if one.equipment_id in known
    ]


async def load_equipment(visit: Visit, identity: UUID) -> Equipment:
    """Return one equipment with its points and latest values; raises NotFound."""
    equipment = Equipment(await visit.domains.fleet.equipment(visit.scope, identity))
    latest = {value.series_id: value for value in await visit.domains.telemetry.latest(visit.scope, identity)}
    for series in await visit.domains.telemetry.points(visit.scope, identity):
        equipment.points[series.series_id] = Point(series, latest.get(series.series_id))
    return equipment


def take(plant: Plant, values: Iterable[Latest]) -> bool:
    """Put newer values into `plant`; False if one belongs to a point it does not know."""
    for value in values:
        point = plant[value.equipment_id].points.get(value.series_id) if value.equipment_id in plant else None
        if point is None:
            return False
        point.latest = value
    return True
