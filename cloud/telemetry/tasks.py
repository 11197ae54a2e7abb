"""Keeps roll-ups up to date: recomputes, from the readings, every bucket that a delivery has touched."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from itertools import count
from uuid import UUID

from cloud.core.db import AsyncConnection, Database
from cloud.core.metrics import Metrics
from cloud.core.principal import TenantScope
from cloud.dictionary.service import codes_of
from cloud.telemetry.retained import Retained
from cloud.telemetry.store import rollups, states

_PERIOD_S = 2.0
_CHANGES_AT_ONCE = 500
_PASSES_BETWEEN_FORGETTING = 30

_log = logging.getLogger(__name__)


_EVERYTHING_IS_HERE = Retained(None)


async def roll_up_all(
    db: Database,
    metrics: Metrics,
    *,
    forget: bool = False,
    retained: Retained = _EVERYTHING_IS_HERE,
    followers: Sequence[rollups.Follower] = (),
) -> None:
    """Recompute what is behind, tenant by tenant; with `forget`, drop changes that are an hour old.

    Domains that compute from roll-ups are `followers`: told, in the same transaction, what has been recomputed.

    Every tenant is tried, whatever befalls another; raises what befell them afterwards.
    """
    async with db.door() as connection:
        tenants = await rollups.tenants_to_roll_up(connection)
    failures = []
    for tenant in tenants:
        try:
            await _roll_up(db, metrics, tenant, retained, followers)
            if forget:
                async with db.tenant(TenantScope(tenant)) as connection:
                    await rollups.forget_changes(connection)
        except Exception as error:
            failures.append(error)
    if failures:
        raise ExceptionGroup("roll-ups", failures)


async def _roll_up(
    db: Database, metrics: Metrics, tenant: UUID, retained: Retained, followers: Sequence[rollups.Follower]
) -> None:
    while True:
        spent: list[str] = []

        async def restore(connection: AsyncConnection, dirty: Sequence[tuple[int, datetime]]) -> None:
            spent.extend(await retained.put_back(connection, dirty))  # noqa: B023 - called within this turn

        async with db.tenant(TenantScope(tenant)) as connection:
            changes = await rollups.roll_up(
                connection, tenant, _CHANGES_AT_ONCE, restore, (_roll_up_states, *followers)
            )
        for name in spent:
            await asyncio.to_thread(retained.cold.remove, name)
        metrics.rollups.inc(changes)
        if changes < _CHANGES_AT_ONCE:
            return


async def _roll_up_states(connection: AsyncConnection, touched: Sequence[tuple[int, datetime]]) -> None:
    await states.roll_up_states(connection, touched, codes_of("duration_by_state"))


async def keep_rolled_up(
    db: Database, metrics: Metrics, retained: Retained, followers: Sequence[rollups.Follower] = ()
) -> None:
    """Roll up every two seconds until cancelled. What fails stays marked and is tried again."""
    failing = False
    for passes in count():
        try:
            await roll_up_all(
                db, metrics, forget=passes % _PASSES_BETWEEN_FORGETTING == 0, retained=retained, followers=followers
            )
            if failing:
                _log.warning("roll-ups are being kept again")
            failing = False
        except Exception:
            if not failing:
                _log.exception("roll-ups cannot be kept; trying on")
            failing = True
        await asyncio.sleep(_PERIOD_S)
