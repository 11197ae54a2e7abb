"""Why machines stand: a tree of two levels that every company shapes for itself, beginning with a good one."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, time
from pathlib import Path
from uuid import UUID

from uuid_utils.compat import uuid7

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.principal import Principal, TenantScope
from cloud.core.since import BEGINNING, check_hour, this_hour
from cloud.production.figures import Reasons
from cloud.production.schemas import LossVersion, ReasonRequest, StopReason
from cloud.production.store import reasons as store
from protocols.text import Text

_TWO_LEVELS = Text(
    "A reason stands at the first level, or under one that does; there are two levels.",
    "停机原因只有两级：一级原因，或从属于某个一级原因的二级原因。",
)
_TAKEN = Text("There is a reason of this name in this place.", "该位置已存在同名停机原因。")

_FIRST_STAYS = Text(
    "What a reason is counted as from the beginning stays; say it anew instead.",
    "自始生效的计入方式不能删除，请重新设置。",
)


async def stop_reasons(connection: AsyncConnection, at: datetime | None = None) -> list[StopReason]:
    """Return the reasons of the tenant the transaction is in, in their order, as they are counted at a time, or now."""
    return [StopReason(**row) for row in await store.select(connection, at)]


async def words(connection: AsyncConnection, last: date) -> Reasons:
    """Return what reasons are called and, by the end of a day, counted as, by id; with the name of the first level."""
    end = datetime.combine(last, time.max, UTC)
    known = {one.id: one for one in await stop_reasons(connection, end)}
    names = {}
    for one in known.values():
        parent = known.get(one.parent_id) if one.parent_id else None
        names[str(one.id)] = Text(
            f"{parent.name_en}: {one.name_en}" if parent else one.name_en,
            f"{parent.name_zh}：{one.name_zh}" if parent else one.name_zh,
        )
    return Reasons(names, {str(one.id): one.loss for one in known.values()})


def _first_ones() -> list[store.Row]:
    with (Path(__file__).parent / "stop_reasons.csv").open(encoding="utf-8", newline="") as file:
        ids: dict[str, UUID] = {"": uuid7()}
        made: list[store.Row] = []
        for position, row in enumerate(csv.DictReader(file)):
            parent = row.pop("parent_en")
            identity = uuid7()
            made.append({"id": identity, "parent_id": ids[parent] if parent else None, "position": position, **row})
            if not parent:
                ids[row["name_en"]] = identity
    return made


class StopReasons:
    """Reads and changes reasons."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def all(self, scope: TenantScope) -> list[StopReason]:
        """Return the tenant's reasons, in their order; a tenant without any is given the first ones."""
        async with self._db.tenant(scope) as connection:
            found = await stop_reasons(connection)
        if found:
            return found
        # Not for the person who happens to look, but for all.
        async with self._db.tenant(TenantScope(scope.tenant_id)) as connection:
            await store.insert_all(connection, _first_ones())
            return await stop_reasons(connection)

    @staticmethod
    async def all_within(connection: AsyncConnection) -> list[StopReason]:
        """Return the reasons of the tenant the transaction is in, in their order; none where nobody has looked yet."""
        return await stop_reasons(connection)

    async def add(self, principal: Principal, request: ReasonRequest) -> StopReason:
        """Add a reason; raises Invalid for a third level, NotFound for no such parent, Conflict for a name that is taken."""
        await self.all(principal.scope)
        async with self._db.tenant(principal.scope) as connection:
            return await self.add_within(connection, principal, request)

    @staticmethod
    async def add_within(connection: AsyncConnection, principal: Principal, request: ReasonRequest) -> StopReason:
        """As `add`, in the caller's transaction, for a tenant that has reasons."""
        made = StopReason(id=uuid7(), **request.model_dump())
        _check(await stop_reasons(connection), made)
        try:
            await store.insert_all(connection, [made.model_dump()], principal.email)
        except store.Taken as error:
            raise Conflict(_TAKEN) from error
        await audit.record(
            connection, principal.actor, "stop_reason.add", str(made.id), **request.model_dump(mode="json")
        )
        return made

    async def change(
        self, principal: Principal, reason: UUID, request: ReasonRequest, valid_from: datetime | None = None
    ) -> StopReason:
        """Change a reason. What it is counted as holds from a whole hour on, this one unless told: the past stays as it was.

        Stops since then that were given it are counted anew. Raises as `add`, NotFound for no such reason, and Invalid for
        no whole hour.
        """
        async with self._db.tenant(principal.scope) as connection:
            made, recount = await self.change_within(connection, principal, reason, request, valid_from)
        if recount:
            await self.recount(principal, reason, valid_from or this_hour())
        return made

    async def recount(self, principal: Principal, reason: UUID, since: datetime = BEGINNING) -> None:
        """Count anew the stops since a time that were given a reason, wherever they were."""
        async with self._db.tenant(TenantScope(principal.scope.tenant_id)) as connection:
            await store.note_stops_of(connection, reason, since)

    @staticmethod
    async def change_within(
        connection: AsyncConnection,
        principal: Principal,
        reason: UUID,
        request: ReasonRequest,
        valid_from: datetime | None = None,
    ) -> tuple[StopReason, bool]:
        """As `change`, in the caller's transaction; returns besides whether stops have to be counted anew, after it."""
        since = valid_from or this_hour()
        check_hour(since)
        made = StopReason(id=reason, **request.model_dump())
        known = await stop_reasons(connection, since)
        before = next((one for one in known if one.id == reason), None)
        if before is None:
            raise NotFound
        _check(known, made)
        try:
            await store.update(connection, made.model_dump())
        except store.Taken as error:
            raise Conflict(_TAKEN) from error
        if changed := made.loss != before.loss:
            await store.upsert_loss(connection, reason, since, made.loss, principal.email)
        await audit.record(
            *(connection, principal.actor, "stop_reason.change", str(reason)),
            before=before.model_dump(mode="json"),
            after=request.model_dump(mode="json"),
            valid_from=since.isoformat() if changed else None,
        )
        now_known = await stop_reasons(connection)
        return next(one for one in now_known if one.id == reason), changed

    async def losses(self, scope: TenantScope, reason: UUID) -> list[LossVersion]:
        """Return what a reason is and was counted as, newest first; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            rows = await store.select_losses(connection, reason)
        if not rows:
            raise NotFound
        return [LossVersion(**row) for row in rows]

    async def remove_loss(self, principal: Principal, reason: UUID, valid_from: datetime) -> None:
        """Take a version away; the one before it goes on. Raises NotFound, Invalid for what holds from the beginning."""
        if valid_from == BEGINNING:
            raise Invalid(_FIRST_STAYS)
        async with self._db.tenant(principal.scope) as connection:
            gone = await store.delete_loss(connection, reason, valid_from)
            if gone is None:
                raise NotFound
            await audit.record(
                *(connection, principal.actor, "stop_reason.uncount", str(reason)),
                valid_from=valid_from.isoformat(),
                before=gone,
            )
        await self.recount(principal, reason, valid_from)


def _check(known: list[StopReason], made: StopReason) -> None:
    if made.parent_id is None:
        return
    parent = next((one for one in known if one.id == made.parent_id), None)
    if parent is None:
        raise NotFound
    if parent.parent_id is not None or made.id == parent.id or any(one.parent_id == made.id for one in known):
        raise Invalid(_TWO_LEVELS)
