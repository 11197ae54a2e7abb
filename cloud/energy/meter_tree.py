"""The trees that meters form, so that nothing is counted twice; pure functions.

A meter's energy is part of its parent's. What a node of the plant - a site, a line, a machine - has used is the sum of the
topmost meters that measure it or something in it: those with no other such meter above them. What a meter has measured
beyond the meters behind it is its *rest*. A virtual meter is counted only where a person has given it a place: it measures
a line or machine, stands behind another one, or others stand behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from cloud.energy.profiles import Profile, combined, summed
from cloud.energy.schemas import Meter


class Place(NamedTuple):
    """Where a machine stands: what is needed to tell which meters measure in which node."""

    site_id: UUID
    line_id: UUID | None


class Forest:
    """The meters of one carrier of one site.

    Args:
        meters: of one carrier and site; ignored ones are left out.
        places: of the machines, by id.
        turns: of the meters that measured one thing after the other, as a meter for each.
    """

    def __init__(
        self,
        meters: Iterable[Meter],
        places: Mapping[UUID, Place],
        turns: Mapping[UUID, Sequence[Meter]] = MappingProxyType({}),
    ) -> None:
        self._turns = turns
        self.meters = {meter.id: meter for meter in meters if not meter.ignored}
        self._places = places
        self._children: dict[UUID, list[Meter]] = {}
        for meter in self.meters.values():
            if meter.parent_id in self.meters:
                self._children.setdefault(meter.parent_id, []).append(meter)

    def children(self, meter: Meter) -> list[Meter]:
        """Return the meters that are measured behind `meter`."""
        return self._children.get(meter.id, [])

    def counted(self) -> list[Meter]:
        """Return the meters that stand for something."""
        return [
            meter
            for meter in self.meters.values()
            if meter.basis != "virtual"
            or meter.equipment_id
            or meter.line_id
            or meter.parent_id
            or self.children(meter)
        ]

    def line_of(self, meter: Meter) -> UUID | None:
        """Return the line a meter measures, or measures something in."""
        if meter.line_id:
            return meter.line_id
        place = self._places.get(meter.equipment_id) if meter.equipment_id else None
        return place.line_id if place else None

    def of_site(self) -> list[Meter]:
        """Return the meters whose sum is the site's energy."""
        return self._topmost(self.counted())

    def of_line(self, line_id: UUID) -> list[Meter]:
        """Return the meters whose sum is a line's energy."""
        return self._topmost(self.counted(), lambda meter: self.line_of(meter) == line_id)

    def of_equipment(self, equipment_id: UUID) -> list[Meter]:
        """Return the meters whose sum is a machine's energy."""
        return self._topmost(self.counted(), lambda meter: meter.equipment_id == equipment_id)

    def _topmost(self, counted: Sequence[Meter], measures: Callable[[Meter], bool] | None = None) -> list[Meter]:
        """Return those of `counted`, or of their turns, that measure it, without those behind another one that does."""
        chosen = {
            meter.id: [meter]
            if measures is None
            else [turn for turn in self._turns.get(meter.id, [meter]) if measures(turn)]
            for meter in counted
        }
        known = {meter for meter, turns in chosen.items() if turns}
        return [
            turn
            for meter in counted
            if not any(above in known for above in self._above(meter))
            for turn in chosen[meter.id]
        ]

    def _above(self, meter: Meter) -> Iterable[UUID]:
        at = self.meters.get(meter.parent_id) if meter.parent_id else None
        while at is not None:
            yield at.id
            at = self.meters.get(at.parent_id) if at.parent_id else None


def circular(meters: Mapping[UUID, Meter], start: UUID) -> bool:
    """Tell whether `start` stands behind itself, or is computed from itself."""
    seen: set[UUID] = set()
    at = meters[start].parent_id
    while at is not None and at in meters:
        if at == start or at in seen:
            return True
        seen.add(at)
        at = meters[at].parent_id
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


def total(meters: Sequence[Meter], profiles: Mapping[UUID, Profile], nothing: Profile) -> Profile:
    """Return the sum of `meters`."""
    return summed([profiles[meter.id] for meter in meters], nothing)


def rest(meter: Meter, forest: Forest, profiles: Mapping[UUID, Profile]) -> Profile | None:
    """Return what a meter has measured beyond the meters behind it; None where there are none."""
    behind = forest.children(meter)
    if not behind:
        return None
    own = profiles[meter.id]
    return combined([(1, own), *((-1, profiles[child.id]) for child in behind)], own)
