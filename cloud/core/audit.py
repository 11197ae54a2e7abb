"""The audit log: who did what of importance to which thing, when and from where. Appended, never changed.

Each tenant's rows are a chain (`cloud.core.audit_chain` checks it). The database appends, so that no process can number or
hash a row otherwise; the app role may neither insert, change nor delete one by itself.
"""

from __future__ import annotations

import json
from contextvars import ContextVar
from typing import Any

from psycopg import AsyncConnection
from starlette.types import ASGIApp, Receive, Scope, Send

_address: ContextVar[str] = ContextVar("address", default="")


async def record(connection: AsyncConnection, actor: str, act: str, subject: str, **detail: Any) -> None:
    """Append a row to the log of the tenant the running transaction is in; it commits or fails with the act itself.

    Call it last in the transaction: until its end every other writer to the tenant's log waits.

    Args:
        connection: inside `Database.tenant`.
        actor: `Principal.actor`, or "operator" for the command line.
        act: what was done, as "thing.verb", e.g. "agent.enrol".
        subject: the id or name of the thing it was done to.
        detail: what an auditor needs besides, as a change's `before` and `after`; never a secret.
    """
    await connection.execute(
        "SELECT append_audit(%s, %s, %s, %s, %s::json)", [actor, act, subject, _address.get(), canonical(detail)]
    )


def canonical(value: Any) -> str:
    """Return `value` as JSON with sorted keys and no space; what JSON does not know (ids, times) as text."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False, default=str)


class RememberAddress:
    """ASGI middleware: what is recorded while a request is served says from which network address it came."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        client = scope.get("client")
        before = _address.set(client[0] if client else "")
        try:
            await self._app(scope, receive, send)
        finally:
            _address.reset(before)
