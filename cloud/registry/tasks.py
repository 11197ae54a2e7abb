"""Looks after the roll-outs that run; any number of processes may do so on one database."""

from __future__ import annotations

from cloud.core.db import Database
from cloud.core.upkeep import keep_up
from cloud.registry import store
from cloud.registry.service import Registry

LOOK_S = 2.0


async def keep_rolling_out(db: Database, registry: Registry, every_s: float = LOOK_S) -> None:
    """Apply the plans by what has been seen, until cancelled."""
    await keep_up(db, store.tenants, registry.rollouts.look, every_s, "roll-outs cannot be looked after")
