"""Sends reports whose period is over; any number of processes may do so on one database."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from cloud.core.db import Database
from cloud.core.principal import TenantScope
from cloud.reports import store
from cloud.reports.service import Reports

_PERIOD_S = 30.0

_log = logging.getLogger(__name__)


async def keep_reporting(db: Database, reports: Reports) -> None:
    """Send what is due every half minute until cancelled; what fails is tried again."""
    failing = False
    while True:
        try:
            async with db.door() as connection:
                tenants = await store.tenants_with_reports(connection)
            for tenant in tenants:
                await reports.send_due(TenantScope(tenant), datetime.now(UTC))
            failing = False
        except Exception:
            if not failing:
                _log.exception("reports cannot be sent; trying on")
            failing = True
        await asyncio.sleep(_PERIOD_S)
