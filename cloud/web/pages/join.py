"""Where an invitation's link leads: the invited types the code they were told, and is one of the company.

The token stands behind the # of the address. A browser keeps that to itself until the form is sent, so it is in no log.
"""

from __future__ import annotations

import json

from fastapi import Request
from nicegui import ui

from cloud.web.elements import Words, box
from cloud.web.icons import LOGO
from cloud.web.language import language_of
from cloud.web.layout import language_switch, prepare
from protocols.text import Language, Text

TITLE = Text("Join your company", "加入企业")

_HOW = Text(
    "You have been invited. The code was told to you another way than this link; with both you choose your log-in.",
    "您收到了邀请。邀请码会通过其他途径告知您；请输入邀请码并设置登录信息。",
)
_CODE, _EMAIL = Text("Invitation code", "邀请码"), Text("Your e-mail", "您的邮箱")
_PASSWORD, _AGAIN = Text("Password, at least 10 characters", "密码，至少 10 个字符"), Text("Once more", "再次输入密码")
_JOIN = Text("Join", "加入")
_OR = Text(
    "Or join with your account at {provider}: no password of its own is needed.",
    "或使用 {provider} 账号加入，无需另设密码。",
)
_WITH = Text("Join with {provider}", "使用 {provider} 加入")
_NO_TOKEN = Text("This link is not whole; open it as it was sent to you.", "链接不完整，请使用收到的完整链接。")
_UNLIKE = Text("The password is not the same both times.", "两次输入的密码不一致。")
_LOST = Text("The cloud does not answer; try again.", "云端无应答，请重试。")

_SEND = """
event.preventDefault();
const form = this, said = form.querySelector('.notice'), words = {words}, token = location.hash.slice(1);
const say = text => {{ said.textContent = text; said.hidden = false; }};
if (!token) return say(words.token);
if (form.elements.password.value !== form.elements.again.value) return say(words.unlike);
const value = name => form.elements[name].value;
const body = {{ token, code: value('code'), email: value('email').trim(), password: value('password'), language: words.language }};
fetch('/api/v1/invitations/join', {{
    method: 'POST', headers: {{ 'Content-Type': 'application/json', 'Accept-Language': words.language }}, body: JSON.stringify(body),
}}).then(async answer => {{
    if (answer.ok) return location.assign('/login?why=joined');
    const problem = await answer.json();
    say([problem.detail, ...(problem.errors || []).map(fault => fault.where.replace('body.', '') + ': ' + fault.message)].join(' '));
}}).catch(() => say(words.lost));
"""

_FILL_IN = "this.elements.token.value = location.hash.slice(1)"


async def build(request: Request, provider: str | None) -> None:
    """Build the page; `provider` is what to call log-in with the account people have at work."""
    language = language_of(request)
    words = {
        **{"token": _NO_TOKEN.to(language), "unlike": _UNLIKE.to(language), "lost": _LOST.to(language)},
        "language": language,
    }
    prepare(TITLE.to(language), language)
    with box("gate", "main"):
        with box("gate-art"), box("brand"):
            ui.html(LOGO, sanitize=False, tag="span")
            Words("Sunmao")
            Words("榫卯", tag="small")
        with box("gate-form"):
            _form(language, words)
            if provider:
                _with_provider(language, provider)


def _form(language: Language, words: dict[str, str]) -> None:
    language_switch(language, "/join")
    Words(TITLE.to(language), tag="h1")
    Words(_HOW.to(language), "muted", tag="p")
    with box("", "form", onsubmit=_SEND.format(words=json.dumps(words))):
        box("notice bad", "p", role="alert", hidden="")
        for name, label, kind, more in (
            ("code", _CODE, "text", {"autocomplete": "off", "autocapitalize": "characters", "maxlength": "64"}),
            ("email", _EMAIL, "email", {"autocomplete": "username", "maxlength": "254"}),
            (
                "password",
                _PASSWORD,
                "password",
                {"autocomplete": "new-password", "minlength": "10", "maxlength": "128"},
            ),
            ("again", _AGAIN, "password", {"autocomplete": "new-password", "maxlength": "128"}),
        ):
            with box("field", "label"):
                Words(label.to(language))
                box("", "input", type=kind, name=name, required="", **more)
        with box("button", "button", type="submit"):
            Words(_JOIN.to(language))


def _with_provider(language: Language, provider: str) -> None:
    Words(_OR.to(language).format(provider=provider), "muted", tag="p")
    with box("", "form", method="post", action="/login/oidc", onsubmit=_FILL_IN):
        box("", "input", type="hidden", name="token")
        with box("field", "label"):
            Words(_CODE.to(language))
            box("", "input", type="text", name="code", required="", autocomplete="off", maxlength="64")
        with box("button quiet", "button", type="submit"):
            Words(_WITH.to(language).format(provider=provider))
