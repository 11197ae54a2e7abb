"""Keeps the rules of every tenant evaluated: woken by commits, at most once a second, and now and then without any."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from uuid import UUID, uuid4

from cloud.alarms.evaluator import Doors, Evaluator
from cloud.alarms.store import rules as store
from cloud.core.db import Database
from cloud.core.listen import Listener
from cloud.core.principal import TenantScope

SPACING_S = 1.0
BEAT_S = 5.0

_log = logging.getLogger(__name__)


async def keep_evaluated(db: Database, listener: Listener, doors: Doors) -> None:
    """Evaluate until cancelled, a task per tenant with rules; whatever befalls one does not touch another."""
    owner = uuid4()
    at_work: dict[UUID, asyncio.Task[None]] = {}
    failing = False
    try:
        while True:
            try:
                async with db.door() as connection:
                    tenants = await store.tenants_with_rules(connection)
                for tenant in set(tenants) - set(at_work):
                    evaluator = Evaluator(db, TenantScope(tenant), owner, doors)
                    at_work[tenant] = asyncio.create_task(_keep(evaluator, listener, TenantScope(tenant)))
                failing = False
            except Exception:
                if not failing:
                    _log.exception("tenants with alarm rules cannot be looked up; trying on")
                failing = True
            await asyncio.sleep(BEAT_S)
    finally:
        for task in at_work.values():
            task.cancel()
        await asyncio.gather(*at_work.values(), return_exceptions=True)


async def _keep(evaluator: Evaluator, listener: Listener, scope: TenantScope) -> None:
    failing = False
    with listener.waiting(scope) as changed:
        while True:
            changed.clear()
            try:
                more = await evaluator.run()
                if more:
                    changed.set()
                if failing:
                    _log.warning("alarm rules of %s are being evaluated again", scope.tenant_id)
                failing = False
            except Exception:
                if not failing:
                    _log.exception("alarm rules of %s cannot be evaluated; trying on", scope.tenant_id)
                failing = True
            await asyncio.sleep(SPACING_S)
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), BEAT_S - SPACING_S)
