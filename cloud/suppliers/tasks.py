"""Looks at the suppliers that show something, each once an hour; any number of processes may do so on one database."""

from __future__ import annotations

from cloud.core.db import Database
from cloud.core.principal import TenantScope
from cloud.core.upkeep import keep_up
from cloud.suppliers import store
from cloud.suppliers.service import Suppliers

LOOK_S = 10.0


async def keep_checked(db: Database, suppliers: Suppliers, every_s: float = LOOK_S) -> None:
    """Check whoever is due, one after the other, until cancelled."""

    async def all_due(scope: TenantScope) -> None:
        while await suppliers.check_next(scope):
            pass

    await keep_up(db, store.tenants, all_due, every_s, "suppliers cannot be looked at")
