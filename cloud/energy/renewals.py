"""Gathers what is known of machines and has it weighed: which one to renew."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from cloud.core import audit
from cloud.core.db import Database
from cloud.core.errors import NotFound
from cloud.core.principal import Principal, TenantScope
from cloud.energy.accounts import Account, load
from cloud.energy.profiles import month_of
from cloud.energy.renewal import Evidence, Month, advise
from cloud.energy.schemas import Advice, Assumptions, Meter, Window
from cloud.energy.store.days import select_totals
from cloud.energy.store.renewals import select_assumptions, upsert_assumptions
from cloud.fleet.schemas import Equipment
from cloud.fleet.service import Fleet
from cloud.identity.service import Identity
from cloud.production.service import Production

_MONTHS = 24
_PRICED_DAYS = 31
_AT_ONCE = 100
"""Machines whose shifts are read together: those of two years are many."""
_YEAR_DAYS = 365.25
_DAY_S = 86_400


class _Used(NamedTuple):
    """What a meter measured in a month: energy, seconds read, days."""

    month: date
    energy: float
    read_s: int
    days: int


class Renewals:
    """Advice on renewing a tenant's machines, and what people assume for it."""

    def __init__(self, db: Database, identity: Identity, fleet: Fleet, production: Production) -> None:
        self._db = db
        self._identity = identity
        self._fleet = fleet
        self._production = production

    async def advice(self, scope: TenantScope, site_id: UUID) -> list[Advice]:
        """Return the advice for the machines of a site that have a meter or assumptions; raises NotFound.

        Energy by month is of UTC days; the price is the mean of the last 31 days.
        """
        site = next((one for one in await self._identity.sites(scope) if one.id == site_id), None)
        if site is None:
            raise NotFound
        machines = await self._fleet.equipment_list(scope)
        now, zone = datetime.now(UTC), ZoneInfo(site.time_zone)
        today = now.astimezone(zone).date()
        first = (today.replace(day=1) - timedelta(days=30 * _MONTHS)).replace(day=1)
        async with self._db.tenant(scope) as connection:
            account = await load(
                connection, site, machines, "electricity", Window(now - timedelta(days=_PRICED_DAYS), now)
            )
            totals = await select_totals(connection, list(account.forest.meters), first)
            stored = {machine: Assumptions(**row) for machine, row in (await select_assumptions(connection)).items()}
        used: dict[UUID, list[_Used]] = {}
        for meter, month, energy, read_s, days in totals:
            used.setdefault(meter, []).append(_Used(month, energy, read_s, days))
        measured = {machine.id: account.forest.of_equipment(machine.id) for machine in account.machines}
        weighed = [machine for machine in account.machines if measured[machine.id] or machine.id in stored]
        found: list[Evidence] = []
        for some in (weighed[at : at + _AT_ONCE] for at in range(0, len(weighed), _AT_ONCE)):
            made = await self._production.by_month(scope, {one.id for one in some if measured[one.id]}, first, today)
            for machine in some:
                found.append(_evidence(account, machine, measured[machine.id], used, made.get(machine.id, {})))
        return await asyncio.to_thread(advise, found, stored, account.currency, today)

    async def assume(self, principal: Principal, equipment_id: UUID, assumptions: Assumptions) -> None:
        """Say what is assumed of renewing a machine, in place of what was; raises NotFound."""
        await self._fleet.equipment(principal.scope, equipment_id)
        async with self._db.tenant(principal.scope) as connection:
            before = (await select_assumptions(connection)).get(equipment_id)
            await upsert_assumptions(connection, equipment_id, assumptions.model_dump())
            await audit.record(
                *(connection, principal.actor, "renewal.assume", str(equipment_id)),
                before=before,
                after=assumptions.model_dump(),
            )


def _evidence(
    account: Account,
    machine: Equipment,
    meters: Sequence[Meter],
    used: Mapping[UUID, Sequence[_Used]],
    made: Mapping[date, tuple[float | None, float | None]],
) -> Evidence:
    own = sorted({meter.id for meter in meters})
    by_month: dict[date, tuple[float, float]] = {}
    for meter_id in own:
        for month, energy, read_s, days in used.get(meter_id, ()):
            # A counter tells the energy of a silence, too; a power does not.
            told_s = read_s if account.forest.meters[meter_id].basis == "power" else days * _DAY_S
            before = by_month.get(month, (0.0, 0.0))
            by_month[month] = (before[0] + energy, before[1] + told_s / len(own))
    months = []
    for month, (energy, covered) in sorted(by_month.items()):
        good, availability = made.get(month, (None, None))
        length = month_of(month, ZoneInfo("UTC")).seconds
        months.append(Month(month, energy, covered / length, good, availability))
    measured_days = sum(covered for _, covered in by_month.values()) / _DAY_S
    whole = sum(energy for energy, _ in by_month.values())
    part = account.sum_of(meters).within(account.window) if meters else account.nothing
    cost = account.cost_of(part)
    priced = sum(band.energy for band in cost.bands)
    return Evidence(
        equipment_id=machine.id,
        name=machine.label,
        path=machine.path,
        installed_on=machine.installed_on,
        purchase_price=float(machine.purchase_price) if machine.purchase_price is not None else None,
        months=months,
        year_energy=whole / measured_days * _YEAR_DAYS if measured_days >= 1 else None,
        measured_days=measured_days,
        price=cost.total / priced if priced > 0 else None,
    )
