"""The door of the production domain.

production = Production(db)                                       app.state.production in a running cloud
shifts = await production.shifts_between(scope, node, start, end)     -> list[Shift] that overlap [start, end), disjoint
shifts = await production.shifts_of_days(scope, node, first, last)    -> list[Shift] of the production days first..last
production.calendars                                              versions and exceptions: all, put, remove, ...

`node` is a `Node`: a site, a line or a piece of equipment; one of another tenant does not exist: NotFound.
"""

from __future__ import annotations

from datetime import date, datetime

from cloud.core.db import AsyncConnection, Database
from cloud.core.principal import TenantScope
from cloud.production.calendar import Calendar
from cloud.production.calendars import Calendars, planned
from cloud.production.places import place_of
from cloud.production.schemas import Node, Shift


class Production:
    """Calendars, states, stops, counts and KPIs of a tenant."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.calendars = Calendars(db)

    async def shifts_between(self, scope: TenantScope, node: Node, start: datetime, end: datetime) -> list[Shift]:
        """Return the shifts planned at `node` that overlap [start, end), by their begin; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            return (await _calendar(connection, node)).between(start, end)

    async def shifts_of_days(self, scope: TenantScope, node: Node, first: date, last: date) -> list[Shift]:
        """Return the shifts of the production days `first` to `last` at `node`; raises NotFound."""
        async with self._db.tenant(scope) as connection:
            return (await _calendar(connection, node)).of_days(first, last)


async def _calendar(connection: AsyncConnection, node: Node) -> Calendar:
    place = await place_of(connection, node)
    return (await planned(connection)).of(place.site_id, place.line_id)
