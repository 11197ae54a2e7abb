"""What meters measure and measured: each version holds from a whole hour on, so that the past stays as it was."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid5

import numpy as np

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Invalid, NotFound
from cloud.core.principal import Principal, TenantScope
from cloud.core.since import BEGINNING, check_hour, this_hour
from cloud.energy.metering import INTERVAL_S
from cloud.energy.profiles import Profile
from cloud.energy.schemas import Meter, MeterChange, PlaceVersion, Window
from cloud.energy.store import places as store
from cloud.energy.store.days import mark_all_dirty
from cloud.energy.store.meters import select_meter
from protocols.text import Text

_NOT_YET = Text(
    "A meter measures something else from an hour on that has begun.", "计量对象的生效时间不能晚于当前小时。"
)
_FIRST_STAYS = Text(
    "What a meter measured from the beginning stays; say it anew instead.", "自始生效的计量对象不能删除，请重新设置。"
)

Versions = Mapping[UUID, Sequence[PlaceVersion]]


async def versions_by_meter(connection: AsyncConnection, meters: Collection[UUID]) -> dict[UUID, list[PlaceVersion]]:
    """Return the versions of what meters measure, oldest first, without those that have always measured the same."""
    found: dict[UUID, list[PlaceVersion]] = {}
    for row in await store.select_places(connection, meters):
        found.setdefault(row.pop("meter_id"), []).append(PlaceVersion(**row))
    return found


def placed(meter: Meter, versions: Sequence[PlaceVersion], at: datetime) -> Meter:
    """Return a meter with what it measured until `at`."""
    begun = [version for version in versions if version.valid_from < at]
    if not begun:
        return meter
    return meter.model_copy(update={"equipment_id": begun[-1].equipment_id, "line_id": begun[-1].line_id})


def turns_of(
    meters: Sequence[Meter], versions: Versions, profiles: Mapping[UUID, Profile], window: Window
) -> tuple[dict[UUID, list[Meter]], dict[UUID, Profile]]:
    """Return the meters that measured one thing after the other in `window`, as a meter for each, and what that measured."""
    turns: dict[UUID, list[Meter]] = {}
    parts: dict[UUID, Profile] = {}
    for meter in meters:
        known = versions.get(meter.id, [])
        ends = [version.valid_from for version in known[1:]] + [datetime.max.replace(tzinfo=UTC)]
        held = [
            (version, end)
            for version, end in zip(known, ends, strict=False)
            if version.valid_from < window.end and end > window.start
        ]
        if len(held) < 2:
            continue
        profile = profiles[meter.id]
        begins = profile.start_s + INTERVAL_S * np.arange(len(profile.energy))
        for version, end in held:
            here = (begins >= version.valid_from.timestamp()) & (begins < end.timestamp())
            turn = uuid5(meter.id, version.valid_from.isoformat())
            place = {"id": turn, "equipment_id": version.equipment_id, "line_id": version.line_id}
            turns.setdefault(meter.id, []).append(meter.model_copy(update=place))
            parts[turn] = profile.only(here.astype(np.float64))
    return turns, parts


async def place_from(
    connection: AsyncConnection, principal: Principal, before: Meter, change: MeterChange, valid_from: datetime | None
) -> datetime | None:
    """Keep what a meter measures from an hour on, within the caller's transaction; returns from when, None if no change.

    It is this hour, but the beginning where what it measures was assumed so far. Raises Invalid for no whole hour that has
    begun.
    """
    since = valid_from or (this_hour() if before.confirmed else BEGINNING)
    check_hour(since)
    if since > datetime.now(UTC):
        raise Invalid(_NOT_YET)
    known = (await versions_by_meter(connection, [before.id])).get(before.id, [])
    held = placed(before, known, datetime.fromtimestamp(since.timestamp() + 1, UTC))
    if (held.equipment_id, held.line_id) == (change.equipment_id, change.line_id):
        return None
    if not known:
        place = {"equipment": before.equipment_id, "line": before.line_id}
        await store.upsert_place(connection, before.id, BEGINNING, **place, by=None)
    await store.upsert_place(
        connection, before.id, since, equipment=change.equipment_id, line=change.line_id, by=principal.email
    )
    return since


class MeterPlaces:
    """Reads what meters measured, and takes versions away."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def versions(self, scope: TenantScope, meter_id: UUID) -> list[PlaceVersion]:
        """Return what a meter measures and measured, newest first; none if always the same. Raises NotFound."""
        async with self._db.tenant(scope) as connection:
            if await select_meter(connection, meter_id) is None:
                raise NotFound
            found = await versions_by_meter(connection, [meter_id])
        return found.get(meter_id, [])[::-1]

    async def remove(self, principal: Principal, meter_id: UUID, valid_from: datetime) -> None:
        """Take a version away; the one before it goes on. Raises NotFound, Invalid for what holds from the beginning."""
        async with self._db.tenant(principal.scope) as connection:
            if await select_meter(connection, meter_id) is None:
                raise NotFound
            if valid_from == BEGINNING:
                raise Invalid(_FIRST_STAYS)
            gone = await store.delete_place(connection, meter_id, valid_from)
            if gone is None:
                raise NotFound
            await store.place_now(connection, meter_id)
            await mark_all_dirty(connection, [meter_id])
            await audit.record(
                *(connection, principal.actor, "meter.unplace", str(meter_id)),
                valid_from=valid_from.isoformat(),
                before={name: str(value) if value else None for name, value in gone.items()},
            )
