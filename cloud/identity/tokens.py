"""Sessions and API tokens: 256 random bits each, stored as keyed hashes; they open at most what their user may do now."""

from __future__ import annotations

import hashlib
import hmac
import secrets as randomness
from datetime import UTC, datetime, timedelta
from uuid import UUID

from uuid_utils.compat import uuid7

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Invalid, NotFound, Unauthenticated
from cloud.core.keyset import WHOLE, Window
from cloud.core.principal import Principal, Role, Scope, TenantScope
from cloud.core.settings import Secrets
from cloud.identity.schemas import ApiToken, ApiTokenRequest, NewApiToken, Session
from cloud.identity.store import people as store
from protocols.text import Text

SESSION_LIFE = timedelta(days=7)
_RENEWED_AFTER = timedelta(days=1)


class Tokens:
    """What people and their programs present with a request."""

    def __init__(self, db: Database, secrets: Secrets) -> None:
        self._db = db
        self._key = secrets.lookup_key.encode()

    async def resolve(self, token: str) -> Principal | None:
        """Return whose session or API token this is; None if it is nobody's, expired, or its user disabled."""
        async with self._db.door() as connection:
            found = await store.find_token(connection, self._hash(token))
        if found is None:
            return None
        roles = [Role(found["role"]), *map(Role, found["granted"])]
        return Principal(
            scope=TenantScope(found["tenant_id"], found["user_id"]),
            user_id=found["user_id"],
            token_id=found["token_id"],
            email=found["email"],
            role=roles[0],
            language=found["language"],
            scopes=max(roles, key=lambda role: role.rank).scopes & frozenset(map(Scope, found["scopes"])),
        )

    async def renewed(self, principal: Principal) -> Session | None:
        """Return a new session if the one presented is a day old. The old one is good for a minute more: for what the
        browser has under way."""
        made_at = datetime.fromtimestamp((principal.token_id.int >> 80) / 1000, UTC)  # of a UUIDv7, RFC 9562
        if datetime.now(UTC) - made_at < _RENEWED_AFTER:
            return None
        return await self.renew(principal, grace=timedelta(minutes=1))

    async def renew(self, principal: Principal, *, grace: timedelta = timedelta(0)) -> Session:
        """Give the principal another session for the one presented, which ends after `grace`.

        Raises Unauthenticated if an API token was presented.
        """
        async with self._db.tenant(principal.scope) as connection:
            if not await store.end_session(connection, principal.token_id, grace):
                raise Unauthenticated
            return await self.open_session(connection, principal.user_id)

    async def open_session(self, connection: AsyncConnection, user: UUID) -> Session:
        """Make a session of a user, in the caller's transaction. It opens whatever the user may do at any time."""
        token, expires_at = _new_token("session"), datetime.now(UTC) + SESSION_LIFE
        await store.insert_token(
            connection,
            uuid7(),
            user=user,
            kind="session",
            name="",
            token_hash=self._hash(token),
            scopes=sorted(Role.OWNER.scopes),
            expires_at=expires_at,
        )
        return Session(token=token, expires_at=expires_at)

    async def end(self, principal: Principal) -> None:
        """End the session or API token that was presented."""
        async with self._db.tenant(principal.scope) as connection:
            await store.delete_token(connection, principal.user_id, principal.token_id)
            await audit.record(connection, principal.actor, "session.end", str(principal.token_id))

    async def create(self, principal: Principal, request: ApiTokenRequest) -> NewApiToken:
        """Make an API token for the principal; raises Invalid for scopes beyond the principal's own."""
        if excess := set(request.scopes) - principal.scopes:
            names = ", ".join(sorted(excess))
            raise Invalid(Text(f"You do not have the scopes {names} yourself.", f"您自己没有以下权限：{names}。"))
        token = _new_token("api")
        async with self._db.tenant(principal.scope) as connection:
            row = await store.insert_token(
                connection,
                uuid7(),
                user=principal.user_id,
                kind="api",
                name=request.name,
                token_hash=self._hash(token),
                scopes=sorted(set(request.scopes)),
                expires_at=datetime.now(UTC) + timedelta(days=request.days),
            )
            await audit.record(connection, principal.actor, "token.create", request.name, scopes=request.scopes)
        return NewApiToken(token=token, **row)

    async def listed(self, principal: Principal, window: Window = WHOLE) -> list[ApiToken]:
        """Return the principal's own API tokens, newest first."""
        async with self._db.tenant(principal.scope) as connection:
            return [ApiToken(**row) for row in await store.select_tokens(connection, principal.user_id, window)]

    async def delete(self, principal: Principal, token: UUID) -> None:
        """End one of the principal's own tokens; raises NotFound."""
        async with self._db.tenant(principal.scope) as connection:
            if not await store.delete_token(connection, principal.user_id, token):
                raise NotFound
            await audit.record(connection, principal.actor, "token.delete", str(token))

    def _hash(self, token: str) -> bytes:
        return hmac.digest(self._key, b"access-token:" + token.encode(), hashlib.sha256)


def _new_token(kind: str) -> str:
    """Return 256 random bits; the prefix tells people and secret scanners what they have found."""
    return f"sunmao-{kind}-{randomness.token_urlsafe(32)}"
