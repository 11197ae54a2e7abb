"""One person: their role in the company, their roles by place, and what both together let them see."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from uuid import UUID

from nicegui import ui

from cloud.core.errors import NotFound
from cloud.core.principal import Principal, Role, Scope
from cloud.identity.schemas import Grant, GrantsRequest, Reach, User
from cloud.web.elements import MarkView, Words, box, icon
from cloud.web.forms import Choice, attempt, button, done
from cloud.web.layout import frame, page_head
from cloud.web.pages import people
from cloud.web.roles import GRANTED, MEANINGS, ROLES, decision, role_mark
from cloud.web.visit import Visit
from protocols.text import Text

_MOST_SHOWN = 2000
_KINDS = {"site": Text("Site", "站点"), "line": Text("Line", "产线"), "equipment": Text("Equipment", "设备")}
_COMPANY_ROLE = Text("Role in the whole company", "在整个企业的角色")
_BY_PLACE = Text("Other roles by place", "按位置单独授权")
_BY_PLACE_HOW = Text(
    "A role here holds at the place and in everything there, instead of the company's; the nearest one wins."
    " For somebody who shall see one line only, choose “No access” above and open the line here.",
    "此处的角色适用于该位置及其下所有内容，优先于企业角色；越具体的授权越优先。"
    "如只让某人查看一条产线，请将企业角色设为“无权限”，再在此处开放该产线。",
)
_ADMINISTRATES = Text(
    "Managers and owners administrate the whole company and reach all of it.",
    "经理与所有者管理整个企业，可访问全部范围。",
)
_NO_GRANTS = Text("None: the role of the company holds everywhere.", "无：企业角色适用于所有位置。")
_PLACE, _ROLE_THERE, _ADD, _REMOVE = (
    Text("Place", "位置"),
    Text("Role there", "该处角色"),
    Text("Add", "添加"),
    Text("Remove", "移除"),
)
_SEES = Text("What this person can see", "该人员可见的范围")
_NO_PLACES = Text("There are no sites yet.", "尚无站点。")
_MORE = Text("The first {count} places are shown.", "仅显示前 {count} 个位置。")
_SAVED = Text(
    "Saved. Their sessions have ended; the change holds from their next log-in on.",
    "已保存。其会话已结束，重新登录后生效。",
)
_DISABLE, _DISABLE_SURE = Text("Disable the account", "停用账号"), Text("Yes, disable it now", "确认停用")
_DISABLED = Text("This account is disabled.", "该账号已停用。")
_KEPT = Text("What they did remains in the audit log.", "其操作记录仍保留在审计日志中。")


async def build(visit: Visit) -> None:
    """Build the page; raises NotFound."""
    try:
        user_id = UUID(visit.request.path_params["user_id"])
    except ValueError as error:
        raise NotFound from error
    user = await _user(visit, user_id)
    with frame(visit, user.email):
        page_head(user.email, back=("/people", visit.say(people.TITLE)))
        with box("columns"):
            edited, seen = box("stack wide"), box("card stack")
    await _Person(visit, user_id, edited, seen).show()


async def _user(visit: Visit, user_id: UUID) -> User:
    for user in await visit.domains.identity.users(visit.scope):
        if user.id == user_id:
            return user
    raise NotFound


class _Person:
    def __init__(self, visit: Visit, user_id: UUID, edited: ui.element, seen: ui.element) -> None:
        self._visit = visit
        self._id = user_id
        self._edited = edited
        self._seen = seen
        self._grants: Sequence[Grant] = ()

    async def show(self, said: Text | None = None) -> None:
        """Draw the page anew from what is stored."""
        visit = self._visit
        user = await _user(visit, self._id)
        self._grants = await visit.domains.identity.grants.of(visit.scope, self._id)
        page = await visit.domains.identity.grants.reach(visit.scope, self._id, limit=_MOST_SHOWN)
        self._edited.clear()
        with self._edited:
            self._answer = box("stack")
            if said is not None:
                done(self._answer, visit.say(said))
            if user.disabled_at is not None:
                Words(visit.say(_DISABLED), "notice warn", tag="p")
            else:
                self._show_role(user)
                self._show_grants(user, page.items)
                if user.id != visit.principal.user_id:
                    self._show_disable()
        self._seen.clear()
        with self._seen:
            self._show_reach(page.items, more=page.next is not None)

    def _show_role(self, user: User) -> None:
        visit = self._visit
        roles = {
            role.value: f"{visit.say(ROLES[role])} - {visit.say(MEANINGS[role])}"
            for role in Role
            if role.rank <= visit.principal.role.rank
        }
        with box("card stack"):
            if user.role.value in roles:
                Choice(visit.say(_COMPANY_ROLE), roles, user.role, self._change_role).mark("company-role")
            else:
                Words(visit.say(_COMPANY_ROLE), "muted small", tag="div")
                MarkView(role_mark(user.role), visit.language)

    def _show_grants(self, user: User, reach: Sequence[Reach]) -> None:
        visit = self._visit
        with box("card stack"):
            Words(visit.say(_BY_PLACE), tag="h2")
            if user.role.rank >= Role.MANAGER.rank:
                Words(visit.say(_ADMINISTRATES), "muted", tag="p")
                return
            Words(visit.say(_BY_PLACE_HOW), "muted small", tag="p")
            roles = {role.value: visit.say(ROLES[role]) for role in GRANTED}
            if not self._grants:
                Words(visit.say(_NO_GRANTS), "muted", tag="p")
            for grant in self._grants:
                with box("granted"):
                    Words(grant.path, tag="div")
                    Choice(visit.say(_ROLE_THERE), roles, grant.role, partial(self._put, grant.id), shown=False)
                    button(visit.say(_REMOVE), partial(self._put, grant.id, None), "button quiet")
            taken = {grant.id for grant in self._grants}
            free = {
                str(each.id): f"{visit.say(_KINDS[each.kind])}: {each.path}" for each in reach if each.id not in taken
            }
            if free:
                with box("granted new"):
                    place = Choice(visit.say(_PLACE), free, next(iter(free))).mark("grant-place")
                    role = Choice(visit.say(_ROLE_THERE), roles, Role.VIEWER).mark("grant-role")
                    button(visit.say(_ADD), lambda: self._put(UUID(place.value), role.value)).mark("grant-add")

    def _show_disable(self) -> None:
        visit = self._visit

        async def ask() -> None:
            first.set_visibility(False)
            sure.set_visibility(True)

        with box("card stack"):
            Words(visit.say(_KEPT), "muted small", tag="p")
            with box("line"):
                first = button(visit.say(_DISABLE), ask, "button quiet")
                sure = button(visit.say(_DISABLE_SURE), self._disable, "button bad")
                sure.set_visibility(False)

    def _show_reach(self, reach: Sequence[Reach], *, more: bool) -> None:
        visit = self._visit
        Words(visit.say(_SEES), tag="h2")
        if not reach:
            Words(visit.say(_NO_PLACES), "muted", tag="p")
        with box("reach"):
            for each in reach:
                with box(f"place {each.kind}"):
                    icon(each.kind)
                    with box("stack"):
                        Words(each.name, tag="div")
                        Words(decision(visit, each), "muted small", tag="div")
                    MarkView(role_mark(each.role), visit.language)
        if more:
            Words(visit.say(_MORE, count=_MOST_SHOWN), "muted small", tag="p")

    async def _change_role(self, role: str) -> None:
        async def act(principal: Principal) -> None:
            await self._visit.domains.identity.change_role(principal, self._id, Role(role))

        await self._do(act)

    async def _put(self, place: UUID, role: str | None) -> None:
        """Give the person `role` at `place`, or none of their own there."""

        async def act(principal: Principal) -> None:
            wanted = {grant.id: str(grant.role) for grant in self._grants} | {place: role}
            grants = [{"id": at, "role": given} for at, given in wanted.items() if given is not None]
            request = GrantsRequest.model_validate({"grants": grants})
            await self._visit.domains.identity.grants.replace(principal, self._id, request)

        await self._do(act)

    async def _disable(self) -> None:
        async def act(principal: Principal) -> None:
            await self._visit.domains.identity.disable_user(principal, self._id)

        await self._do(act)

    async def _do(self, act: Callable[[Principal], Awaitable[None]]) -> None:
        if await attempt(self._visit, self._answer, Scope.ADMIN, act):
            await self.show(_SAVED)
