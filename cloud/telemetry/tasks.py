"""Keeps roll-ups up to date: recomputes, from the readings, every bucket that a delivery has touched."""

from __future__ import annotations

import asyncio
import logging

from cloud.core.db import Database
from cloud.core.metrics import Metrics
from cloud.core.principal import TenantScope
from cloud.telemetry import store

_PERIOD_S = 2.0
_CHANGES_AT_ONCE = 500
_FORGET_EVERY = 60

_log = logging.getLogger(__name__)


async def roll_up_all(db: Database, metrics: Metrics) -> int:
    """Recompute what is behind, tenant by tenant; return the number of changes handled."""
    async with db.door() as connection:
        tenants = await store.tenants_to_roll_up(connection)
    handled = 0
    for tenant in tenants:
        while True:
            async with db.tenant(TenantScope(tenant)) as connection:
                count = await store.roll_up(connection, tenant, _CHANGES_AT_ONCE)
            metrics.rollups.inc(count)
            handled += count
            if count < _CHANGES_AT_ONCE:
                break
    return handled


async def keep_rolled_up(db: Database, metrics: Metrics) -> None:
    """Roll up every two seconds until cancelled. What fails stays marked and is tried again."""
    failing = False
    while True:
        try:
            await roll_up_all(db, metrics)
            if failing:
                _log.warning("roll-ups are being kept again")
            failing = False
        except Exception:
            if not failing:
                _log.exception("roll-ups cannot be kept; trying on")
            failing = True
        await asyncio.sleep(_PERIOD_S)
