"""The trees that meters form, so that nothing is counted twice; pure functions.

A meter's energy is part of its parent's. What a node of the plant - a site, a line, a machine - has used is the sum of the
topmost meters that measure it or something in it: those with no other such meter above them. Which stands behind which may
change: then each era has trees of its own. What a meter has measured beyond the meters behind it is its *rest*. A virtual
meter is counted only where a person has given it a place: it measures a line or machine, stands behind another one, or
others stand behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID, uuid5

from cloud.energy.profiles import Profile, combined
from cloud.energy.schemas import Meter
from cloud.production.schemas import Node


class Place(NamedTuple):
    """Where a machine stands: what is needed to tell which meters measure in which node."""

    site_id: UUID
    line_id: UUID | None


class Era(NamedTuple):
    """A time [start, end) in which every meter that is not ignored measured one thing and stood behind one other."""

    start: datetime
    end: datetime
    meters: Mapping[UUID, Meter]


class Part(NamedTuple):
    """A meter in some eras of a forest, by their numbers."""

    meter_id: UUID
    eras: tuple[int, ...]


class Forest:
    """The meters of one carrier of one site.

    A meter that counts for something in some of the eras only is given as one of its own, whose id `part_of` knows.

    Args:
        eras: of a window, oldest first; at least one.
        places: of the machines, by id.
    """

    def __init__(self, eras: Sequence[Era], places: Mapping[UUID, Place]) -> None:
        self.eras = eras
        self.meters = eras[-1].meters
        self._places = places
        self._parts: dict[UUID, Part] = {}
        self._behind: list[dict[UUID, list[UUID]]] = []
        for era in eras:
            behind: dict[UUID, list[UUID]] = {}
            for meter in era.meters.values():
                if meter.parent_id is not None and meter.parent_id in era.meters:
                    behind.setdefault(meter.parent_id, []).append(meter.id)
            self._behind.append(behind)
        self._counted = [
            [meter for meter in era.meters.values() if _stands(meter) or meter.id in behind]
            for era, behind in zip(eras, self._behind, strict=True)
        ]
        self._measuring: list[dict[UUID | None, list[Meter]]] = []
        for counted in self._counted:
            measuring: dict[UUID | None, list[Meter]] = {}
            for meter in counted:
                measuring.setdefault(meter.equipment_id, []).append(meter)
            self._measuring.append(measuring)

    def part_of(self, meter_id: UUID) -> Part:
        """Return which meter it is that was given, and in which eras it counts."""
        return self._parts.get(meter_id) or Part(meter_id, tuple(range(len(self.eras))))

    def children(self, meter: Meter) -> list[Meter]:
        """Return the meters that are measured behind `meter` while it counts."""
        whole, eras = self.part_of(meter.id)
        found: dict[UUID, list[int]] = {}
        for era in eras:
            for child in self._behind[era].get(whole, ()):
                found.setdefault(child, []).append(era)
        return [self._given(child, when) for child, when in found.items()]

    def line_of(self, meter: Meter) -> UUID | None:
        """Return the line a meter measures, or measures something in."""
        if meter.line_id:
            return meter.line_id
        place = self._places.get(meter.equipment_id) if meter.equipment_id else None
        return place.line_id if place else None

    def of_site(self) -> list[Meter]:
        """Return the meters whose sum is the site's energy."""
        return self._topmost(self._counted)

    def of_line(self, line_id: UUID) -> list[Meter]:
        """Return the meters whose sum is a line's energy."""
        return self._topmost([[one for one in counted if self.line_of(one) == line_id] for counted in self._counted])

    def of_equipment(self, equipment_id: UUID) -> list[Meter]:
        """Return the meters whose sum is a machine's energy."""
        return self._topmost([measuring.get(equipment_id, []) for measuring in self._measuring])

    def of(self, node: Node) -> list[Meter]:
        """Return the meters whose sum is a node's energy."""
        if node.kind == "equipment":
            return self.of_equipment(node.id)
        return self.of_line(node.id) if node.kind == "line" else self.of_site()

    def _topmost(self, measuring: Sequence[Sequence[Meter]]) -> list[Meter]:
        """Return those that measure it, given by era, in the eras in which none above them does."""
        found: dict[UUID, list[int]] = {}
        for number, (era, there) in enumerate(zip(self.eras, measuring, strict=True)):
            known = {meter.id for meter in there}
            for meter in there:
                if not any(above in known for above in _above(era, meter)):
                    found.setdefault(meter.id, []).append(number)
        return [self._given(meter, eras) for meter, eras in found.items()]

    def _given(self, meter_id: UUID, eras: Sequence[int]) -> Meter:
        """Return a meter as it stood in the last of `eras`, under an id of its own unless these are all."""
        meter = self.eras[eras[-1]].meters[meter_id]
        if len(eras) == len(self.eras):
            return meter
        part = Part(meter_id, tuple(eras))
        identity = uuid5(meter_id, str(part.eras))
        self._parts[identity] = part
        return meter.model_copy(update={"id": identity})


def _stands(meter: Meter) -> bool:
    """Tell whether a meter stands for something by itself, wherever others stand."""
    return bool(meter.basis != "virtual" or meter.equipment_id or meter.line_id or meter.parent_id)


def _above(era: Era, meter: Meter) -> Iterator[UUID]:
    seen = {meter.id}
    at = era.meters.get(meter.parent_id) if meter.parent_id else None
    while at is not None and at.id not in seen:  # where the cloud assumes a place, nobody has made sure of it
        seen.add(at.id)
        yield at.id
        at = era.meters.get(at.parent_id) if at.parent_id else None


def made_of_itself(meters: Mapping[UUID, Meter], start: UUID) -> bool:
    """Tell whether `start` is computed from itself."""
    return _made_of(meters, start, start, set())


def _made_of(meters: Mapping[UUID, Meter], at: UUID, wanted: UUID, seen: set[UUID]) -> bool:
    for part in meters[at].parts if at in meters else []:
        if part.meter_id == wanted:
            return True
        if part.meter_id not in seen:
            seen.add(part.meter_id)
            if _made_of(meters, part.meter_id, wanted, seen):
                return True
    return False


def with_parts(meters: Mapping[UUID, Meter], wanted: Iterable[UUID]) -> set[UUID]:
    """Return those of `meters` that are wanted, and those that virtual ones of them are computed from."""
    found: set[UUID] = set()
    ahead = list(wanted)
    while ahead:
        at = ahead.pop()
        if at in meters and at not in found:
            found.add(at)
            ahead += [part.meter_id for part in meters[at].parts]
    return found


def with_virtual(
    meters: Mapping[UUID, Meter], measured: Mapping[UUID, Profile], nothing: Profile
) -> dict[UUID, Profile]:
    """Return the profile of every meter: the measured ones, and the virtual ones computed from them."""
    profiles: dict[UUID, Profile] = {}

    def of(meter_id: UUID) -> Profile:
        if meter_id not in profiles:
            meter = meters.get(meter_id)
            if meter is None or meter.basis != "virtual":
                profiles[meter_id] = measured.get(meter_id, nothing)
            else:
                profiles[meter_id] = combined([(part.factor, of(part.meter_id)) for part in meter.parts], nothing)
        return profiles[meter_id]

    for meter_id in meters:
        of(meter_id)
    return profiles
