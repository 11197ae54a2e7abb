"""Keeps roll-ups up to date: recomputes, from the readings, every bucket that a delivery has touched."""

from __future__ import annotations

import asyncio
import logging
from itertools import count
from uuid import UUID

from cloud.core.db import Database
from cloud.core.metrics import Metrics
from cloud.core.principal import TenantScope
from cloud.telemetry.store import rollups

_PERIOD_S = 2.0
_CHANGES_AT_ONCE = 500
_PASSES_BETWEEN_FORGETTING = 30

_log = logging.getLogger(__name__)


async def roll_up_all(db: Database, metrics: Metrics, *, forget: bool = False) -> None:
    """Recompute what is behind, tenant by tenant; with `forget`, drop changes that are an hour old.

    Every tenant is tried, whatever befalls another; raises what befell them afterwards.
    """
    async with db.door() as connection:
        tenants = await rollups.tenants_to_roll_up(connection)
    failures = []
    for tenant in tenants:
        try:
            await _roll_up(db, metrics, tenant)
            if forget:
                async with db.tenant(TenantScope(tenant)) as connection:
                    await rollups.forget_changes(connection)
        except Exception as error:
            failures.append(error)
    if failures:
        raise ExceptionGroup("roll-ups", failures)


async def _roll_up(db: Database, metrics: Metrics, tenant: UUID) -> None:
    while True:
        async with db.tenant(TenantScope(tenant)) as connection:
            changes = await rollups.roll_up(connection, tenant, _CHANGES_AT_ONCE)
        metrics.rollups.inc(changes)
        if changes < _CHANGES_AT_ONCE:
            return


async def keep_rolled_up(db: Database, metrics: Metrics) -> None:
    """Roll up every two seconds until cancelled. What fails stays marked and is tried again."""
    failing = False
    for passes in count():
        try:
            await roll_up_all(db, metrics, forget=passes % _PASSES_BETWEEN_FORGETTING == 0)
            if failing:
                _log.warning("roll-ups are being kept again")
            failing = False
        except Exception:
            if not failing:
                _log.exception("roll-ups cannot be kept; trying on")
            failing = True
        await asyncio.sleep(_PERIOD_S)
