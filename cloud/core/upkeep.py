"""Work that is done again and again for every company that has something to be done, beside the requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from uuid import UUID

from cloud.core.db import AsyncConnection, Database
from cloud.core.principal import TenantScope

_log = logging.getLogger(__name__)


async def keep_up(
    db: Database,
    tenants: Callable[[AsyncConnection], Awaitable[list[UUID]]],
    act: Callable[[TenantScope], Awaitable[object]],
    every_s: float,
    fault: str,
) -> None:
    """Do `act` for each of `tenants` every `every_s` seconds until cancelled.

    What fails is tried again, and `fault` - what cannot be done - is logged once until it works again.
    """
    failing = False
    while True:
        try:
            async with db.door() as connection:
                found = await tenants(connection)
            for tenant in found:
                await act(TenantScope(tenant))
            failing = False
        except Exception:
            if not failing:
                _log.exception("%s; trying on", fault)
            failing = True
        await asyncio.sleep(every_s)
