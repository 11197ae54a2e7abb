"""How machines are read, how fast they are planned to be, and what is made on them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Invalid, NotFound
from cloud.core.principal import Principal, TenantScope
from cloud.core.since import BEGINNING, check_hour, this_hour
from cloud.dictionary.service import entry_of, unit_symbol
from cloud.production.kpi import NO_RUN_TIME
from cloud.production.observer import Plant, plant
from cloud.production.places import Machine, place_of
from cloud.production.schemas import (
    EquipmentSettings,
    MachineReading,
    Node,
    ProductRun,
    ProductRunRequest,
    RunTime,
    RunTimeRequest,
    SettingsVersion,
    Threshold,
)
from cloud.production.sources import PROBLEMS
from cloud.production.store import machine_settings as store
from cloud.production.store import records, states
from cloud.production.two_modes import two_modes
from cloud.telemetry.service import used_minutes
from protocols.text import Text

_LOOKED_AT = timedelta(days=14)
_WHOLE_MINUTE = Text("Give a whole minute; counts are kept by the minute.", "时间应为整分钟；计数按分钟记录。")
_ONE_MODE = Text(
    "the values of the last 14 days do not fall into two groups, running and standing; choose another point, such as power",
    "近 14 天的数值没有分成“运行”与“停机”两组，请选择其他点，例如功率",
)


class MachineSettings:
    """Reads and changes them. Every change has the figures it touches made anew."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def get(self, scope: TenantScope, equipment_id: UUID) -> EquipmentSettings:
        """Return how a machine is read; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            known = await plant(connection)
            if equipment_id not in known.machines:
                raise NotFound
            return known.settings_of(equipment_id)

    async def readings(self, scope: TenantScope, node: Node) -> list[MachineReading]:
        """Return how the machines of `node` are read, by name; raises NotFound."""
        now = datetime.now(UTC)
        async with self._db.tenant(scope) as connection:
            place = await place_of(connection, node)
            known = await plant(connection)
            return [
                _reading(known, machine, await records.select_run_times(connection, machine.id), now)
                for machine in place.machines
            ]

    async def versions(self, scope: TenantScope, equipment_id: UUID) -> list[SettingsVersion]:
        """Return how a machine is and was read, newest first; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            await _machine(connection, equipment_id)
            return [SettingsVersion(**row) for row in await store.select_settings(connection, equipment_id)]

    async def put(
        self,
        principal: Principal,
        equipment_id: UUID,
        settings: EquipmentSettings,
        valid_from: datetime | None = None,
    ) -> EquipmentSettings:
        """Say how a machine is read from a whole hour on: this one, but from the beginning where it was not read so far.

        What comes before stays as it was. Raises NotFound, and Invalid for a point the machine does not have or no whole hour.
        """
        async with self._db.tenant(principal.scope) as connection:
            known = await plant(connection)
            if equipment_id not in known.machines:
                raise NotFound
            points = {point.name for point in known.points.get(equipment_id, ())}
            _check(settings, points)
            is_read = bool(known.settings.get(equipment_id)) or known.sources(equipment_id).takes_part
            since = valid_from or (this_hour() if is_read else BEGINNING)
            check_hour(since)
            body = settings.model_dump(mode="json")
            await store.upsert_settings(connection, equipment_id, since, body, principal.email)
            await states.note_since(connection, [equipment_id], since, states=True)
            await audit.record(
                connection,
                principal.actor,
                "production.set",
                str(equipment_id),
                valid_from=since.isoformat(),
                before=known.settings_of(equipment_id, since).model_dump(mode="json"),
                after=body,
            )
        return settings

    async def remove_version(self, principal: Principal, equipment_id: UUID, valid_from: datetime) -> None:
        """Take a version of a machine's settings away; the one before it goes on. Raises NotFound."""
        async with self._db.tenant(principal.scope) as connection:
            await _machine(connection, equipment_id)
            gone = await store.delete_settings(connection, equipment_id, valid_from)
            if gone is None:
                raise NotFound
            await states.note_since(connection, [equipment_id], valid_from, states=True)
            await audit.record(
                connection,
                principal.actor,
                "production.unset",
                str(equipment_id),
                valid_from=valid_from.isoformat(),
                before=gone,
            )

    async def propose_threshold(self, scope: TenantScope, equipment_id: UUID, point: str) -> Threshold:
        """Return what parts running from standing, by the last 14 days of a point; raises NotFound for no such point."""
        now = datetime.now(UTC)
        async with self._db.tenant(scope) as connection:
            known = await plant(connection)
            chosen = next((one for one in known.points.get(equipment_id, ()) if one.name == point), None)
            if chosen is None:
                raise NotFound
            minutes = await used_minutes(connection, chosen.series_id, now - _LOOKED_AT, now)
        modes = two_modes(minutes.mean)
        entry = entry_of(chosen.property)
        return Threshold(
            point=point,
            unit=unit_symbol(entry.unit) if entry else "",
            value=modes.threshold if modes else None,
            low=modes.low if modes else None,
            high=modes.high if modes else None,
            share_high=modes.share_high if modes else None,
            reason_en="" if modes else _ONE_MODE.en,
            reason_zh="" if modes else _ONE_MODE.zh,
        )

    async def run_times(self, scope: TenantScope, equipment_id: UUID) -> list[RunTime]:
        """Return the planned run times of a machine, oldest first; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            await _machine(connection, equipment_id)
            return [
                RunTime(
                    equipment_id=equipment_id,
                    item=row["item"],
                    valid_from=row["valid_from"],
                    seconds=row["run_time_us"] / 1e6,
                )
                for row in await records.select_run_times(connection, equipment_id)
            ]

    async def put_run_time(self, principal: Principal, equipment_id: UUID, request: RunTimeRequest) -> RunTime:
        """Keep a planned run time, in place of one of the same item and time; raises NotFound, Invalid."""
        _check_minute(request.valid_from)
        async with self._db.tenant(principal.scope) as connection:
            await _machine(connection, equipment_id)
            await store.upsert_run_time(
                connection, equipment_id, request.item, request.valid_from, round(request.seconds * 1e6)
            )
            await _changed(connection, principal, equipment_id, request.valid_from, "run_time.put", request)
        return RunTime(equipment_id=equipment_id, **request.model_dump())

    async def remove_run_time(self, principal: Principal, equipment_id: UUID, item: str, valid_from: datetime) -> None:
        """Take a planned run time away; the one before it goes on. Raises NotFound."""
        async with self._db.tenant(principal.scope) as connection:
            seconds = await store.delete_run_time(connection, equipment_id, item, valid_from)
            if seconds is None:
                raise NotFound
            gone = RunTimeRequest(item=item, valid_from=valid_from, seconds=seconds / 1e6)
            await _changed(connection, principal, equipment_id, valid_from, "run_time.remove", gone)

    async def product_runs(
        self, scope: TenantScope, equipment_id: UUID, start: datetime, end: datetime
    ) -> list[ProductRun]:
        """Return what was made on a machine from [start, end) on, oldest first; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            await _machine(connection, equipment_id)
            rows = await records.select_runs(connection, equipment_id)
        return [ProductRun(equipment_id=equipment_id, **row) for row in rows if start <= row["start"] < end]

    async def put_product_run(self, principal: Principal, equipment_id: UUID, request: ProductRunRequest) -> ProductRun:
        """Say what is made on a machine from a minute on; raises NotFound, Invalid."""
        _check_minute(request.start)
        async with self._db.tenant(principal.scope) as connection:
            await _machine(connection, equipment_id)
            await store.upsert_run(connection, equipment_id, **request.model_dump())
            await _changed(connection, principal, equipment_id, request.start, "product_run.put", request)
        return ProductRun(equipment_id=equipment_id, **request.model_dump())

    async def remove_product_run(self, principal: Principal, equipment_id: UUID, start: datetime) -> None:
        """Take a run away; the one before it goes on. Raises NotFound."""
        async with self._db.tenant(principal.scope) as connection:
            row = await store.delete_run(connection, equipment_id, start)
            if row is None:
                raise NotFound
            await _changed(
                connection, principal, equipment_id, start, "product_run.remove", ProductRunRequest(start=start, **row)
            )


def _reading(known: Plant, machine: Machine, run_times: list[records.Row], now: datetime) -> MachineReading:
    sources = known.sources(machine.id)
    rates = [row["run_time_us"] / 1e6 for row in run_times if row["item"] == "" and row["valid_from"] <= now]
    counts = {"total", "good", "scrap"} & sources.counters.keys()
    problems = set(sources.problems)
    if not counts and not sources.inspects and "several_counts" not in problems:
        problems.add("no_count")
    elif counts == {"total"} and not known.settings_of(machine.id).all_good:
        problems.add("no_quality")
    lacks = [PROBLEMS[problem] for problem in sorted(problems)] + ([] if run_times else [NO_RUN_TIME])
    return MachineReading(
        equipment_id=machine.id,
        equipment=machine.name,
        takes_part=sources.takes_part,
        sources=sorted(sources.codes),
        lacks_en=[one.en for one in lacks],
        lacks_zh=[one.zh for one in lacks],
        run_time_s=rates[-1] if rates else None,
        points=[point.name for point in known.points.get(machine.id, ())],
        settings=known.settings_of(machine.id),
    )


async def _changed(  # noqa: PLR0917 - one of each
    connection: AsyncConnection,
    principal: Principal,
    equipment_id: UUID,
    start: datetime,
    act: str,
    what: RunTimeRequest | ProductRunRequest,
) -> None:
    """Have the shifts from `start` on be made anew, and write the audit log."""
    await states.note_since(connection, [equipment_id], start, states=False)
    await audit.record(connection, principal.actor, act, str(equipment_id), **what.model_dump(mode="json"))


async def _machine(connection: AsyncConnection, equipment_id: UUID) -> None:
    if equipment_id not in (await plant(connection)).machines:
        raise NotFound


def _check_minute(time: datetime) -> None:
    if time.second or time.microsecond:
        raise Invalid(_WHOLE_MINUTE)


def _check(settings: EquipmentSettings, points: set[str]) -> None:
    for field, value in settings.model_dump().items():
        if field.endswith("_point") and value is not None and value not in points:
            raise Invalid(
                Text(
                    f"{field}: the machine has no point '{value}'. It has: {', '.join(sorted(points)[:20]) or 'none'}.",
                    f"{field}：设备没有名为“{value}”的点。现有：{'、'.join(sorted(points)[:20]) or '无'}。",
                )
            )
    if (settings.threshold is None) != (settings.threshold_point is None):
        raise Invalid(Text("threshold and threshold_point go together.", "threshold 与 threshold_point 须同时填写。"))
