"""Lets vouchers and prepaid hours end when their time is over."""

from __future__ import annotations

from cloud.billing import store
from cloud.billing.service import Billing
from cloud.billing.store import bank
from cloud.core.db import Database
from cloud.core.upkeep import keep_up

_EVERY_S = 600.0


async def keep_expiring(db: Database, billing: Billing) -> None:
    """Let what is left of expired vouchers flow back until cancelled."""
    fault = "vouchers whose time is over cannot be ended"
    await keep_up(db, store.tenants_with_vouchers_over, billing.vouchers.expire, _EVERY_S, fault)


async def keep_hours_expiring(db: Database, billing: Billing) -> None:
    """End prepaid hours whose time is over until cancelled."""
    fault = "prepaid hours whose time is over cannot be ended"
    await keep_up(db, bank.tenants_with_lots_over, billing.bank.expire, _EVERY_S, fault)
