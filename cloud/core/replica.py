"""A streaming replica that may answer what only reads: as long as it knows all that was committed before the question.

Nothing here compares clocks. The primary is asked how far its log is on disk, which is where every commit is that anybody was
told of; the replica answers once it has replayed the log up to there. So who has written reads it back, whoever answers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

MAX_CONNECTIONS = 10
CATCHES_UP_S = 0.5
"""How long a question waits for a replica that is behind before the primary answers it."""
RESTS_S = 10.0
"""How long one is not asked that is away or behind, so that not every question waits for it."""
_ASKED_EVERY_S = 0.01
_PLACE = "(SELECT system_identifier FROM pg_control_system()), current_database()"
_REACHED = "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() >= %s::pg_lsn END"
"""None in a server that follows nobody, or not any more: what it holds is its own affair."""


class Mark(NamedTuple):
    """A place in the log of a database of a system."""

    position: str
    system: int
    database: str


class Behind(Exception):
    """The replica does not know yet what was committed, or is none of this database."""


class Replica:
    """A pool of connections of the app role to a replica, which may be away."""

    def __init__(self, dsn: str) -> None:
        self._pool = AsyncConnectionPool(
            dsn,
            min_size=0,
            max_size=MAX_CONNECTIONS,
            open=False,
            timeout=CATCHES_UP_S,
            kwargs={"autocommit": True, "connect_timeout": 5},
        )
        self._rests_until = 0.0

    async def open(self) -> None:
        """Let it be asked."""
        await self._pool.open()

    async def close(self) -> None:
        """End its connections."""
        await self._pool.close()

    @property
    def rests(self) -> bool:
        """Whether it was away or behind a moment ago."""
        return time.monotonic() < self._rests_until

    @asynccontextmanager
    async def as_of(self, mark: Mark) -> AsyncIterator[AsyncConnection]:
        """One transaction that sees all that was committed before `mark` was made, as of one instant.

        Locks that keep the primary from moving what is being read are not known here; an instant does without them.
        Raises Behind, and OperationalError for a replica that cannot be reached or breaks off; then it rests.
        """
        try:
            async with self._pool.connection() as connection:
                await _catch_up(connection, mark)
                async with connection.transaction():
                    await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                    yield connection
        except (Behind, psycopg.OperationalError):
            self._rests_until = time.monotonic() + RESTS_S
            raise


async def mark_of(primary: AsyncConnection) -> Mark:
    """Return how far the log of a primary is on disk by now."""
    cursor = await primary.execute(f"SELECT pg_current_wal_flush_lsn()::text, {_PLACE}")
    return Mark(*(await cursor.fetchone() or ("", 0, "")))


async def _catch_up(connection: AsyncConnection, mark: Mark) -> None:
    """Wait until the server has replayed the log up to `mark`; raises Behind."""
    until = time.monotonic() + CATCHES_UP_S
    while True:
        cursor = await connection.execute(f"SELECT {_REACHED}, {_PLACE}", [mark.position])
        reached, *place = await cursor.fetchone() or (None,)
        if reached is None or place != [mark.system, mark.database] or time.monotonic() > until:
            raise Behind
        if reached:
            return
        await asyncio.sleep(_ASKED_EVERY_S)
