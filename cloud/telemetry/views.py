"""Kept looks at curves: chosen points, or - so that one fits any plant - what points of a class of equipment mean."""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Conflict, NotFound
from cloud.core.principal import Principal, TenantScope
from cloud.telemetry.schemas import View, ViewRequest
from cloud.telemetry.store import views as store
from protocols.text import Text

MOST_VIEWS = 500

_TAKEN = Text("There is a kept view of this name.", "已有同名视图。")


class Views:
    """The looks that a tenant keeps."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def all(self, scope: TenantScope) -> list[View]:
        """Return the tenant's looks, by name."""
        async with self._db.tenant(scope) as connection:
            return await self.all_within(connection)

    async def create(self, principal: Principal, request: ViewRequest) -> View:
        """Keep a look; raises Conflict for a name that is taken."""
        async with self._db.tenant(principal.scope) as connection:
            return await self.put_within(connection, principal, uuid7(), request)

    async def remove(self, principal: Principal, identity: UUID) -> None:
        """Forget a look; raises NotFound."""
        async with self._db.tenant(principal.scope) as connection:
            await self.remove_within(connection, principal, identity)

    @staticmethod
    async def all_within(connection: AsyncConnection) -> list[View]:
        """As `all`, in the caller's transaction."""
        return [View(**row.pop("definition"), **row) for row in await store.select(connection)]

    @staticmethod
    async def put_within(
        connection: AsyncConnection, principal: Principal, identity: UUID, request: ViewRequest
    ) -> View:
        """Keep a look under `identity`, in place of what was kept there, in the caller's transaction; raises Conflict."""
        if len(await store.select(connection)) >= MOST_VIEWS:
            raise Conflict(Text(f"There may be {MOST_VIEWS} kept views.", f"视图数量上限为 {MOST_VIEWS}。"))
        definition = request.model_dump(mode="json", include=set(ViewRequest.model_fields) - {"name"})
        row = {"id": identity, "name": request.name, "definition": definition, "changed_by": principal.email}
        try:
            stored = await store.upsert(connection, row)
        except store.NameTaken as error:
            raise Conflict(_TAKEN) from error
        await audit.record(connection, principal.actor, "trend_view.keep", request.name, after=definition)
        return View(**stored.pop("definition"), **stored)

    @staticmethod
    async def remove_within(connection: AsyncConnection, principal: Principal, identity: UUID) -> None:
        """Forget a look in the caller's transaction; raises NotFound."""
        name = await store.delete(connection, identity)
        if name is None:
            raise NotFound
        await audit.record(connection, principal.actor, "trend_view.remove", name)
