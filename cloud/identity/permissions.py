"""Explains who may do what, and why."""

from __future__ import annotations

from uuid import UUID

from cloud.core.db import Database
from cloud.core.errors import Forbidden, NotFound
from cloud.core.principal import Principal, Role, Scope
from cloud.identity.schemas import Permission
from cloud.identity.store import people as store
from protocols.text import Text


class Permissions:
    """Answers from the same roles that every operation is decided by."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def check(self, principal: Principal, subject: UUID | None, action: Scope) -> Permission:
        """Return whether the user `subject`, or the principal, may do what demands `action`, and why.

        Raises NotFound if the company has no such user, and Forbidden if the principal may not know of others.
        """
        if subject not in (None, principal.user_id) and Scope.ADMIN not in principal.scopes:
            raise Forbidden(Text("You may ask about yourself only.", "您只能查询自己的权限。"))
        async with self._db.tenant(principal.scope) as connection:
            user = await store.select_user(connection, subject or principal.user_id)
        if user is None:
            raise NotFound
        allowed, why = explained(user["email"], Role(user["role"]), action, disabled=user["disabled_at"] is not None)
        return Permission(
            subject=user["id"],
            action=action,
            allowed=allowed,
            role=user["role"],
            least_role=least_role(action),
            why_en=why.en,
            why_zh=why.zh,
        )


def least_role(action: Scope) -> Role | None:
    """Return the first role that may do what demands `action`; None if none may, or nobody needs one."""
    return next((role for role in Role if action in role.scopes), None)


def explained(email: str, role: Role, action: Scope, *, disabled: bool) -> tuple[bool, Text]:
    """Return whether a user may do what demands `action`, and why, in words."""
    least = least_role(action)
    if action is Scope.PUBLIC:
        return True, Text(f"'{action}' is open to everybody.", f"“{action}”无需登录即可使用。")
    if least is None:
        return False, Text(f"'{action}' is not for people, whatever their role.", f"“{action}”不对任何人员角色开放。")
    if disabled:
        return False, Text(f"{email} is disabled.", f"{email} 已停用。")
    if action in role.scopes:
        return True, Text(
            f"{email} is {role} of the whole company; '{action}' takes at least {least}.",
            f"{email} 是整个企业的 {role}；“{action}”至少需要 {least}。",
        )
    return False, Text(
        f"{email} is {role} of the whole company; '{action}' takes at least {least}. A manager can change the role.",
        f"{email} 是整个企业的 {role}；“{action}”至少需要 {least}。可由 manager 更改其角色。",
    )
