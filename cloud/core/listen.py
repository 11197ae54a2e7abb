"""Wakes those who wait for changes of a tenant, or of one thing, as PostgreSQL announces them at commit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from uuid import UUID

import psycopg
from psycopg import AsyncConnection

from cloud.core.principal import TenantScope

_CHANNEL = "sunmao_tenant_changed"
_RETRY_S = 1.0

_log = logging.getLogger(__name__)


async def announce(connection: AsyncConnection, key: UUID) -> None:
    """Wake who waits for `key` in any process when the running transaction commits, and not before.

    `key` is a tenant's id, or that of a thing somebody waits for.
    """
    await connection.execute("SELECT pg_notify(%s, %s)", [_CHANNEL, str(key)])


class Listener:
    """One connection that listens for all, whoever waits in this process."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self.closing = False

    async def run(self) -> None:
        """Listen until cancelled. A lost connection is made again; all are woken then, as something may have passed."""
        lost = False
        while True:
            try:
                async with await AsyncConnection.connect(self._dsn, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {_CHANNEL}")
                    if lost:
                        _log.warning("listening for changes again")
                    lost = False
                    self._wake_all()
                    async for notify in connection.notifies():
                        self._wake(notify.payload)
            except (psycopg.Error, OSError) as error:
                if not lost:
                    _log.warning("lost the connection that listens for changes: %s", error)
                lost = True
                await asyncio.sleep(_RETRY_S)

    def waiting(self, scope: TenantScope) -> AbstractContextManager[asyncio.Event]:
        """Give an event that is set whenever the tenant's data has changed; the waiter clears it."""
        return self.waiting_for(scope.tenant_id)

    @contextmanager
    def waiting_for(self, key: UUID) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever `key` is announced; the waiter clears it."""
        event = asyncio.Event()
        waiters = self._waiting.setdefault(str(key), set())
        waiters.add(event)
        try:
            yield event
        finally:
            waiters.discard(event)
            if not waiters:
                self._waiting.pop(str(key), None)

    def close(self) -> None:
        """Wake all, for the last time: `closing` then tells them to end."""
        self.closing = True
        self._wake_all()

    def _wake(self, key: str) -> None:
        for event in self._waiting.get(key, ()):
            event.set()

    def _wake_all(self) -> None:
        for key in list(self._waiting):
            self._wake(key)
