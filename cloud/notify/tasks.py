"""Sends what waits in the outbox, tenant by tenant; any number of processes may do so on one database."""

from __future__ import annotations

import asyncio
import logging
from itertools import count
from uuid import UUID

from cloud.core.db import Database
from cloud.core.principal import TenantScope
from cloud.notify import store
from cloud.notify.service import Notify

_PERIOD_S = 1.0
_MESSAGES_AT_ONCE = 20
_PASSES_BETWEEN_FORGETTING = 3600

_log = logging.getLogger(__name__)


async def keep_sending(db: Database, notify: Notify) -> None:
    """Send every second until cancelled. Tenants do not wait for each other; what cannot be sent is tried again."""
    failing = False
    at_work: dict[UUID, asyncio.Task[None]] = {}
    try:
        for passes in count(1):
            failures = [task for task in at_work.values() if task.done() and task.exception()]
            at_work = {tenant: task for tenant, task in at_work.items() if not task.done()}
            try:
                async with db.door() as connection:
                    tenants = await store.tenants_with_notices(connection)
                for tenant in set(tenants) - set(at_work):
                    forget = passes % _PASSES_BETWEEN_FORGETTING == 0
                    at_work[tenant] = asyncio.create_task(send(notify, TenantScope(tenant), forget=forget))
                for task in failures:
                    task.result()
                if failing:
                    _log.warning("notices are being sent again")
                failing = False
            except Exception:
                if not failing:
                    _log.exception("notices cannot be sent; trying on")
                failing = True
            await asyncio.sleep(_PERIOD_S)
    finally:
        for task in at_work.values():
            task.cancel()
        await asyncio.gather(*at_work.values(), return_exceptions=True)


async def send(notify: Notify, scope: TenantScope, *, forget: bool = False) -> None:
    """Send what a tenant's channels may be sent now; with `forget`, drop what is old."""
    for _ in range(_MESSAGES_AT_ONCE):
        if not await notify.send_next(scope):
            break
    if forget:
        await notify.forget(scope)
