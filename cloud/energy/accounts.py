"""The account of a site: what its meters of one carrier measured over a window, with the prices and factors of the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from cloud.core.db import AsyncConnection
from cloud.energy import figures
from cloud.energy.carriers import CARRIERS, Carrier
from cloud.energy.factors import UNITS, factor_on
from cloud.energy.meter_places import eras_of, versions_by_meter
from cloud.energy.meter_tree import Forest, Place, with_parts, with_virtual
from cloud.energy.metering import DAY_S, INTERVAL_S, INTERVALS
from cloud.energy.profiles import Profile, combined, empty, summed
from cloud.energy.registry import factor_of, meters_of
from cloud.energy.schemas import CarrierCode, Factor, FactorKind, Figure, Meter, Window
from cloud.energy.store.days import select_activity, select_days
from cloud.energy.store.terms import select_factors, select_tariffs
from cloud.energy.tariff_terms import TariffTerms
from cloud.energy.tariffs import Cost, Prices, Version, cost, local_s, price, within
from cloud.fleet.schemas import Equipment
from cloud.identity.schemas import Site
from cloud.production.schemas import Node

_EPOCH = date(1970, 1, 1)


class Activity(NamedTuple):
    """Of each interval of an account, seconds a machine's state is known, and seconds it was known not to produce."""

    known: NDArray[np.float64]
    idle: NDArray[np.float64]

    def at(self, chosen: slice) -> Activity:
        """Return that of the chosen intervals."""
        return Activity(self.known[chosen], self.idle[chosen])


@dataclass(frozen=True)
class Account:
    """What is known of a site and a carrier over `window`.

    Attributes:
        forest: the meters that are not ignored.
        profiles: of every meter, or of those asked for, over the whole UTC days around the window.
        prices: of the same intervals.
        activity: what machines did in the same intervals, by id; none unless asked for.
        names: of the tariff's versions, by the day they hold from.
    """

    site: Site
    zone: ZoneInfo
    window: Window
    carrier: Carrier
    machines: Sequence[Equipment]
    forest: Forest
    profiles: Mapping[UUID, Profile]
    nothing: Profile
    versions: Sequence[Version]
    names: Mapping[date, str]
    prices: Prices
    own_factors: Sequence[Factor]
    activity: Mapping[UUID, Activity]

    def sum_of(self, meters: Sequence[Meter]) -> Profile:
        """Return the sum of meters over the whole account."""
        return summed([self.profile_of(meter) for meter in meters], self.nothing)

    def profile_of(self, meter: Meter) -> Profile:
        """Return the profile of a meter that the forest gave, in the eras it was given for."""
        whole, eras = self.forest.part_of(meter.id)
        profile, known = self.profiles[whole], self.forest.eras
        if len(eras) == len(known):
            return profile
        here = np.zeros(len(profile.energy))
        for era in eras:
            begin, end = (int(at.timestamp()) - profile.start_s for at in (known[era].start, known[era].end))
            first, last = begin // INTERVAL_S, -(-end // INTERVAL_S)
            here[0 if era == 0 else first : None if era == len(known) - 1 else last] = 1.0
        return profile.only(here)

    def rest_of(self, meter: Meter) -> Profile | None:
        """Return what a meter has measured beyond the meters behind it; None where there are none."""
        behind = self.forest.children(meter)
        if not behind:
            return None
        own = self.profile_of(meter)
        parts = [self.profile_of(child) for child in behind]
        # While a meter was not behind it, nothing of that meter is missing.
        known = [one.covered if one.here is None else np.where(one.here > 0, one.covered, own.covered) for one in parts]
        return combined(
            [(1, own), *((-1, replace(one, covered=covered)) for one, covered in zip(parts, known, strict=True))], own
        )

    def cost_of(self, part: Profile) -> Cost:
        """Return what a part of a profile costs."""
        return cost(part, within(self.prices, self._index(part), len(part.energy)))

    def factors_over(self, part: Profile, kind: FactorKind) -> tuple[NDArray[np.float64], list[Factor]]:
        """Return the factor of each interval of a part, NaN where there is none, and those that occur."""
        days = local_s(part.starts_s, self.zone) // DAY_S
        values, found = np.full(len(days), np.nan), dict[tuple[date, str], Factor]()
        edges = np.flatnonzero(np.append(True, np.diff(days) != 0)).tolist() if len(days) else []
        for begin, end in zip(edges, [*edges[1:], len(days)], strict=True):
            factor = factor_on(self.own_factors, self.carrier.code, kind, _EPOCH + timedelta(days=int(days[begin])))
            if factor:
                values[begin:end] = factor.value
                found[factor.valid_from, factor.source] = factor
        return values, list(found.values())

    def activity_of(self, equipment_id: UUID, part: Profile) -> Activity:
        """Return what a machine did in the intervals of a part."""
        begin, count = self._index(part), len(part.energy)
        known = self.activity.get(equipment_id)
        return known.at(slice(begin, begin + count)) if known else Activity(np.zeros(count), np.zeros(count))

    def emission(self, part: Profile, kind: FactorKind, inputs: Sequence[str]) -> Figure:
        """Return the CO2, or the coal, that a part stands for."""
        values, found = self.factors_over(part, kind)
        sources = [f"{factor.value:g} {factor.unit} {factor.source}" for factor in found]
        return figures.emission(part, values, UNITS[kind], [*inputs, *sources])

    @property
    def terms(self) -> TariffTerms | None:
        """The terms that hold when the window begins, else the first that begin within it."""
        first = self.window.start.astimezone(self.zone).date()
        begun = [version for version in self.versions if version.valid_from <= first]
        if begun:
            return max(begun, key=lambda version: version.valid_from).terms
        return min(self.versions, key=lambda version: version.valid_from).terms if self.versions else None

    @property
    def currency(self) -> str:
        """The tariff's currency, or the yuan where there is no tariff."""
        return self.terms.currency if self.terms else "CNY"

    def _index(self, part: Profile) -> int:
        return (part.start_s - self.nothing.start_s) // INTERVAL_S


async def load(
    connection: AsyncConnection,
    site: Site,
    machines: Sequence[Equipment],
    carrier: CarrierCode,
    window: Window,
    *,
    node: Node | None = None,
    states: bool = False,
) -> Account:
    """Return the account of a site for a carrier over `window`: with `states` also of what its machines did.

    With `node` only the profiles of that node's meters are read; of a large site that is a small part.
    """
    zone = ZoneInfo(site.time_zone)
    at_site = [machine for machine in machines if machine.site_id == site.id]
    meters = [meter for meter in await meters_of(connection, site.id) if meter.carrier == carrier]
    nothing = empty(window)
    versions_of = await versions_by_meter(connection, [meter.id for meter in meters])
    forest = Forest(
        eras_of(meters, versions_of, window),
        {machine.id: Place(site.id, machine.line_id) for machine in at_site},
    )
    known = {meter.id: meter for meter in meters}
    wanted = known if node is None else with_parts(known, [forest.part_of(one.id).meter_id for one in forest.of(node)])
    profiles = await _profiles(connection, {one: meter for one, meter in known.items() if one in wanted}, nothing)
    tariffs = [row for row in await select_tariffs(connection, site.id) if row["carrier"] == carrier]
    versions = [Version(row["valid_from"], TariffTerms.model_validate(row["terms"])) for row in tariffs]
    return Account(
        site=site,
        zone=zone,
        window=window,
        carrier=CARRIERS[carrier],
        machines=at_site,
        forest=forest,
        profiles=profiles,
        nothing=nothing,
        versions=versions,
        names={row["valid_from"]: row["name"] for row in tariffs},
        prices=price(versions, zone, nothing.start_s, len(nothing.energy)),
        activity=await _activities(connection, at_site, nothing) if states else {},
        own_factors=[factor_of(row) for row in await select_factors(connection, site.id)],
    )


async def _activities(
    connection: AsyncConnection, machines: Sequence[Equipment], nothing: Profile
) -> Mapping[UUID, Activity]:
    first, count = datetime.fromtimestamp(nothing.start_s, UTC).date(), len(nothing.energy)
    found: dict[UUID, Activity] = {}
    last = first + timedelta(days=count // INTERVALS - 1)
    for day in await select_activity(connection, [machine.id for machine in machines], first, last):
        at = (day.day - first).days * INTERVALS
        activity = found.setdefault(day.equipment_id, Activity(np.zeros(count), np.zeros(count)))
        activity.known[at : at + INTERVALS] = day.known
        activity.idle[at : at + INTERVALS] = day.idle
    return found


async def _profiles(connection: AsyncConnection, meters: Mapping[UUID, Meter], nothing: Profile) -> dict[UUID, Profile]:
    first = datetime.fromtimestamp(nothing.start_s, UTC).date()
    count = len(nothing.energy)
    measured = {
        meter.id: Profile(nothing.start_s, np.zeros(count), np.zeros(count), nothing.seconds)
        for meter in meters.values()
        if meter.basis != "virtual"
    }
    last = first + timedelta(days=count // INTERVALS - 1)
    for day in await select_days(connection, list(measured), first, last):
        at = (day.day - first).days * INTERVALS
        measured[day.meter_id].energy[at : at + INTERVALS] = day.energy
        measured[day.meter_id].covered[at : at + INTERVALS] = day.covered
    return with_virtual(meters, measured, nothing)
