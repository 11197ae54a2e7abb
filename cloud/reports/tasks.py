"""Sends reports whose period is over; any number of processes may do so on one database."""

from __future__ import annotations

from datetime import UTC, datetime

from cloud.core.db import Database
from cloud.core.principal import TenantScope
from cloud.core.upkeep import keep_up
from cloud.reports import store
from cloud.reports.service import Reports

_PERIOD_S = 30.0


async def keep_reporting(db: Database, reports: Reports) -> None:
    """Send what is due every half minute until cancelled; what fails is tried again."""

    async def send_due(scope: TenantScope) -> None:
        await reports.send_due(scope, datetime.now(UTC))

    await keep_up(db, store.tenants_with_reports, send_due, _PERIOD_S, "reports cannot be sent")
