"""Explains who may do what, and why."""

from __future__ import annotations

from typing import Literal, NamedTuple
from uuid import UUID

from cloud.core.db import Database
from cloud.core.errors import Forbidden, NotFound
from cloud.core.principal import Principal, Role, Scope
from cloud.identity.schemas import Permission
from cloud.identity.store import grants
from cloud.identity.store import people as store
from protocols.text import Text


class Permissions:
    """Answers from the same roles that every operation is decided by."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def check(
        self, principal: Principal, subject: UUID | None, action: Scope, place: UUID | None = None
    ) -> Permission:
        """Return whether the user `subject`, or the principal, may do what demands `action` at a place, and why.

        `place` is the id of a site, a line or a piece of equipment; None asks for the whole company. Raises NotFound if
        there is no such user or place, and Forbidden if the principal may not know of others.
        """
        if subject not in (None, principal.user_id) and Scope.ADMIN not in principal.scopes:
            raise Forbidden(Text("You may ask about yourself only.", "您只能查询自己的权限。"))
        async with self._db.tenant(principal.scope) as connection:
            user = await store.select_user(connection, subject or principal.user_id)
            if user is None:
                raise NotFound
            at = await grants.select_decision(connection, user["id"], place) if place else None
        if place and at is None:
            raise NotFound
        decision = (
            Decision(at["role"], at["decided_by"], at["decided_at"], at["path"]) if at else Decision(user["role"])
        )
        allowed, why = explained(user["email"], decision, action, disabled=user["disabled_at"] is not None)
        return Permission(
            subject=user["id"],
            action=action,
            allowed=allowed,
            at=decision.place,
            role=Role(decision.role),
            decided_by=decision.by,
            decided_at=decision.at,
            least_role=least_role(action),
            why_en=why.en,
            why_zh=why.zh,
        )


class Decision(NamedTuple):
    """A user's role at `place`, and the grant that decides it: at a place of the kind `by`, whose path is `at`."""

    role: str
    by: Literal["company", "site", "line", "equipment"] = "company"
    at: str | None = None
    place: str | None = None

    @property
    def words(self) -> Text:
        """Where the role comes from."""
        if self.at is None:
            return Text(f"{self.role} of the whole company", f"整个企业的 {self.role}")
        if self.at == self.place:
            return Text(f"{self.role} at {self.at}, by a grant there", f"{self.at} 的 {self.role}(在该处单独授权)")
        return Text(
            f"{self.role} at {self.place}, by the grant at {self.at}",
            f"{self.place} 的 {self.role}(由 {self.at} 的授权决定)",
        )


def least_role(action: Scope) -> Role | None:
    """Return the first role that may do what demands `action`; None if none may, or nobody needs one."""
    return next((role for role in Role if action in role.scopes), None)


def explained(email: str, decision: Decision, action: Scope, *, disabled: bool) -> tuple[bool, Text]:
    """Return whether a user may do what demands `action`, and why, in words."""
    least = least_role(action)
    if action is Scope.PUBLIC:
        return True, Text(f"'{action}' is open to everybody.", f"“{action}”无需登录即可使用。")
    if least is None:
        return False, Text(f"'{action}' is not for people, whatever their role.", f"“{action}”不对任何人员角色开放。")
    if disabled:
        return False, Text(f"{email} is disabled.", f"{email} 已停用。")
    words = decision.words
    why = Text(
        f"{email} is {words.en}; '{action}' takes at least {least}.",
        f"{email} 是{words.zh}；“{action}”至少需要 {least}。",
    )
    if action in Role(decision.role).scopes:
        return True, why
    return False, Text(f"{why.en} A manager can change that.", f"{why.zh}可由 manager 更改。")
