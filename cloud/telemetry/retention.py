"""Moves readings older than a tenant keeps out of the database into files, a series and a week at a time.

One transaction takes the readings out, writes the file, makes it durable, reads it back, and registers it. Killed at any
point it has done all of that or nothing: a file that is not registered is overwritten by the next try.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cloud.core import audit
from cloud.core.db import Database
from cloud.core.errors import Invalid
from cloud.core.principal import TenantScope
from cloud.dictionary.service import entries_of
from cloud.telemetry.retained import Retained, joined
from cloud.telemetry.store import cold as store
from cloud.telemetry.store import ingest as writing
from cloud.telemetry.store import rollups
from protocols.text import Text

_PERIOD_S = 3600.0
_WEEK = timedelta(days=7)

_log = logging.getLogger(__name__)


class Retention:
    """The rules of tenants, and their execution."""

    def __init__(self, db: Database, retained: Retained) -> None:
        self._db = db
        self._retained = retained

    async def rules(self, scope: TenantScope) -> dict[str, int]:
        """Return the days readings are kept in the database, by dictionary entry; "" is all others. None: for good."""
        async with self._db.tenant(scope) as connection:
            return await store.select_rules(connection)

    async def set_rules(self, scope: TenantScope, rules: Mapping[str, int], actor: str) -> None:
        """Make `rules` the tenant's; raises Invalid for entries the dictionary does not have."""
        async with self._db.tenant(scope) as connection:
            known = await entries_of(connection, rules)
            for code in rules:
                if code and code not in known:
                    raise Invalid(Text(f"The dictionary has no entry '{code}'.", f"数据字典中没有条目“{code}”。"))
            await store.replace_rules(connection, rules)
            await audit.record(connection, actor, "retention.set", "", rules=dict(rules))

    async def enforce(self, now: datetime) -> int:
        """Move what is older than its tenant keeps; returns how many readings were moved."""
        async with self._db.door() as connection:
            tenants = await store.tenants_with_retention(connection)
        moved = 0
        for tenant in tenants:
            moved += await self._enforce(TenantScope(tenant), now)
        if moved:
            async with self._db.door() as connection:
                await writing.bound_waits(connection)
                await store.drop_empty(connection, now)
        return moved

    async def _enforce(self, scope: TenantScope, now: datetime) -> int:
        moved = 0
        while True:
            async with self._db.tenant(scope) as connection:
                rules = await store.select_rules(connection)
                oldest = await store.select_oldest(connection)
            due = [
                (series, week)
                for series, code, week in oldest
                if (days := rules.get(code, rules.get(""))) is not None and week + _WEEK <= now - timedelta(days=days)
            ]
            if not due:
                return moved
            for series, week in due:
                moved += await self._move(scope, series, week)

    async def _move(self, scope: TenantScope, series: int, week: datetime) -> int:
        replaced = None
        async with self._db.tenant(scope) as connection:
            await rollups.lock(connection, scope.tenant_id)
            await store.lock(connection)
            taken = await store.take(connection, series, week)
            if not len(taken):
                return 0
            for replaced in await store.select_files(connection, [series], week, week + _WEEK):
                taken = joined([await asyncio.to_thread(self._retained.cold.read, replaced.name), taken])
            name = f"{scope.tenant_id}/{series}/{week:%Y%m%d}-{len(taken)}.parquet"
            await asyncio.to_thread(self._retained.cold.write, name, taken)
            await store.register(connection, store.ColdFile(series, week, name, len(taken)))
        if replaced is not None:
            await asyncio.to_thread(self._retained.cold.remove, replaced.name)
        return len(taken) - (replaced.readings if replaced else 0)


async def keep_enforced(retention: Retention) -> None:
    """Enforce every hour until cancelled. What fails stays where it is and is tried again."""
    while True:
        try:
            await retention.enforce(datetime.now(UTC))
        except Exception:
            _log.exception("readings that are due cannot be moved; trying again in an hour")
        await asyncio.sleep(_PERIOD_S)
