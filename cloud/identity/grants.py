"""Grants: what a user may do at a site, a line or a piece of equipment, where it is other than in the whole company."""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7

from cloud.core import audit
from cloud.core.db import Database
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.principal import Principal, Role, TenantScope
from cloud.identity.schemas import Grant, GrantsRequest, Reach, ReachPage
from cloud.identity.store import grants as store
from cloud.identity.store import people
from protocols.text import Text


class Grants:
    """Roles by place. The nearest grant wins; who administrates the company has none, and reaches all of it."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def of(self, scope: TenantScope, user: UUID) -> list[Grant]:
        """Return a user's grants by path; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            if await people.select_user(connection, user) is None:
                raise NotFound
            return [Grant(**row) for row in await store.select_grants(connection, user)]

    async def replace(self, principal: Principal, user: UUID, request: GrantsRequest) -> list[Grant]:
        """Make these grants all that a user has, and end their sessions.

        Raises NotFound for an unknown user, Invalid for an unknown place or one that is named twice, and Conflict for
        who administrates the company.
        """
        rows = [(uuid7(), grant.id, grant.role) for grant in request.grants]
        async with self._db.tenant(principal.scope) as connection:
            roles = await people.lock_roles(connection, user)
            if user not in roles:
                raise NotFound
            if rows and Role(roles[user]).rank >= Role.MANAGER.rank:
                raise Conflict(_ADMINISTRATES)
            before = [Grant(**row) for row in await store.select_grants(connection, user)]
            once = len({place for _, place, _ in rows}) == len(rows)
            if not once or await store.replace_grants(connection, user, rows) != len(rows):
                raise Invalid(Text("A place is unknown, or named twice.", "所列位置中有不存在或重复的项。"))
            after = [Grant(**row) for row in await store.select_grants(connection, user)]
            if before != after:
                await people.delete_sessions(connection, user)
            found = await people.select_user(connection, user)
            assert found is not None  # noqa: S101 - the row is locked
            await audit.record(
                *(connection, principal.actor, "user.grant", found["email"]),
                user=user,
                before=[f"{grant.path}: {grant.role}" for grant in before],
                after=[f"{grant.path}: {grant.role}" for grant in after],
            )
        return after

    async def reach(self, scope: TenantScope, user: UUID, *, after: str = "", limit: int = 500) -> ReachPage:
        """Return a user's role at every place of the plant and what decides it, by path; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            if await people.select_user(connection, user) is None:
                raise NotFound
            rows = await store.select_decisions(connection, user, after, limit + 1)
        items = [Reach(**row) for row in rows[:limit]]
        return ReachPage(items=items, next=rows[limit - 1]["key"] if len(rows) > limit else None)


_ADMINISTRATES = Text(
    "A manager or owner administrates the whole company; give them a lower role before you restrict them.",
    "manager 和 owner 管理整个企业；如需限制范围，请先将其改为较低的角色。",
)
