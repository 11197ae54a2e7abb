"""Looks at the suppliers that show something, each once an hour; any number of processes may do so on one database."""

from __future__ import annotations

import asyncio
import logging

from cloud.core.db import Database
from cloud.core.principal import TenantScope
from cloud.suppliers import store
from cloud.suppliers.service import Suppliers

LOOK_S = 10.0

_log = logging.getLogger(__name__)


async def keep_checked(db: Database, suppliers: Suppliers, every_s: float = LOOK_S) -> None:
    """Check whoever is due, one after the other, until cancelled."""
    failing = False
    while True:
        try:
            async with db.door() as connection:
                tenants = await store.tenants(connection)
            for tenant in tenants:
                while await suppliers.check_next(TenantScope(tenant)):
                    pass
            failing = False
        except Exception:
            if not failing:
                _log.exception("suppliers cannot be looked at; trying on")
            failing = True
        await asyncio.sleep(every_s)
