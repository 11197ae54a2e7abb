"""Looks after the roll-outs that run; any number of processes may do so on one database."""

from __future__ import annotations

import asyncio
import logging

from cloud.core.db import Database
from cloud.core.principal import TenantScope
from cloud.registry import store
from cloud.registry.service import Registry

LOOK_S = 2.0

_log = logging.getLogger(__name__)


async def keep_rolling_out(db: Database, registry: Registry, every_s: float = LOOK_S) -> None:
    """Apply the plans by what has been seen, until cancelled."""
    failing = False
    while True:
        try:
            async with db.door() as connection:
                tenants = await store.tenants(connection)
            for tenant in tenants:
                await registry.rollouts.look(TenantScope(tenant))
            failing = False
        except Exception:
            if not failing:
                _log.exception("roll-outs cannot be looked after; trying on")
            failing = True
        await asyncio.sleep(every_s)
