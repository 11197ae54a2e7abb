"""Invitations: a link and, given separately, a code; together they let one person into the company, once."""

from __future__ import annotations

import hashlib
import hmac
import secrets as randomness
from uuid import UUID

from uuid_utils.compat import uuid7

from cloud.core import audit
from cloud.core.codes import canonical, new_code
from cloud.core.db import Database, enter
from cloud.core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from cloud.core.keyset import LATEST, Window
from cloud.core.limits import RateLimit
from cloud.core.principal import Principal, Role, TenantScope
from cloud.core.settings import Secrets
from cloud.identity.passwords import Passwords
from cloud.identity.schemas import Invitation, InvitationRequest, JoinRequest, NewInvitation, User
from cloud.identity.store import grants
from cloud.identity.store import people as store
from protocols.text import Text

_MAX_WRONG_CODES = 5


class InvitationRefused(Unauthenticated):
    """No invitation that is open has this token and this code; what is wrong with it is not said."""

    def __init__(self) -> None:
        super().__init__(
            Text(
                "The invitation or its code is wrong, used, withdrawn or expired. Ask who invited you for another.",
                "邀请或邀请码有误、已使用、已撤回或已过期，请联系邀请人重新邀请。",
            )
        )


class Invitations:
    """A company's invitations. Joining is limited to 30 tries per address, then one per 2 s; five wrong codes end one."""

    def __init__(self, db: Database, secrets: Secrets, passwords: Passwords) -> None:
        self._db = db
        self._key = secrets.lookup_key.encode()
        self._passwords = passwords
        self._per_address = RateLimit(burst=30, period_s=2)

    async def invite(self, principal: Principal, request: InvitationRequest) -> NewInvitation:
        """Make an invitation; raises Forbidden for a role above the principal's own, Invalid for unknown places."""
        if request.role.rank > principal.role.rank:
            raise Forbidden(
                Text(
                    f"You cannot invite somebody as {request.role}: it is above your own role.",
                    f"不能以 {request.role} 角色邀请他人：该角色高于您自己的角色。",
                )
            )
        if request.grants and request.role.rank >= Role.MANAGER.rank:
            raise Invalid(
                Text("A manager or owner reaches all places.", "manager 和 owner 可访问所有位置，无需单独授权。")
            )
        token, code = f"sunmao-invitation-{randomness.token_urlsafe(32)}", new_code()
        async with self._db.tenant(principal.scope) as connection:
            places = {grant.id for grant in request.grants}
            if not len(await grants.select_places(connection, places)) == len(places) == len(request.grants):
                raise Invalid(Text("A place is unknown, or named twice.", "所列位置中有不存在或重复的项。"))
            row = await store.insert_invitation(
                connection,
                uuid7(),
                role=request.role,
                note=request.note,
                token_hash=self._hash("invitation", token),
                code_hash=self._hash("invitation-code", canonical(code)),
                created_by=principal.user_id,
                days=request.days,
                grants=[grant.model_dump(mode="json") for grant in request.grants],
            )
            await audit.record(
                *(connection, principal.actor, "invitation.create", str(row["id"])),
                role=request.role,
                note=request.note,
                grants=[grant.model_dump(mode="json") for grant in request.grants],
            )
        return NewInvitation(token=token, code=code, **row)

    async def invitations(self, scope: TenantScope, window: Window = LATEST) -> list[Invitation]:
        """Return the tenant's invitations, newest first."""
        async with self._db.tenant(scope) as connection:
            return [Invitation(**row) for row in await store.select_invitations(connection, window)]

    async def withdraw(self, principal: Principal, invitation: UUID) -> None:
        """End an invitation that is not used; raises NotFound."""
        async with self._db.tenant(principal.scope) as connection:
            if not await store.delete_invitation(connection, invitation):
                raise NotFound
            await audit.record(connection, principal.actor, "invitation.withdraw", str(invitation))

    async def join(self, request: JoinRequest, address: str, *, highest: Role = Role.OWNER) -> User:
        """Make the user an invitation stands for, and use it up; one for more than the role `highest` is refused.

        Raises InvitationRefused, TooMany, and Conflict if the e-mail is taken; the invitation stays open then.
        """
        self._per_address.spend(address)
        email = request.email.lower()
        password_hash = await self._passwords.hashed(request.password)
        try:
            async with self._db.door() as connection:
                found = await store.find_invitation(connection, self._hash("invitation", request.token))
                if found is None:
                    raise InvitationRefused
                await enter(connection, TenantScope(found["tenant_id"]))
                row = await store.lock_open_invitation(connection, found["id"], _MAX_WRONG_CODES)
                if row is None or Role(row["role"]).rank > highest.rank:
                    raise InvitationRefused
                right = hmac.compare_digest(row["code_hash"], self._hash("invitation-code", canonical(request.code)))
                if right:
                    user, role = uuid7(), Role(row["role"])
                    made = await store.insert_user(
                        connection,
                        user,
                        email=email,
                        password_hash=password_hash,
                        role=role,
                        language=request.language,
                    )
                    await grants.replace_grants(
                        connection, user, [(uuid7(), UUID(grant["id"]), grant["role"]) for grant in row["grants"]]
                    )
                    await store.use_invitation(connection, found["id"], user)
                    await audit.record(
                        connection, f"user:{email}", "user.join", email, user=user, role=role, invitation=found["id"]
                    )
                else:
                    await store.count_wrong_code(connection, found["id"])
                    await audit.record(connection, f"address:{address}", "invitation.refuse", str(found["id"]))
        except store.Taken as error:
            raise Conflict(Text(f"'{email}' is in use.", f"邮箱“{email}”已被使用。")) from error
        if not right:
            raise InvitationRefused
        return User(**made)

    def _hash(self, purpose: str, secret: str) -> bytes:
        return hmac.digest(self._key, f"{purpose}:{secret}".encode(), hashlib.sha256)
