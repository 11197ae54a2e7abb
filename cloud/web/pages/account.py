"""The reader's own account: their password, and tokens for programs that read in their name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from cloud.core.principal import Principal, Scope
from cloud.identity.schemas import ApiTokenRequest, NewApiToken
from cloud.web.elements import Words, box
from cloud.web.forms import Choice, Field, attempt, button
from cloud.web.language import moment
from cloud.web.layout import frame, page_head
from cloud.web.roles import MEANINGS, ROLES, SCOPES
from cloud.web.visit import Visit
from protocols.text import Text

TITLE = Text("My account", "我的账号")

_ROLE = Text("Role in the whole company: {role} - {meaning}", "在整个企业的角色：{role} - {meaning}")
_TRIAL = Text(
    "{company} is on trial: its unified social credit code is not registered yet. Tell it to your operator.",
    "{company} 为试用企业，尚未登记统一社会信用代码，请告知系统运维人员。",
)
_TOKENS = Text("API tokens", "API 令牌")
_TOKENS_HOW = Text(
    "A token lets a program - a spreadsheet, Grafana, an ERP - ask in your name. It opens at most what you may do yourself.",
    "令牌可让程序(如表格、Grafana、ERP)以您的名义访问，权限不超过您本人。",
)
_NAME, _MAY, _DAYS = Text("What it is for", "用途"), Text("It may", "权限"), Text("Good for", "有效期")
_DAY_COUNT = Text("{count} days", "{count} 天")
_MAKE, _END = Text("Make a token", "生成令牌"), Text("End it", "终止")
_ONCE = Text("Copy it now; it is not shown again.", "请立即复制，之后不再显示。")
_NONE = Text("There are none.", "暂无。")
_SAID = Text("{scopes} · until {until}", "{scopes} · 有效期至 {until}")
_PASSWORD, _CHANGE = Text("Password", "密码"), Text("Change it", "修改密码")
_NOW, _NEW, _AGAIN = (
    Text("Now", "当前密码"),
    Text("New, at least 10 characters", "新密码，至少 10 个字符"),
    Text("New, once more", "再次输入新密码"),
)
_SAID_OF_PASSWORD = {
    "changed": Text("Changed. All your other sessions have ended.", "已修改，其他会话均已结束。"),
    "unlike": Text("The new password is not the same both times.", "两次输入的新密码不一致。"),
    "short": Text("The new password needs 10 to 128 characters.", "新密码应为 10 至 128 个字符。"),
    "wrong": Text("The current password is wrong.", "当前密码错误。"),
    "wait": Text("Too many attempts. Wait half a minute, then try again.", "尝试次数过多，请半分钟后再试。"),
}
_PEOPLE_SCOPES = (Scope.READ, Scope.OPERATE, Scope.ENGINEER, Scope.ADMIN)


async def build(visit: Visit) -> None:
    """Build the page."""
    role = visit.principal.role
    me = await visit.domains.identity.me(visit.principal)
    with frame(visit, visit.say(TITLE)):
        page_head(
            visit.say(TITLE), note=visit.say(_ROLE, role=visit.say(ROLES[role]), meaning=visit.say(MEANINGS[role]))
        )
        if me.trial:
            Words(visit.say(_TRIAL, company=me.tenant), "notice warn", tag="p")
        with box("columns"):
            tokens = _Tokens(visit)
            _password(visit)
    await tokens.refresh()


class _Tokens:
    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        scopes = {
            ",".join(_PEOPLE_SCOPES[: number + 1]): _named(visit, _PEOPLE_SCOPES[: number + 1])
            for number, scope in enumerate(_PEOPLE_SCOPES)
            if scope in visit.principal.scopes
        }
        with box("card stack"):
            Words(visit.say(_TOKENS), tag="h2")
            Words(visit.say(_TOKENS_HOW), "muted small", tag="p")
            self._listed = box("stack")
            self._name = Field(visit.say(_NAME), maxlength="120")
            self._scopes = Choice(visit.say(_MAY), scopes, next(iter(scopes), ""))
            days = {str(count): visit.say(_DAY_COUNT, count=count) for count in (30, 90, 365)}
            self._days = Choice(visit.say(_DAYS), days, "90")
            with box("line"):
                button(visit.say(_MAKE), self._make).mark("make-token")
            self._answer = box("stack")

    async def refresh(self) -> None:
        """List the tokens there are."""
        visit, now = self._visit, datetime.now(UTC)
        tokens = await visit.domains.identity.tokens.listed(visit.principal)
        self._listed.clear()
        with self._listed:
            if not tokens:
                Words(visit.say(_NONE), "muted", tag="p")
            for token in tokens:
                with box("line spread"):
                    with box("stack"):
                        Words(token.name, tag="div")
                        until = moment(token.expires_at, visit.zone, visit.language, now=now, seconds=False)
                        scopes = _named(visit, [each for each in _PEOPLE_SCOPES if each in token.scopes])
                        Words(visit.say(_SAID, scopes=scopes, until=until), "muted small", tag="div")
                    button(visit.say(_END), partial(self._end, token.id), "button quiet")

    async def _make(self) -> None:
        made: list[NewApiToken] = []

        async def act(principal: Principal) -> None:
            scopes = [Scope(each) for each in self._scopes.value.split(",")]
            request = ApiTokenRequest(name=self._name.value.strip(), scopes=scopes, days=int(self._days.value))
            made.append(await self._visit.domains.identity.tokens.create(principal, request))

        if await attempt(self._visit, self._answer, Scope.READ, act):
            self._name.clear()
            with self._answer:
                Words(made[0].token, "command", tag="code").mark("new-token")
                Words(self._visit.say(_ONCE), "muted small", tag="div")
            await self.refresh()

    async def _end(self, token: UUID) -> None:
        async def act(principal: Principal) -> None:
            await self._visit.domains.identity.tokens.delete(principal, token)

        if await attempt(self._visit, self._answer, Scope.READ, act):
            await self.refresh()


def _named(visit: Visit, scopes: Sequence[Scope]) -> str:
    return " + ".join(visit.say(SCOPES[each]) for each in scopes)


def _password(visit: Visit) -> None:
    """Add the form; it is plain HTML, so that password stores know it and the session in the cookie changes with it."""
    asked = visit.request.query_params.get("password", "")
    with box("card stack"):
        Words(visit.say(_PASSWORD), tag="h2")
        if said := _SAID_OF_PASSWORD.get(asked):
            Words(visit.say(said), f"notice {'good' if asked == 'changed' else 'bad'}", tag="p").props["role"] = (
                "status"
            )
        with box("stack wide", "form", method="post", action="/account/password"):
            for name, label, store in (
                ("current", _NOW, "current-password"),
                ("new", _NEW, "new-password"),
                ("again", _AGAIN, "new-password"),
            ):
                with box("field", "label"):
                    Words(visit.say(label))
                    box("", "input", type="password", name=name, required="", autocomplete=store, maxlength="128")
            with box("line"), box("button", "button", type="submit"):
                Words(visit.say(_CHANGE))
