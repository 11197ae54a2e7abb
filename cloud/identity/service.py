"""The door of the identity domain.

    identity = Identity(db, secrets)                          app.state.identity in a running cloud
    session = await identity.log_in(email, password, address) -> Session(token, expires_at); raises LogInRefused, TooMany
    principal = await identity.resolve(token)                 -> Principal | None (session or API token)
    await identity.log_out(principal)
    me = await identity.me(principal)                         -> Me(email, role, language, tenant, ...)
    await identity.set_language(principal, "zh")
    sites = await identity.sites(principal.scope)             -> list[Site]
    lines = await identity.plant.lines(principal.scope)       -> LinePage; identity.plant makes, changes, removes them

`principal.scope` is the TenantScope every other domain's functions take first.
"""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7

from cloud.core import audit
from cloud.core.db import AsyncConnection, Database
from cloud.core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from cloud.core.keyset import WHOLE, Window
from cloud.core.limits import RateLimit, RecentKeys
from cloud.core.principal import Principal, Role, TenantScope
from cloud.core.settings import Secrets
from cloud.identity.audit_log import AuditLog
from cloud.identity.boards import Boards
from cloud.identity.credit_code import taken, verified
from cloud.identity.grants import Grants
from cloud.identity.invitations import InvitationRefused, Invitations
from cloud.identity.oidc_settings import OidcSettings
from cloud.identity.passwords import Passwords
from cloud.identity.permissions import Permissions
from cloud.identity.plant import Plant, insert_site
from cloud.identity.schemas import (
    Me,
    PasswordRequest,
    Session,
    Site,
    SiteRequest,
    User,
    UserRequest,
)
from cloud.identity.single_sign_on import TICKET_LIFE_S, SingleSignOn, SingleSignOnRefused
from cloud.identity.store import grants
from cloud.identity.store import people as store
from cloud.identity.tokens import SESSION_LIFE, Tokens
from protocols.text import Language, Text

__all__ = [
    "SESSION_LIFE",
    "TICKET_LIFE_S",
    "Identity",
    "InvitationRefused",
    "LogInRefused",
    "SingleSignOnRefused",
    "verified",
]


class LogInRefused(Unauthenticated):
    """Wrong e-mail or wrong password; which of the two is not said."""

    def __init__(self) -> None:
        super().__init__(Text("E-mail or password is wrong.", "邮箱或密码错误。"))


class Identity:
    """Tenants, sites, users and credentials.

    Log-ins are limited to 5 wrong ones per account and address together (then one per 30 s), 30 per address (then one per
    2 s), and 50 per account from all addresses it has not signed in from (then one per 30 s). So guessing from many
    addresses is slowed down, and yet cannot keep out who signs in from a place they have signed in from before. Which
    places those are is kept in the process's memory. An unknown e-mail costs the same work and gets the same answer as a
    wrong password.
    """

    def __init__(self, db: Database, secrets: Secrets, oidc: OidcSettings | None = None) -> None:
        self._db = db
        self._passwords = Passwords()
        self.tokens = Tokens(db, secrets)
        """Sessions and API tokens."""
        self.permissions = Permissions(db)
        """Why somebody may do something, or may not."""
        self.invitations = Invitations(db, secrets, self._passwords)
        """How people join a company."""
        self.single_sign_on = SingleSignOn(db, secrets, oidc, self.tokens, self.invitations) if oidc else None
        """Log-in with the account people have at work; None where the operator has set no provider."""
        self.boards = Boards(db, secrets)
        """Screens on the wall."""
        self.audit_log = AuditLog(db)
        """What they did."""
        self.grants = Grants(db)
        """What users may do where it is other than in the whole company."""
        self.plant = Plant(db)
        """Where they work: sites and lines."""
        self._per_pair = RateLimit(burst=5, period_s=30)
        self._per_account = RateLimit(burst=50, period_s=30)
        self._familiar = RecentKeys()
        self._per_address = RateLimit(burst=30, period_s=2)

    async def create_tenant(
        self, name: str, credit_code: str | None = None, site: SiteRequest | None = None
    ) -> TenantScope:
        """Create a tenant, with its first site if one is given; for the operator's command line.

        Without a credit code it is on trial. Raises ConfigError for a code that is wrong or another tenant's, Invalid for
        an unknown time zone.
        """
        scope = TenantScope(uuid7())
        code = verified(credit_code) if credit_code else None
        try:
            async with self._db.tenant(scope) as connection:
                await store.insert_tenant(connection, scope.tenant_id, name, code)
                await audit.record(connection, "operator", "tenant.create", name, credit_code=code)
                if site:
                    await insert_site(connection, site, "operator")
        except store.Taken as error:
            raise taken(code or "") from error
        return scope

    async def found(self, name: str, credit_code: str, site: SiteRequest, owner: UserRequest) -> Session:
        """Create a company that was invited by its credit code, with its first site and its owner, and sign the owner in.

        Raises Conflict if the company or the e-mail is here already, Invalid for an unknown time zone.
        """
        scope, user, email = TenantScope(uuid7()), uuid7(), owner.email.lower()
        actor, password_hash = f"user:{email}", await self._passwords.hashed(owner.password)
        async with self._db.tenant(scope) as connection:
            try:
                await store.insert_tenant(connection, scope.tenant_id, name, verified(credit_code))
            except store.Taken as error:
                raise Conflict(
                    Text(
                        "This company is here already: log in, and answer under data sharing.",
                        "该企业已注册，请登录后在“数据共享”中答复。",
                    )
                ) from error
            await insert_site(connection, site, actor)
            try:
                await store.insert_user(
                    connection,
                    user,
                    email=email,
                    password_hash=password_hash,
                    role=Role.OWNER,
                    language=owner.language,
                )
            except store.Taken as error:
                raise Conflict(Text(f"'{email}' is in use.", f"邮箱“{email}”已被使用。")) from error
            session = await self.tokens.open_session(connection, user)
            await audit.record(connection, actor, "tenant.create", name, credit_code=credit_code)
            await audit.record(connection, actor, "user.create", email, user=user, role=Role.OWNER)
        return session

    async def is_registered(self, credit_code: str) -> bool:
        """Return whether a company with this code is here; only for who may know, as it tells of other companies."""
        async with self._db.door() as connection:
            return await store.is_registered(connection, credit_code)

    async def set_credit_code(self, scope: TenantScope, credit_code: str) -> None:
        """Register the tenant's credit code, which ends its trial; for the operator's command line.

        Raises ConfigError for a code that is wrong or another tenant's.
        """
        code = verified(credit_code)
        try:
            async with self._db.tenant(scope) as connection:
                before = await store.update_credit_code(connection, code)
                await audit.record(connection, "operator", "tenant.set_credit_code", code, before=before, after=code)
        except store.Taken as error:
            raise taken(code) from error

    async def create_site(self, scope: TenantScope, request: SiteRequest, actor: str) -> Site:
        """Create a site; see `Plant.create_site`."""
        return await self.plant.create_site(scope, request, actor)

    async def sites(self, scope: TenantScope) -> list[Site]:
        """Return the tenant's sites, by name."""
        return await self.plant.sites(scope)

    async def create_user(
        self, scope: TenantScope, request: UserRequest, actor: str, highest: Role = Role.OWNER
    ) -> User:
        """Create a user with at most the role `highest`.

        Raises Forbidden for a higher one, and Conflict if the e-mail is taken - by whom is not said.
        """
        _refuse_above(highest, request.role)
        email = request.email.lower()
        password_hash = await self._passwords.hashed(request.password)
        user = uuid7()
        try:
            async with self._db.tenant(scope) as connection:
                made = await store.insert_user(
                    connection,
                    user,
                    email=email,
                    password_hash=password_hash,
                    role=request.role,
                    language=request.language,
                )
                await audit.record(connection, actor, "user.create", email, user=user, role=request.role)
        except store.Taken as error:
            raise Conflict(Text(f"'{email}' is in use.", f"邮箱“{email}”已被使用。")) from error
        return User(**made)

    async def users(self, scope: TenantScope, window: Window = WHOLE) -> list[User]:
        """Return the tenant's users, by e-mail."""
        async with self._db.tenant(scope) as connection:
            return [User(**row) for row in await store.select_users(connection, window)]

    async def disable_user(self, principal: Principal, user: UUID) -> None:
        """End a user's access at once; raises NotFound, Forbidden for a higher role, and Conflict for oneself.

        The last owner cannot be disabled either.
        """
        if user == principal.user_id:
            raise Conflict(Text("You cannot disable yourself.", "不能停用自己的账号。"))
        async with self._db.tenant(principal.scope) as connection:
            _, owners = await _may_change(connection, principal, user)
            _refuse_last_owner(owners, user)
            email = await store.disable_user(connection, user)
            await audit.record(connection, principal.actor, "user.disable", email, user=user)

    async def change_role(self, principal: Principal, user: UUID, role: Role) -> None:
        """Give a user another role and end their sessions; API tokens of theirs never open more than the role does.

        Who comes to administrate the company loses their grants, for they reach all of it.

        Raises NotFound, Forbidden for a role above the principal's own, before or after, and Conflict for the last owner.
        """
        _refuse_above(principal.role, role)
        async with self._db.tenant(principal.scope) as connection:
            before, owners = await _may_change(connection, principal, user)
            if role is not Role.OWNER:
                _refuse_last_owner(owners, user)
            email = await store.update_role(connection, user, role)
            if role.rank >= Role.MANAGER.rank:
                await grants.replace_grants(connection, user, [])
            await store.delete_sessions(connection, user)
            await audit.record(
                connection, principal.actor, "user.set_role", email, user=user, before=before, after=role
            )

    async def change_password(self, principal: Principal, request: PasswordRequest) -> None:
        """Set the principal's password and end all their sessions but the one presented.

        Raises Invalid if the current one is wrong, and TooMany as `log_in` does.
        """
        tries = f"{principal.email} of {principal.user_id}"
        self._per_pair.spend(tries)
        async with self._db.door() as connection:
            found = await store.find_log_in(connection, principal.email)
        if found is None or not await self._passwords.fits(request.current, found["password_hash"]):
            raise Invalid(Text("The current password is wrong.", "当前密码错误。"))
        self._per_pair.forgive(tries)
        password_hash = await self._passwords.hashed(request.new)
        async with self._db.tenant(principal.scope) as connection:
            await store.update_password(connection, principal.user_id, password_hash)
            await store.delete_sessions(connection, principal.user_id, keep=principal.token_id)
            await audit.record(
                connection, principal.actor, "user.set_password", principal.email, user=principal.user_id
            )

    async def log_in(self, email: str, password: str, address: str, *, old_token: str | None = None) -> Session:
        """Sign a user in from the network `address`; an `old_token` presented with it ends.

        Raises LogInRefused or TooMany.
        """
        account = email.strip().lower()
        pair = f"{account} {address}"
        self._per_pair.spend(pair)
        self._per_address.spend(address)
        if pair not in self._familiar:
            self._per_account.spend(account)
        async with self._db.door() as connection:
            found = await store.find_log_in(connection, account)
        right = await self._passwords.fits(password, found["password_hash"] if found else None)
        if found is None or not right:
            if found is not None:
                async with self._db.tenant(TenantScope(found["tenant_id"])) as connection:
                    await audit.record(connection, f"address:{address}", "session.refuse", account)
            raise LogInRefused
        self._per_pair.forgive(pair)
        self._familiar.add(pair)
        old = await self.resolve(old_token) if old_token else None
        if old is not None:
            await self.log_out(old)
        async with self._db.tenant(TenantScope(found["tenant_id"])) as connection:
            session = await self.tokens.open_session(connection, found["user_id"])
            await audit.record(connection, f"user:{account}", "session.create", address)
        return session

    async def resolve(self, token: str) -> Principal | None:
        """Return whose session or API token this is; None if it is nobody's, expired, or its user disabled."""
        return await self.tokens.resolve(token)

    async def log_out(self, principal: Principal) -> None:
        """End the session or API token that was presented."""
        await self.tokens.end(principal)

    async def me(self, principal: Principal) -> Me:
        """Return who the principal is."""
        async with self._db.tenant(principal.scope) as connection:
            tenant = await store.select_tenant(connection)
        return Me(
            user_id=principal.user_id,
            email=principal.email,
            role=principal.role,
            language=principal.language,
            tenant_id=principal.scope.tenant_id,
            tenant=tenant["name"],
            trial=tenant["credit_code"] is None,
        )

    async def company_name(self, scope: TenantScope) -> str:
        """Return what the company is called."""
        async with self._db.tenant(scope) as connection:
            return str((await store.select_tenant(connection))["name"])

    async def set_language(self, principal: Principal, language: Language | None) -> None:
        """Remember the language the user reads; None follows the browser."""
        async with self._db.tenant(principal.scope) as connection:
            await store.update_language(connection, principal.user_id, language)
            await audit.record(
                connection,
                *(principal.actor, "user.set_language", principal.email),
                before=principal.language,
                after=language,
            )


async def _may_change(connection: AsyncConnection, principal: Principal, user: UUID) -> tuple[Role, set[UUID]]:
    """Return the user's role and who the owners are, both held until the transaction ends.

    Raises NotFound, and Forbidden for a role above the principal's.
    """
    roles = await store.lock_roles(connection, user)
    if user not in roles:
        raise NotFound
    _refuse_above(principal.role, Role(roles[user]))
    return Role(roles[user]), {one for one, role in roles.items() if role == Role.OWNER}


def _refuse_last_owner(owners: set[UUID], user: UUID) -> None:
    if owners == {user}:
        raise Conflict(
            Text(
                "A company keeps an owner; make somebody else one first.",
                "企业须保留至少一名所有者，请先指定另一名所有者。",
            )
        )


def _refuse_above(highest: Role, role: Role) -> None:
    if role.rank > highest.rank:
        raise Forbidden(
            Text(
                f"The role {role} is above your own, {highest}; ask somebody who has it.",
                f"角色 {role} 高于您自己的角色 {highest}，请联系具有该角色的人员。",
            )
        )
