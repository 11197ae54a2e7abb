"""Looks after jobs whose worker is silent, books opinions, forgets old uploads; any number of processes may do so on one database."""

from __future__ import annotations

from functools import partial

from cloud.compute import store
from cloud.compute.archives import UNUSED
from cloud.compute.running import PATIENCE_S
from cloud.compute.service import Compute
from cloud.compute.store import servings, uploads
from cloud.core.db import Database
from cloud.core.upkeep import keep_up

_EVERY_S, _BOOK_S, _SELDOM_S = 1.0, 2.0, 600.0


async def keep_running(db: Database, compute: Compute) -> None:
    """Take jobs elsewhere whose lease has run out, until cancelled."""
    troubled = partial(store.customers_in_trouble, patience_s=PATIENCE_S)
    await keep_up(db, troubled, compute.running.rescue, _EVERY_S, "silent workers cannot be looked after")


async def keep_uploads(db: Database, compute: Compute) -> None:
    """Forget uploads that were not used for long, until cancelled."""
    old = partial(uploads.tenants_with_old, age=UNUSED)
    await keep_up(db, old, compute.uploads.drop_old, _SELDOM_S, "old uploads cannot be forgotten")


async def keep_opinions(db: Database, compute: Compute) -> None:
    """Book the hours of second opinions that are over, until cancelled."""
    fault = "second opinions cannot be booked"
    await keep_up(db, servings.customers_due, compute.servings.book_due, _BOOK_S, fault)
