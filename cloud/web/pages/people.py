"""The people of the company: who they are, what they may do, and how another one joins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from nicegui import ui

from cloud.core.principal import Principal, Role, Scope
from cloud.identity.schemas import InvitationRequest, NewInvitation, User
from cloud.web.elements import MarkView, Words, box
from cloud.web.enrolment import qr_code
from cloud.web.forms import Choice, Field, attempt, button
from cloud.web.language import moment
from cloud.web.layout import frame, page_head
from cloud.web.roles import MEANINGS, ROLES, role_mark
from cloud.web.visit import Visit
from cloud.web.words import Mark
from protocols.text import Text

TITLE = Text("People", "人员")
JOIN_PATH = "/join"

_DISABLED = Mark(Text("Disabled", "已停用"), "off")
_YOU = Text("you", "本人")
_INVITE, _INVITE_BUTTON = Text("Invite somebody", "邀请成员"), Text("Make the invitation", "生成邀请")
_HOW = Text(
    "An invitation has two halves. Send the link one way and tell the code another way, as by phone; both are needed, once.",
    "邀请由两部分组成：链接与邀请码。请通过不同途径发送，例如邮件发送链接、电话告知邀请码；二者缺一不可，仅可使用一次。",
)
_FOR, _ROLE, _DAYS = (
    Text("For whom", "受邀人"),
    Text("Role", "角色"),
    Text("Good for", "有效期"),
)
_DAY_COUNT = Text("{count} days", "{count} 天")
_PLACE = Text("Only at", "仅限于")
_EVERYWHERE = Text("the whole company", "整个企业")
_LINK, _CODE = Text("1. The link", "1. 链接"), Text("2. The code, told another way", "2. 邀请码(请另行告知)")
_SCAN = Text("or let the phone scan this", "或用手机扫描")
_ONCE = Text("Shown this once. Good until {until}.", "仅显示一次，有效期至 {until}。")
_OPEN = Text("Open invitations", "待接受的邀请")
_UNTIL = Text("{role} · until {until}", "{role} · 有效期至 {until}")
_NO_NOTE = Text("no name given", "未注明")
_WITHDRAW = Text("Withdraw", "撤回")


async def build(visit: Visit) -> None:
    """Build the page."""
    users = await visit.domains.identity.users(visit.scope)
    sites = {str(site.id): site.name for site in await visit.domains.identity.sites(visit.scope)}
    lines = await visit.domains.identity.plant.lines(visit.scope, limit=1000)
    places = sites | {str(line.id): line.path for line in lines.items}
    with frame(visit, visit.say(TITLE)):
        page_head(visit.say(TITLE))
        with box("columns"):
            _table(visit, users)
            with box("stack wide"):
                invitations = _Invitations(visit, places)
    await invitations.refresh()


def _table(visit: Visit, users: Sequence[User]) -> None:
    with box("card"), box("people"):
        for user in users:
            with box("person", "a", href=f"/people/{user.id}"):
                with box("stack"):
                    Words(user.email, "name", tag="div")
                    meaning = visit.say(MEANINGS[user.role])
                    you = f" · {visit.say(_YOU)}" if user.id == visit.principal.user_id else ""
                    Words(meaning + you, "muted small", tag="div")
                MarkView(_DISABLED if user.disabled_at else role_mark(user.role), visit.language)


class _Invitations:
    def __init__(self, visit: Visit, places: Mapping[str, str]) -> None:
        self._visit = visit
        roles = {role.value: visit.say(ROLES[role]) for role in Role if role.rank <= visit.principal.role.rank}
        with box("card stack"):
            Words(visit.say(_INVITE), tag="h2")
            Words(visit.say(_HOW), "muted small", tag="p")
            self._note = Field(visit.say(_FOR), maxlength="120")
            self._role = Choice(visit.say(_ROLE), roles, Role.VIEWER).mark("invitation-role")
            self._place = Choice(visit.say(_PLACE), {"": visit.say(_EVERYWHERE), **places}, "").mark("invitation-place")
            days = {str(count): visit.say(_DAY_COUNT, count=count) for count in (1, 7, 30)}
            self._days = Choice(visit.say(_DAYS), days, "7")
            with box("line"):
                button(visit.say(_INVITE_BUTTON), self._invite).mark("invite")
            self._answer = box("stack")
        self._open = box("card stack")

    async def refresh(self) -> None:
        """Show the invitations that nobody has used yet."""
        visit, now = self._visit, datetime.now(UTC)
        listed = await visit.domains.identity.invitations.invitations(visit.scope)
        waiting = [each for each in listed if each.used_by is None and each.expires_at > now]
        self._open.clear()
        self._open.set_visibility(bool(waiting))
        with self._open:
            Words(visit.say(_OPEN), tag="h2")
            for each in waiting:
                with box("line spread"):
                    with box("stack"):
                        Words(each.note or visit.say(_NO_NOTE), tag="div")
                        until = moment(each.expires_at, visit.zone, visit.language, now=now, seconds=False)
                        said = visit.say(_UNTIL, role=visit.say(ROLES[each.role]), until=until)
                        Words(said, "muted small", tag="div")
                    button(visit.say(_WITHDRAW), partial(self._withdraw, each.id), "button quiet")

    async def _invite(self) -> None:
        made: list[NewInvitation] = []

        async def act(principal: Principal) -> None:
            role, place = self._role.value, self._place.value
            wanted = {"role": Role.NONE, "grants": [{"id": place, "role": role}]} if place else {"role": role}
            request = InvitationRequest.model_validate(
                {**wanted, "note": self._note.value.strip(), "days": int(self._days.value)}
            )
            made.append(await self._visit.domains.identity.invitations.invite(principal, request))

        if await attempt(self._visit, self._answer, Scope.ADMIN, act):
            self._note.clear()
            self._show(made[0])
            await self.refresh()

    def _show(self, made: NewInvitation) -> None:
        visit = self._visit
        link = f"{str(visit.request.base_url).rstrip('/')}{JOIN_PATH}#{made.token}"
        with self._answer:
            Words(visit.say(_LINK), "strong", tag="div")
            Words(link, "command", tag="code").mark("invitation-link")
            Words(visit.say(_SCAN), "muted small", tag="div")
            ui.html(qr_code(link), sanitize=False).classes("qr")
            Words(visit.say(_CODE), "strong", tag="div")
            Words(made.code, "code", tag="div").mark("invitation-code")
            until = moment(made.expires_at, visit.zone, visit.language, now=datetime.now(UTC), seconds=False)
            Words(visit.say(_ONCE, until=until), "muted small", tag="div")

    async def _withdraw(self, invitation: UUID) -> None:
        async def act(principal: Principal) -> None:
            await self._visit.domains.identity.invitations.withdraw(principal, invitation)

        if await attempt(self._visit, self._answer, Scope.ADMIN, act):
            await self.refresh()
