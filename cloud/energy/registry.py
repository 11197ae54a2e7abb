"""What people say about energy: where meters stand, what a carrier costs, what it stands for. Each word is audited."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.keyset import WHOLE, Window
from cloud.core.principal import Principal, TenantScope
from cloud.dictionary.service import unit_symbol
from cloud.energy.carriers import CARRIERS
from cloud.energy.factors import UNITS, built_in
from cloud.energy.meter_places import MeterPlaces, check_circle, place_from, stood_behind
from cloud.energy.meter_tree import made_of_itself
from cloud.energy.schemas import (
    Factor,
    FactorRequest,
    Meter,
    MeterChange,
    MeterRequest,
    Tariff,
    TariffRequest,
)
from cloud.energy.store import meters as store
from cloud.energy.store import terms
from cloud.energy.store.days import mark_all_dirty
from cloud.energy.store.places import place_now
from cloud.energy.store.rows import Row, Taken
from cloud.energy.tariff_terms import TariffTerms
from protocols.dictionary.units import conversion
from protocols.errors import ConfigError
from protocols.text import Text

_SAMPLE = Path(__file__).with_name("sample_tariff.toml")
_POWER_UNIT = "KWT"
_OTHER_SITE = Text(
    "The meters of one tree are of one site and one carrier.", "同一计量树中的计量点必须属于同一站点和同一能源种类。"
)
_CIRCLE = Text("A meter cannot be computed from itself.", "计量点不能由其自身计算得出。")
_TWO_PLACES = Text("A meter measures a line or a machine, not both.", "计量点只能对应产线或设备之一。")
_NOT_THERE = Text("What it measures is not at the meter's site.", "所计量的对象不在该计量点所属站点。")
_ONLY_VIRTUAL = Text(
    "Only a virtual meter has parts; it has at least one, each once.",
    "只有虚拟计量点由其他计量点组成，且至少一个、不可重复。",
)
_TAKEN = Text("There is one from this day on already; remove it first.", "该日期起已有一个版本，请先删除。")
_HAS_METER = Text("This point is a meter already.", "该数据点已是计量点。")


class Registry:
    """Meters, tariffs and factors of a tenant."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.places = MeterPlaces(db)

    async def meters(self, scope: TenantScope, site_id: UUID | None = None, window: Window = WHOLE) -> list[Meter]:
        """Return the meters, of one site or of all, by name."""
        async with self._db.tenant(scope) as connection:
            return await meters_of(connection, site_id, window)

    async def create_meter(self, principal: Principal, request: MeterRequest) -> Meter:
        """Make a meter of a series, or a virtual one; raises NotFound, Invalid, and Conflict if the series has one."""
        async with self._db.tenant(principal.scope) as connection:
            await store.lock_meters(connection)
            basis = await _basis(connection, request)
            values = request.model_dump(exclude={"parts"}) | {"basis": basis}
            await _check_places(connection, request.site_id, request)
            try:
                meter_id = await store.insert_meter(connection, values)
            except Taken as error:
                raise Conflict(_HAS_METER) from error
            await self._settle(connection, meter_id, request)
            await audit.record(
                connection, principal.actor, "meter.create", str(meter_id), after=request.model_dump(mode="json")
            )
            return await _meter(connection, meter_id)

    async def change_meter(
        self, principal: Principal, meter_id: UUID, change: MeterChange, valid_from: datetime | None = None
    ) -> Meter:
        """Say what a meter is and where it stands, which confirms it; raises NotFound and Invalid.

        What it measures and which it stands behind holds from a whole hour on: this one unless told, but from the beginning where nobody had
        confirmed it; see `meter_places.place_from`.
        """
        async with self._db.tenant(principal.scope) as connection:
            await store.lock_meters(connection)
            before = await _meter(connection, meter_id)
            await _check_places(connection, before.site_id, change)
            await _check_unit(connection, before.series_id, before.basis, change)
            since = await place_from(connection, principal, before, change, valid_from)
            await store.update_meter(connection, meter_id, change.model_dump(exclude={"parts"}))
            await place_now(connection, meter_id)
            await self._settle(connection, meter_id, change)
            fields = set(MeterChange.model_fields)
            await audit.record(
                *(connection, principal.actor, "meter.change", str(meter_id)),
                before=before.model_dump(mode="json", include=fields),
                after=change.model_dump(mode="json"),
                valid_from=since.isoformat() if since else None,
            )
            return await _meter(connection, meter_id)

    async def confirm_meters(self, principal: Principal, site_id: UUID) -> None:
        """Say that the meters of a site measure and stand behind what the cloud assumes; raises NotFound."""
        async with self._db.tenant(principal.scope) as connection:
            await store.lock_meters(connection)
            await _check_site(connection, site_id)
            if confirmed := await store.confirm_meters(connection, site_id):
                await audit.record(connection, principal.actor, "meter.confirm", str(site_id), meters=confirmed)

    async def delete_meter(self, principal: Principal, meter_id: UUID) -> None:
        """Remove a virtual meter. A measured one is ignored from now on, as its readings go on; see `change_meter`.

        Raises NotFound, and Conflict while another one stands on it.
        """
        async with self._db.tenant(principal.scope) as connection:
            await store.lock_meters(connection)
            meter = await _meter(connection, meter_id)
            _check_free(await _kin(connection, meter_id))
            if meter.basis == "virtual":
                await store.delete_meter(connection, meter_id)
            else:
                values = meter.model_dump(include=set(MeterChange.model_fields)) | {"ignored": True}
                await store.update_meter(connection, meter_id, values)
            await audit.record(connection, principal.actor, "meter.delete", str(meter_id), before=meter.name)

    def sample_terms(self) -> TariffTerms:
        """Return made-up terms to start a form from."""
        with _SAMPLE.open("rb") as file:
            return TariffTerms.model_validate(tomllib.load(file))

    async def tariffs(self, scope: TenantScope, site_id: UUID | None = None) -> list[Tariff]:
        """Return the versions of tariffs, of one site or of all; of each site and carrier the newest first."""
        async with self._db.tenant(scope) as connection:
            return [Tariff(**row) for row in await terms.select_tariffs(connection, site_id)]

    async def create_tariff(self, principal: Principal, request: TariffRequest) -> Tariff:
        """Enter a version of a tariff; raises NotFound for an unknown site, Conflict for a day that has one."""
        async with self._db.tenant(principal.scope) as connection:
            await _check_site(connection, request.site_id)
            values = request.model_dump(mode="json")
            try:
                tariff_id = await terms.insert_tariff(connection, {**values, "created_by": principal.actor})
            except Taken as error:
                raise Conflict(_TAKEN) from error
            await audit.record(connection, principal.actor, "tariff.create", str(tariff_id), after=values)
            rows = await terms.select_tariffs(connection, request.site_id)
        return next(Tariff(**row) for row in rows if row["id"] == tariff_id)

    async def delete_tariff(self, principal: Principal, tariff_id: UUID) -> None:
        """Remove a version, as if it had never been; the one before it holds again. Raises NotFound."""
        async with self._db.tenant(principal.scope) as connection:
            row = await terms.delete_tariff(connection, tariff_id)
            if row is None:
                raise NotFound
            await audit.record(connection, principal.actor, "tariff.delete", str(tariff_id), before=row)

    async def factors(self, scope: TenantScope, site_id: UUID | None = None) -> list[Factor]:
        """Return the sites' own factors, of one site or of all, then those that come with the product."""
        async with self._db.tenant(scope) as connection:
            own = [factor_of(row) for row in await terms.select_factors(connection, site_id)]
        return [*own, *built_in()]

    async def create_factor(self, principal: Principal, request: FactorRequest) -> Factor:
        """Enter a factor; raises NotFound for an unknown site, Conflict for a day that has one."""
        async with self._db.tenant(principal.scope) as connection:
            await _check_site(connection, request.site_id)
            try:
                values = request.model_dump() | {"created_by": principal.actor}
                factor_id = await terms.insert_factor(connection, values)
            except Taken as error:
                raise Conflict(_TAKEN) from error
            after = request.model_dump(mode="json")
            await audit.record(connection, principal.actor, "factor.create", str(factor_id), after=after)
        return factor_of(request.model_dump() | {"id": factor_id})

    async def delete_factor(self, principal: Principal, factor_id: UUID) -> None:
        """Remove a factor; what held before holds again. Raises NotFound."""
        async with self._db.tenant(principal.scope) as connection:
            row = await terms.delete_factor(connection, factor_id)
            if row is None:
                raise NotFound
            await audit.record(connection, principal.actor, "factor.delete", str(factor_id), before=row)

    async def _settle(self, connection: AsyncConnection, meter_id: UUID, change: MeterChange) -> None:
        """Store the parts, check that the trees are trees, and have the meter computed anew."""
        meter = await _meter(connection, meter_id)
        parts = {part.meter_id: int(part.factor) for part in change.parts}
        if (meter.basis == "virtual") != bool(parts) or len(parts) != len(change.parts):
            raise Invalid(_ONLY_VIRTUAL)
        known = {one.id: one for one in await meters_of(connection, meter.site_id) if one.carrier == meter.carrier}
        if any(other not in known for other in (*parts, *([meter.parent_id] if meter.parent_id else []))):
            raise Invalid(_OTHER_SITE)
        await store.replace_parts(connection, meter_id, parts)
        known[meter_id] = await _meter(connection, meter_id)
        if made_of_itself(known, meter_id):
            raise Invalid(_CIRCLE)
        await check_circle(connection, meter_id)
        kin = await _kin(connection, meter_id)
        if any(one.carrier != meter.carrier for one in kin):
            raise Invalid(_OTHER_SITE)
        if meter.ignored:
            _check_free(kin)
        if meter.series_id is not None:
            await mark_all_dirty(connection, [meter_id])


async def meters_of(connection: AsyncConnection, site_id: UUID | None = None, window: Window = WHOLE) -> list[Meter]:
    """Return the tenant's meters within a transaction."""
    return [_answer(row) for row in await store.select_meters(connection, site_id, window)]


def factor_of(row: Mapping[str, object]) -> Factor:
    """Return a stored factor with its unit."""
    unit = f"{UNITS[row['kind']]}/{CARRIERS[str(row['carrier'])].symbol}"  # type: ignore[index]
    return Factor.model_validate({**row, "unit": unit})


async def _meter(connection: AsyncConnection, meter_id: UUID) -> Meter:
    row = await store.select_meter(connection, meter_id)
    if row is None:
        raise NotFound
    return _answer(row)


def _answer(row: Row) -> Meter:
    return Meter.model_validate({**row, "unit": CARRIERS[row["carrier"]].symbol})


async def _kin(connection: AsyncConnection, meter_id: UUID) -> list[Meter]:
    """Return the meters that stand behind one, or stood at any time, or are computed from it."""
    behind = await stood_behind(connection, meter_id)
    return [
        one
        for one in await meters_of(connection)
        if one.id in behind or any(part.meter_id == meter_id for part in one.parts)
    ]


def _check_free(kin: Sequence[Meter]) -> None:
    if kin:
        names = ", ".join(one.name for one in kin[:5])
        raise Conflict(Text(f"These stand on it, or did: {names}.", f"以下计量点依赖或曾依赖它：{names}。"))


async def _check_site(connection: AsyncConnection, site_id: UUID) -> None:
    if not await store.has_site(connection, site_id):
        raise NotFound


async def _check_places(connection: AsyncConnection, site_id: UUID, change: MeterChange) -> None:
    await _check_site(connection, site_id)
    if change.equipment_id and change.line_id:
        raise Invalid(_TWO_PLACES)
    if not await store.is_at(connection, site_id, equipment=change.equipment_id, line=change.line_id):
        raise Invalid(_NOT_THERE)


async def _basis(connection: AsyncConnection, request: MeterRequest) -> str:
    if request.series_id is None:
        return "virtual"
    series = await store.select_series(connection, request.series_id)
    if series is None:
        raise NotFound
    if series["site_id"] != request.site_id:
        raise Invalid(_NOT_THERE)
    if _converts(series["unit"], _POWER_UNIT) and CARRIERS[request.carrier].rate == "kW":
        return "power"
    _demand_unit(series["unit"], request)
    return "counter"


async def _check_unit(connection: AsyncConnection, series_id: int | None, basis: str, change: MeterChange) -> None:
    series = await store.select_series(connection, series_id) if series_id is not None else None
    if series is None:
        return
    if basis == "counter":
        _demand_unit(series["unit"], change)
    elif CARRIERS[change.carrier].rate != "kW":
        raise Invalid(_unit_fault(series["unit"], change))


def _demand_unit(unit: str, change: MeterChange) -> None:
    if not _converts(unit, CARRIERS[change.carrier].unit):
        raise Invalid(_unit_fault(unit, change))


def _unit_fault(unit: str, change: MeterChange) -> Text:
    carrier, symbol = CARRIERS[change.carrier], unit_symbol(unit) or "1"
    return Text(
        f"A point in {symbol} does not measure {carrier.name.en.lower()}, which is counted in {carrier.symbol}.",
        f"单位为 {symbol} 的数据点不能计量{carrier.name.zh}（单位 {carrier.symbol}）。",
    )


def _converts(unit: str, wanted: str) -> bool:
    try:
        conversion(unit, wanted)
    except ConfigError:
        return False
    return True
