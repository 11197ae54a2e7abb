"""`Idempotency-Key`: a POST that is sent again, because its answer was lost, is not done again.

Of a person or a program that acts for one. The first request with a key claims it, and its answer is kept for 24 hours;
the same request gets that answer again, marked `Idempotency-Replayed: true`. The key with another request is a 422. While
the first is not ended, and after a crash in the middle of it, the answer is 409: it is done at most once. Answers above
1 MiB, failures of ours and refusals that a later try may overcome (401, 403, 429) are not kept.
See draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets as randomness
from dataclasses import dataclass, field
from typing import Any

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import Request
from psycopg import AsyncConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.core.access import token_of
from cloud.core.db import Database
from cloud.core.errors import Conflict, Invalid, Problem, problem_answer
from cloud.core.principal import Principal, TenantScope
from protocols.text import Text

HEADER = "Idempotency-Key"
REPLAYED = b"idempotency-replayed"
_LONGEST_KEY = 255
_MOST_BYTES = 1024 * 1024
_NOT_KEPT = (401, 403, 429)
_NONCE = 12


class _Answer(msgspec.Struct, frozen=True):
    """What was answered; headers in lower case."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass
class _Recorder:
    """Passes an answer on and remembers it, as long as it is small."""

    send: Send
    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = [(bytes(name).lower(), bytes(value)) for name, value in message["headers"]]
        elif message["type"] == "http.response.body":
            if len(self.body) <= _MOST_BYTES:
                self.body += message.get("body", b"")
            self.ended = not message.get("more_body", False)
        await self.send(message)

    @property
    def kept(self) -> bytes | None:
        """The answer as it is kept, None if it is not."""
        small = self.ended and len(self.body) <= _MOST_BYTES
        if not small or self.status >= 500 or self.status in _NOT_KEPT:
            return None
        headers = [(name, value) for name, value in self.headers if not name.startswith((b"ratelimit", b"set-cookie"))]
        return msgspec.msgpack.encode(_Answer(self.status, headers, bytes(self.body)))


class Idempotency:
    """ASGI middleware; `secret` keys the hashes. The resolvers and the database are those of the running application."""

    def __init__(self, app: ASGIApp, secret: str) -> None:
        self._app = app
        self._secret = secret.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer as before."""
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        key = request.headers.get(HEADER)
        token = token_of(request)
        principal = await scope["app"].state.resolvers.principal(token) if key is not None and token else None
        if key is None or principal is None:
            await self._app(scope, receive, send)
            return
        try:
            if not 0 < len(key) <= _LONGEST_KEY or not key.isprintable():
                raise Invalid(
                    Text(f"{HEADER} must have 1 to {_LONGEST_KEY} characters.", f"{HEADER} 应为 1 至 {_LONGEST_KEY} 个字符。")
                )  # fmt: skip
            body = await request.body()
            known = await self._claim(scope, principal, key, body)
        except Problem as problem:
            await problem_answer(request, problem)(scope, receive, send)
            return
        if known is None:
            await self._first(scope, principal, key, body, send)
            return
        headers = [*known.headers, (REPLAYED, b"true")]
        await send({"type": "http.response.start", "status": known.status, "headers": headers})
        await send({"type": "http.response.body", "body": known.body})

    async def _claim(self, scope: Scope, principal: Principal, key: str, body: bytes) -> _Answer | None:
        """Return the answer that is known for `key`, None after claiming it; raises Invalid or Conflict."""
        db: Database = scope["app"].state.db
        address = scope["path"].encode() + b"?" + scope["query_string"]
        request = hashlib.sha256(scope["method"].encode() + b" " + address + b"\0" + body).digest()
        async with db.tenant(_upkeep(principal)) as connection:
            row = await _claim(connection, principal, self._hash(principal, key, b"key"), request)
        if row is None:
            return None
        if row[0] != request:
            raise Invalid(
                Text(f"This {HEADER} was used for another request.", f"该 {HEADER} 已用于另一个请求。"),
            )
        if row[1] is None:
            raise Conflict(
                Text(
                    f"A request with this {HEADER} is under way, or its end is unknown because the cloud stopped meanwhile."
                    " Ask again in a moment; if this stays, look whether it was done and use a new key.",
                    f"使用该 {HEADER} 的请求正在处理，或因云端中断而结果未知。请稍后重试；若仍如此，请核实是否已完成并改用新的键。",
                )
            )
        sealed = row[1]
        plain = AESGCM(self._hash(principal, key, b"seal")).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
        return msgspec.msgpack.decode(plain, type=_Answer)

    async def _first(self, scope: Scope, principal: Principal, key: str, body: bytes, send: Send) -> None:
        """Have the request done, and keep the answer, or let go of the key."""
        recorder = _Recorder(send)
        given = False

        async def receive() -> Message:
            nonlocal given
            if given:
                return {"type": "http.disconnect"}
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        try:
            await self._app(scope, receive, recorder)
        finally:
            kept = recorder.kept
            if kept is not None:
                nonce = randomness.token_bytes(_NONCE)
                kept = nonce + AESGCM(self._hash(principal, key, b"seal")).encrypt(nonce, kept, None)
            db: Database = scope["app"].state.db
            async with db.tenant(_upkeep(principal)) as connection:
                await _settle(connection, principal, self._hash(principal, key, b"key"), kept)

    def _hash(self, principal: Principal, key: str, purpose: bytes) -> bytes:
        whose = principal.scope.tenant_id.bytes + principal.user_id.bytes
        return hmac.digest(self._secret, b"idempotency-" + purpose + b":" + whose + key.encode(), hashlib.sha256)


def _upkeep(principal: Principal) -> TenantScope:
    """Return the scope keys are kept in: one's own keys are reached wherever in the plant one may act."""
    return TenantScope(principal.scope.tenant_id)


async def _claim(
    connection: AsyncConnection, principal: Principal, key: bytes, request: bytes
) -> tuple[bytes, bytes | None] | None:
    """Claim `key`, forgetting those older than a day; returns the request and the answer of who has it already."""
    await connection.execute(
        "DELETE FROM idempotency WHERE tenant_id = current_tenant() AND at < now() - interval '24 hours'"
    )
    claimed = await connection.execute(
        "INSERT INTO idempotency (tenant_id, user_id, key, request) VALUES (current_tenant(), %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        [principal.user_id, key, request],
    )
    if claimed.rowcount:
        return None
    cursor = await connection.execute(
        "SELECT request, answer FROM idempotency WHERE tenant_id = current_tenant() AND user_id = %s AND key = %s",
        [principal.user_id, key],
    )
    found: tuple[bytes, bytes | None] | None = await cursor.fetchone()
    return found or (request, None)


async def _settle(connection: AsyncConnection, principal: Principal, key: bytes, answer: bytes | None) -> None:
    """Keep the answer of `key`, or forget the key where there is none to keep."""
    act = "DELETE FROM idempotency" if answer is None else "UPDATE idempotency SET answer = %(answer)s"
    await connection.execute(
        f"{act} WHERE tenant_id = current_tenant() AND user_id = %(user)s AND key = %(key)s",
        {"answer": answer, "user": principal.user_id, "key": key},
    )


def document(schema: dict[str, Any]) -> None:
    """Add the header to every POST of a person in the OpenAPI document `schema`."""
    parameter = {
        "name": HEADER,
        "in": "header",
        "required": False,
        "description": "Any text that names this one request: sent again within 24 h, it is answered as before and not done again.",
        "schema": {"type": "string", "minLength": 1, "maxLength": _LONGEST_KEY},
    }
    for item in schema["paths"].values():
        operation = item.get("post", {})
        if any("bearer" in way for way in operation.get("security", ())):
            operation.setdefault("parameters", []).append(parameter)
