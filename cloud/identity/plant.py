"""The plant: a company's sites and the lines (work centres) in them. The equipment that stands there is fleet's."""

from __future__ import annotations

from uuid import UUID
from zoneinfo import available_timezones

from uuid_utils.compat import uuid7

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Conflict, Invalid, NotFound
from cloud.core.principal import TenantScope
from cloud.identity.schemas import Line, LineChange, LinePage, LineRequest, Site, SiteChange, SiteRequest
from cloud.identity.store import plant as store
from protocols.text import Text


class Plant:
    """Sites and lines of a tenant."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def create_site(self, scope: TenantScope, request: SiteRequest, actor: str) -> Site:
        """Create a site; raises Invalid for an unknown time zone, Conflict for a name that is taken."""
        try:
            async with self._db.tenant(scope) as connection:
                return await insert_site(connection, request, actor)
        except store.Taken as error:
            raise _site_taken(request.name) from error

    async def sites(self, scope: TenantScope) -> list[Site]:
        """Return the tenant's sites, by name."""
        async with self._db.tenant(scope) as connection:
            return [Site(**row) for row in await store.select_sites(connection)]

    async def change_site(self, scope: TenantScope, site: UUID, change: SiteChange, actor: str) -> Site:
        """Call a site otherwise; raises NotFound, and Conflict for a name that is taken."""
        try:
            async with self._db.tenant(scope) as connection:
                before = await store.lock_site(connection, site)
                if before is None:
                    raise NotFound
                await store.rename_site(connection, site, change.name)
                await audit.record(
                    connection, actor, "site.rename", change.name, site=site, before=before["name"], after=change.name
                )
        except store.Taken as error:
            raise _site_taken(change.name) from error
        return Site(**before | {"name": change.name})

    async def create_line(self, scope: TenantScope, request: LineRequest, actor: str) -> Line:
        """Create a line; raises NotFound if there is no such site, Conflict for a name that is taken in it."""
        line = uuid7()
        try:
            async with self._db.tenant(scope) as connection:
                await store.insert_line(connection, line, request.site_id, request.name)
                await audit.record(connection, actor, "line.create", request.name, line=line, site=request.site_id)
                return await _line(connection, line)
        except store.Taken as error:
            raise _line_taken(request.name) from error
        except store.StillUsed as error:
            raise NotFound from error

    async def lines(
        self, scope: TenantScope, site: UUID | None = None, *, after: UUID | None = None, limit: int = 200
    ) -> LinePage:
        """Return the next lines, of one site or of all, oldest first."""
        async with self._db.tenant(scope) as connection:
            rows = await store.select_lines(connection, site, after, limit + 1)
        items = [Line(**row) for row in rows[:limit]]
        return LinePage(items=items, next=items[-1].id if len(rows) > limit else None)

    async def line(self, scope: TenantScope, line: UUID) -> Line:
        """Return one line; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            return await _line(connection, line)

    async def change_line(self, scope: TenantScope, line: UUID, change: LineChange, actor: str) -> Line:
        """Rename a line or move it to another site; what is None stays.

        Raises NotFound for an unknown line or site, Conflict for a name that is taken or a move with equipment in it.
        """
        try:
            async with self._db.tenant(scope) as connection:
                before = await store.lock_line(connection, line)
                if before is None:
                    raise NotFound
                site, name = change.site_id or before["site_id"], change.name or before["name"]
                if site != before["site_id"] and (await _line(connection, line)).equipment:
                    raise Conflict(_EQUIPMENT_INSIDE)
                await store.update_line(connection, line, site, name)
                after = {"site_id": site, "name": name}
                await audit.record(connection, actor, "line.change", name, line=line, before=before, after=after)
                return await _line(connection, line)
        except store.Taken as error:
            raise _line_taken(name) from error
        except store.StillUsed as error:
            raise NotFound from error

    async def remove_line(self, scope: TenantScope, line: UUID, actor: str) -> None:
        """Remove a line; raises NotFound, and Conflict while something stands in it or refers to it."""
        try:
            async with self._db.tenant(scope) as connection:
                before = await store.lock_line(connection, line)
                if before is None:
                    raise NotFound
                await store.delete_line(connection, line)
                await audit.record(connection, actor, "line.remove", before["name"], line=line, site=before["site_id"])
        except store.StillUsed as error:
            raise Conflict(_EQUIPMENT_INSIDE) from error


async def insert_site(connection: AsyncConnection, request: SiteRequest, actor: str) -> Site:
    """Create a site in the caller's transaction; raises Invalid for an unknown time zone, `store.Taken` for the name."""
    if request.time_zone not in available_timezones():
        raise Invalid(
            Text(
                f"time_zone '{request.time_zone}' is not an IANA name such as Asia/Shanghai.",
                f"时区“{request.time_zone}”无效，请使用 IANA 名称，如 Asia/Shanghai。",
            )
        )
    site = Site(id=uuid7(), name=request.name, time_zone=request.time_zone)
    await store.insert_site(connection, site.id, site.name, site.time_zone)
    await audit.record(connection, actor, "site.create", site.name, site=site.id, time_zone=site.time_zone)
    return site


async def _line(connection: AsyncConnection, line: UUID) -> Line:
    row = await store.select_line(connection, line)
    if row is None:
        raise NotFound
    return Line(**row)


_EQUIPMENT_INSIDE = Text(
    "Equipment stands in this line, or something refers to it; place the equipment elsewhere first.",
    "该产线中仍有设备或被其他设置引用，请先将设备移到别处。",
)


def _site_taken(name: str) -> Conflict:
    return Conflict(Text(f"There is a site '{name}'.", f"已有名为“{name}”的站点。"))


def _line_taken(name: str) -> Conflict:
    return Conflict(Text(f"The site has a line '{name}'.", f"该站点已有名为“{name}”的产线。"))
