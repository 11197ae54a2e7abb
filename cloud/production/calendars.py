"""Shift calendars of a tenant: kept in versions, and answered for every node of the plant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from uuid_utils.compat import uuid7

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Invalid, NotFound
from cloud.core.principal import AgentPrincipal, Principal, TenantScope
from cloud.production.calendar import Calendar, Version, misplaced_break, overlapping, own_or_inherited
from cloud.production.places import machines
from cloud.production.schemas import (
    CalendarException,
    CalendarRequest,
    CalendarVersion,
    ExceptionRequest,
    ShiftPattern,
)
from cloud.production.store import calendars as store
from cloud.production.store import states
from cloud.production.store.places import select_stations
from protocols.errors import Malformed
from protocols.text import Text
from protocols.uplink.shifts import DAYS_AHEAD, DAYS_BEFORE, PlannedShift, ShiftsPlanned, ShiftsRequest

_MOST_STATIONS = 200


@dataclass(frozen=True)
class Planned:
    """The calendars of a tenant as they are now."""

    zones: Mapping[UUID, ZoneInfo]
    versions: list[CalendarVersion]
    exceptions: list[CalendarException]

    def of(self, site_id: UUID, line_id: UUID | None = None) -> Calendar:
        """Return the calendar of a site, or of a line of it: its own or the site's; raises NotFound for no such site."""
        if site_id not in self.zones:
            raise NotFound
        site = self._calendar(site_id, None)
        return site if line_id is None else own_or_inherited(self._calendar(site_id, line_id), site)

    def _calendar(self, site_id: UUID, line_id: UUID | None) -> Calendar:
        place = (site_id, line_id)
        return Calendar(
            site_id,
            line_id,
            self.zones[site_id],
            [Version(one.valid_from, one.shifts) for one in self.versions if (one.site_id, one.line_id) == place],
            {one.day: one.works_as for one in self.exceptions if (one.site_id, one.line_id) == place},
        )


async def planned(connection: AsyncConnection) -> Planned:
    """Return the calendars of the tenant the running transaction is in."""
    return Planned(
        {row["id"]: ZoneInfo(row["time_zone"]) for row in await store.select_sites(connection)},
        [CalendarVersion(**row) for row in await store.select_versions(connection)],
        [CalendarException(**row) for row in await store.select_exceptions(connection)],
    )


class Calendars:
    """Reads and changes calendars."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def all(self, scope: TenantScope) -> Planned:
        """Return the tenant's calendars."""
        async with self._db.tenant(scope) as connection:
            return await planned(connection)

    async def of_stations(self, agent: AgentPrincipal, request: ShiftsRequest) -> ShiftsPlanned:
        """Return the planned shifts around today of an agent's stations; raises Malformed for what no agent asks."""
        if len(request.stations) > _MOST_STATIONS or any("\0" in name for name in request.stations):
            raise Malformed(Text("the stations are not valid", "工位无效"))
        async with self._db.tenant(agent.scope) as connection:
            rows = await select_stations(connection, agent.agent_id, request.stations)
            calendars = await planned(connection)
        planned_at: dict[tuple[UUID, UUID | None], list[PlannedShift]] = {}
        for place in {(row["site_id"], row["line_id"]) for row in rows}:
            today = datetime.now(calendars.zones[place[0]]).date()
            days = today - timedelta(days=DAYS_BEFORE), today + timedelta(days=DAYS_AHEAD)
            planned_at[place] = [
                PlannedShift(*(round(instant.timestamp() * 1e6) for instant in (shift.start, shift.end)))
                for shift in calendars.of(*place).of_days(*days)
            ]
        return ShiftsPlanned({row["name"]: planned_at[row["site_id"], row["line_id"]] for row in rows})

    async def put(self, principal: Principal, request: CalendarRequest) -> CalendarVersion:
        """Keep a version, in place of one of the same place and day.

        Raises Invalid if two shifts overlap or a break is not inside its shift, NotFound if there is no such place.
        """
        _check(request.shifts)
        try:
            async with self._db.tenant(principal.scope) as connection:
                identity = await store.upsert_version(
                    connection,
                    uuid7(),
                    site=request.site_id,
                    line=request.line_id,
                    valid_from=request.valid_from,
                    shifts=[shift.model_dump(mode="json") for shift in request.shifts],
                )
                await audit.record(
                    connection, principal.actor, "calendar.put", str(identity), **request.model_dump(mode="json")
                )
        except store.NoSuchPlace as error:
            raise NotFound from error
        await self._touched(principal, request.site_id, request.line_id, request.valid_from)
        return CalendarVersion(id=identity, **request.model_dump())

    async def remove(self, principal: Principal, version: UUID) -> None:
        """Take a version away; the one before it goes on. Raises NotFound."""
        async with self._db.tenant(principal.scope) as connection:
            row = await store.delete_version(connection, version)
            if row is None:
                raise NotFound
            await audit.record(
                connection,
                principal.actor,
                "calendar.remove",
                str(version),
                before=CalendarVersion(**row).model_dump(mode="json"),
            )
        await self._touched(principal, row["site_id"], row["line_id"], row["valid_from"])

    async def put_exception(self, principal: Principal, request: ExceptionRequest) -> CalendarException:
        """Keep an exception, in place of one of the same place and day; raises NotFound if there is no such place."""
        try:
            async with self._db.tenant(principal.scope) as connection:
                identity = await store.upsert_exception(
                    connection,
                    uuid7(),
                    site=request.site_id,
                    line=request.line_id,
                    day=request.day,
                    works_as=request.works_as,
                    name=request.name,
                )
                await audit.record(
                    connection,
                    principal.actor,
                    "calendar.put_exception",
                    str(identity),
                    **request.model_dump(mode="json"),
                )
        except store.NoSuchPlace as error:
            raise NotFound from error
        await self._touched(principal, request.site_id, request.line_id, request.day)
        return CalendarException(id=identity, **request.model_dump())

    async def remove_exception(self, principal: Principal, exception: UUID) -> None:
        """Let a day be as the week says again; raises NotFound."""
        async with self._db.tenant(principal.scope) as connection:
            row = await store.delete_exception(connection, exception)
            if row is None:
                raise NotFound
            await audit.record(
                connection,
                principal.actor,
                "calendar.remove_exception",
                str(exception),
                before=CalendarException(**row).model_dump(mode="json"),
            )
        await self._touched(principal, row["site_id"], row["line_id"], row["day"])

    async def _touched(self, principal: Principal, site_id: UUID, line_id: UUID | None, day: date) -> None:
        """Have the records of the machines there be made anew from two days before `day` on, whatever the zone.

        Of all machines there, also of those the person does not see.
        """
        begin = datetime.combine(day, time(), UTC) - timedelta(days=2)
        async with self._db.tenant(TenantScope(principal.scope.tenant_id)) as connection:
            there = [
                one.id
                for one in await machines(connection)
                if one.site_id == site_id and line_id in (None, one.line_id)
            ]
            await states.note_since(connection, there, begin, states=False)


def _check(shifts: list[ShiftPattern]) -> None:
    if pair := overlapping(shifts):
        one, other = pair
        raise Invalid(
            Text(
                f"The shifts '{one.name_en}' and '{other.name_en}' overlap; let one end where the other begins.",
                f"班次“{one.name_zh}”与“{other.name_zh}”时间重叠，请使前一班在后一班开始时结束。",
            )
        )
    for shift in shifts:
        if wrong := misplaced_break(shift):
            span = f"{wrong.start:%H:%M}-{wrong.end:%H:%M}"
            raise Invalid(
                Text(
                    f"A break of shift '{shift.name_en}' is not inside it, or overlaps another break ({span} from its begin).",
                    f"班次“{shift.name_zh}”的某段休息不在班次内，或与其他休息重叠（自班次开始起 {span}）。",
                )
            )
