"""Wall boards: screens that show a part of the plant, each opened by a code of its own that opens nothing else."""

from __future__ import annotations

import hashlib
import hmac
from uuid import UUID

from uuid_utils.compat import uuid7

from cloud.core import audit
from cloud.core.codes import canonical, new_code
from cloud.core.db import Database
from cloud.core.errors import NotFound
from cloud.core.keyset import LATEST, Window
from cloud.core.limits import RateLimit
from cloud.core.principal import Principal, TenantScope
from cloud.core.settings import Secrets
from cloud.identity.schemas import Board, BoardRequest, NewBoard, ShownBoard
from cloud.identity.store import boards as store


class Boards:
    """A company's wall boards.

    Wrong codes are limited to 30 per address, then one per 2 s: at 60 bits a code outlasts any guessing.
    """

    def __init__(self, db: Database, secrets: Secrets) -> None:
        self._db = db
        self._key = secrets.lookup_key.encode()
        self._per_address = RateLimit(burst=30, period_s=2)

    async def create(self, principal: Principal, request: BoardRequest) -> NewBoard:
        """Make a board; its code is told this once. Raises NotFound for a place that is not there."""
        code = new_code()
        try:
            async with self._db.tenant(principal.scope) as connection:
                row = await store.insert_board(
                    connection, uuid7(), code_hash=self._hash(code), by=principal.actor, wanted=request.model_dump()
                )
                await audit.record(
                    *(connection, principal.actor, "board.create", request.name),
                    board=row["id"], site=request.site_id, line=request.line_id,
                )  # fmt: skip
        except store.NoSuchPlace as error:
            raise NotFound from error
        return NewBoard(code=code, **row)

    async def boards(self, scope: TenantScope, window: Window = LATEST) -> list[Board]:
        """Return the tenant's boards, newest first."""
        async with self._db.tenant(scope) as connection:
            return [Board(**row) for row in await store.select_boards(connection, window)]

    async def withdraw(self, principal: Principal, board: UUID) -> None:
        """End a board: its screens go dark within seconds. Raises NotFound."""
        async with self._db.tenant(principal.scope) as connection:
            name = await store.delete_board(connection, board)
            if name is None:
                raise NotFound
            await audit.record(connection, principal.actor, "board.withdraw", name, board=board)

    async def open(self, code: str, address: str) -> ShownBoard | None:
        """Return the board that `code` opens, asked for from the network `address`; None if there is none.

        Raises TooMany after too many wrong codes.
        """
        self._per_address.spend(address)
        shown = await self.show(code)
        if shown is not None:
            self._per_address.forgive(address)
        return shown

    async def show(self, code: str) -> ShownBoard | None:
        """Return the board of a code that has opened it before; None once it is withdrawn."""
        async with self._db.door() as connection:
            found = await store.find_board(connection, self._hash(code))
        if found is None:
            return None
        scope = TenantScope(found["tenant_id"])
        async with self._db.tenant(scope) as connection:
            row = await store.select_board(connection, found["id"])
            if row is None:
                return None
            if row.pop("due"):
                await store.note_shown(connection, found["id"])
        return ShownBoard(scope, row.pop("tenant"), Board(**row))

    def _hash(self, code: str) -> bytes:
        return hmac.digest(self._key, b"board:" + canonical(code).encode(), hashlib.sha256)
