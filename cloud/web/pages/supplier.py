"""Where a supplier's invitation leads: what is asked of the company, in plain words, and joining with an answer.

The token stands behind the # of the address, as with an invitation of a person: it is in no log.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request
from nicegui import ui
from pydantic import ValidationError

from cloud.core.access import address_of
from cloud.core.errors import Problem, field_faults
from cloud.sharing.service import Item
from cloud.suppliers.schemas import InvitationKey, Invited, Registration
from cloud.suppliers.service import Suppliers
from cloud.web.elements import Words, box
from cloud.web.forms import Choice, Field, button
from cloud.web.icons import LOGO
from cloud.web.language import language_of
from cloud.web.layout import language_switch, prepare
from cloud.web.share_request_form import Beside, granted_as, item_choice
from protocols.text import Language, Text

INVITATION_PATH = "/supplier"
TITLE = Text("You are asked for data", "数据共享邀请")

_HOW = Text(
    "A customer asks your company to show some data. The code was told to you another way than this link.",
    "您的客户邀请贵公司共享部分数据。邀请码会通过其他途径告知您。",
)
_CODE, _OPEN = Text("Invitation code", "邀请码"), Text("See what is asked", "查看申请内容")
_ASKS = Text("{leader} asks {name} for data", "{leader}向{name}申请数据")
_FOR = Text("For: {purpose}", "用途：{purpose}")
_REACH = Text(
    "From {history} days before you accept, for {days} days. You can show less, now or later, and end it at any time. Every read is on record.",
    "范围：同意之前 {history} 天起，有效期 {days} 天。现在或以后均可缩小范围，并可随时终止；每次读取都有记录。",
)
_HERE = Text(
    "Your company is here already. Log in: the request waits for a manager under data sharing.",
    "贵公司已在平台注册。请登录，申请在“数据共享”中等待管理者答复。",
)
_LOG_IN = Text("Log in", "登录")
_COMPANY, _SITE = Text("Company", "企业名称"), Text("Name of the plant", "工厂名称")
_MAIN = Text("Main plant", "主厂区")
_EMAIL, _PASSWORD = Text("Your e-mail", "您的邮箱"), Text("Password, at least 10 characters", "密码，至少 10 个字符")
_ACCEPT, _LATER = Text("Join and accept", "注册并同意"), Text("Join, and answer later", "注册，稍后答复")
_DECLINE = Text(
    "To decline, do nothing: nobody sees anything of yours.", "如不同意，无需任何操作，对方看不到任何数据。"
)


@dataclass(frozen=True)
class Guest:
    """Somebody who is not signed in: a language, and nothing else."""

    language: Language

    def say(self, text: Text, **values: object) -> str:
        """Return `text` in the guest's language, with `values` in its braces."""
        return text.to(self.language).format(**values) if values else text.to(self.language)


async def build(request: Request, suppliers: Suppliers) -> None:
    """Build the page."""
    guest = Guest(language_of(request))
    prepare(guest.say(TITLE), guest.language)
    with box("gate", "main"):
        with box("gate-art"), box("brand"):
            ui.html(LOGO, sanitize=False, tag="span")
            Words("Sunmao")
            Words("榫卯", tag="small")
        with box("gate-form"):
            language_switch(guest.language, INVITATION_PATH)
            _Answering(guest, suppliers, address_of(request))


class _Answering:
    """The form, step by step: the code, what is asked, joining."""

    def __init__(self, guest: Guest, suppliers: Suppliers, address: str) -> None:
        self._guest, self._suppliers, self._address = guest, suppliers, address
        self._token = ""
        self._items: list[tuple[Item, Choice]] = []
        self._beside: Beside | None = None
        self._place = box("stack wide")
        self._answer = box("stack")
        with self._place:
            Words(guest.say(TITLE), tag="h1")
            Words(guest.say(_HOW), "muted", tag="p")
            self._code = Field(guest.say(_CODE), autocomplete="off", autocapitalize="characters", maxlength="64")
            with box("line"):
                button(guest.say(_OPEN), self._open)

    async def _open(self) -> None:
        self._token = str(await ui.run_javascript("location.hash.slice(1)"))
        try:
            key = InvitationKey(token=self._token, code=self._code.value)
            asked = await self._suppliers.open(key, self._address)
        except (Problem, ValidationError) as error:
            self._refused(error)
            return
        self._answer.clear()
        self._place.clear()
        with self._place:
            self._show(asked)

    def _show(self, asked: Invited) -> None:
        guest, say = self._guest, self._guest.say
        Words(say(_ASKS, leader=asked.leader, name=asked.name), tag="h1")
        Words(say(_FOR, purpose=asked.purpose), "strong", tag="p")
        Words(say(_REACH, history=asked.terms.history_days, days=asked.terms.days), tag="p")
        self._items = [(item, item_choice(guest, item)) for item in asked.terms.items]
        self._beside = Beside(guest, asked.terms)
        if asked.here:
            Words(say(_HERE), "notice", tag="p")
            with box("button", "a", href="/login?next=/shares"):
                Words(say(_LOG_IN))
            return
        self._company = Field(say(_COMPANY), asked.name, maxlength="200")
        self._site = Field(say(_SITE), say(_MAIN), maxlength="80")
        self._email = Field(say(_EMAIL), type="email", autocomplete="username", maxlength="254")
        self._password = Field(say(_PASSWORD), type="password", autocomplete="new-password", maxlength="128")
        with box("line"):
            button(say(_ACCEPT), self._accept)
            button(say(_LATER), self._later, "button quiet")
        Words(say(_DECLINE), "muted small", tag="p")

    async def _accept(self) -> None:
        await self._join(accepts=True)

    async def _later(self) -> None:
        await self._join(accepts=False)

    async def _join(self, *, accepts: bool) -> None:
        try:
            registration = Registration.model_validate(
                {
                    "token": self._token,
                    "code": self._code.value,
                    "company": self._company.value.strip(),
                    "site": self._site.value.strip(),
                    "email": self._email.value.strip(),
                    "password": self._password.value,
                    "language": self._guest.language,
                    "acceptance": granted_as(self._items, self._beside) if accepts and self._beside else None,
                }
            )
            await self._suppliers.register(registration, self._address)
        except (Problem, ValidationError) as error:
            self._refused(error)
            return
        ui.navigate.to("/login?why=joined&next=/gateways")

    def _refused(self, error: Problem | ValidationError) -> None:
        if isinstance(error, Problem):
            words = error.detail.to(self._guest.language)
        else:
            faults = field_faults([dict(fault) for fault in error.errors()], self._guest.language)
            words = "; ".join(f"{fault['where']}: {fault['message']}" for fault in faults)
        self._answer.clear()
        with self._answer:
            Words(words, "notice bad", tag="p").props["role"] = "alert"
