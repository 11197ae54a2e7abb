"""What meters measure and which they stand behind: each version holds from a whole hour on, so that the past stays as it was."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Invalid, NotFound
from cloud.core.principal import Principal, TenantScope
from cloud.core.since import BEGINNING, check_hour, this_hour
from cloud.energy.meter_tree import Era
from cloud.energy.schemas import Meter, MeterChange, PlaceVersion, Window
from cloud.energy.store import places as store
from cloud.energy.store.days import mark_all_dirty
from cloud.energy.store.meters import lock_meters, select_meter
from protocols.text import Text

_NOT_YET = Text(
    "A meter measures something else from an hour on that has begun.", "计量对象的生效时间不能晚于当前小时。"
)
_CIRCLE = Text("A meter cannot stand behind itself, at no time.", "计量点在任何时间都不能位于其自身之后。")
_FIRST_STAYS = Text(
    "What a meter measured from the beginning stays; say it anew instead.", "自始生效的计量对象不能删除，请重新设置。"
)

_HELD = {"equipment_id", "line_id", "parent_id"}

Versions = Mapping[UUID, Sequence[PlaceVersion]]


async def versions_by_meter(connection: AsyncConnection, meters: Collection[UUID]) -> dict[UUID, list[PlaceVersion]]:
    """Return the versions of what meters measure, oldest first, without those that have always measured the same."""
    found: dict[UUID, list[PlaceVersion]] = {}
    for row in await store.select_places(connection, meters):
        found.setdefault(row.pop("meter_id"), []).append(PlaceVersion(**row))
    return found


def placed(meter: Meter, versions: Sequence[PlaceVersion], at: datetime) -> Meter:
    """Return a meter with what it measured and stood behind until `at`."""
    begun = [version for version in versions if version.valid_from < at]
    return meter.model_copy(update=begun[-1].model_dump(include=_HELD)) if begun else meter


def eras_of(meters: Sequence[Meter], versions: Versions, window: Window) -> list[Era]:
    """Return the times of `window` in which every meter measured one thing and stood behind one other, oldest first."""
    changes = {version.valid_from for known in versions.values() for version in known}
    turns = sorted(at for at in changes if window.start < at < window.end)
    return [
        Era(begin, end, {one.id: placed(one, versions.get(one.id, []), end) for one in meters if not one.ignored})
        for begin, end in zip([window.start, *turns], [*turns, window.end], strict=True)
    ]


async def place_from(
    connection: AsyncConnection, principal: Principal, before: Meter, change: MeterChange, valid_from: datetime | None
) -> datetime | None:
    """Keep what a meter measures and stands behind from an hour on, within the caller's transaction; returns from when, None if no change.

    It is this hour, but the beginning where what it measures was assumed so far. Raises Invalid for no whole hour that has
    begun.
    """
    since = valid_from or (this_hour() if before.confirmed else BEGINNING)
    check_hour(since)
    if since > datetime.now(UTC):
        raise Invalid(_NOT_YET)
    known = (await versions_by_meter(connection, [before.id])).get(before.id, [])
    held = placed(before, known, datetime.fromtimestamp(since.timestamp() + 1, UTC))
    if held.model_dump(include=_HELD) == change.model_dump(include=_HELD):
        return None
    if not known:
        await store.upsert_place(connection, before.id, BEGINNING, **_place(before), by=None)
    await store.upsert_place(connection, before.id, since, **_place(change), by=principal.email)
    return since


async def check_circle(connection: AsyncConnection, meter_id: UUID) -> None:
    """Raise Invalid where a meter stands, or stood at any time, behind itself."""
    now = await store.select_parents(connection)
    versions = await versions_by_meter(connection, list(now))
    for begin in {BEGINNING, *(version.valid_from for known in versions.values() for version in known)}:
        seen, at = set[UUID](), meter_id
        while at not in seen:
            seen.add(at)
            begun = [version for version in versions.get(at, []) if version.valid_from <= begin]
            above = begun[-1].parent_id if begun else now.get(at)
            if above is None:
                break
            at = above
        else:
            raise Invalid(_CIRCLE)


async def stood_behind(connection: AsyncConnection, meter_id: UUID) -> set[UUID]:
    """Return the meters that stand behind one, or stood at any time."""
    now = await store.select_parents(connection)
    versions = await versions_by_meter(connection, list(now))
    past = {identity for identity, known in versions.items() if any(version.parent_id == meter_id for version in known)}
    return past | {identity for identity, parent in now.items() if parent == meter_id}


def _place(said: Meter | MeterChange) -> dict[str, UUID | None]:
    return {"equipment": said.equipment_id, "line": said.line_id, "parent": said.parent_id}


class MeterPlaces:
    """Reads what meters measured, and takes versions away."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def versions(self, scope: TenantScope, meter_id: UUID) -> list[PlaceVersion]:
        """Return what a meter measures and stands behind, and did, newest first; none if always the same. Raises NotFound."""
        async with self._db.tenant(scope) as connection:
            if await select_meter(connection, meter_id) is None:
                raise NotFound
            found = await versions_by_meter(connection, [meter_id])
        return found.get(meter_id, [])[::-1]

    async def remove(self, principal: Principal, meter_id: UUID, valid_from: datetime) -> None:
        """Take a version away; the one before it goes on.

        Raises NotFound, Invalid for what holds from the beginning, and where the meter would then have stood behind itself.
        """
        async with self._db.tenant(principal.scope) as connection:
            await lock_meters(connection)
            if await select_meter(connection, meter_id) is None:
                raise NotFound
            if valid_from == BEGINNING:
                raise Invalid(_FIRST_STAYS)
            gone = await store.delete_place(connection, meter_id, valid_from)
            if gone is None:
                raise NotFound
            await store.place_now(connection, meter_id)
            await check_circle(connection, meter_id)
            await mark_all_dirty(connection, [meter_id])
            await audit.record(
                *(connection, principal.actor, "meter.unplace", str(meter_id)),
                valid_from=valid_from.isoformat(),
                before={name: str(value) if value else None for name, value in gone.items()},
            )
