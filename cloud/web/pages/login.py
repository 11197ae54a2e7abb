"""The log-in page."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import Request
from nicegui import ui

from cloud.web.elements import Words, box, icon
from cloud.web.icons import LOGO
from cloud.web.language import language_of
from cloud.web.layout import language_switch, prepare
from cloud.web.routes import own_path
from protocols.text import Text

TITLE = Text("Log in", "登录")

_SLOGAN = Text("From machine to manager, joined without a nail.", "从机台到经理，一榫到位。")
_ABOUT = Text(
    "What runs, what it makes, what it wastes - on one page, in your language.",
    "设备在不在转、产了多少、浪费在哪，一页看清。",
)
_EMAIL, _PASSWORD = Text("E-mail", "邮箱"), Text("Password", "密码")
_WHY = {
    "refused": Text(
        "E-mail or password is wrong. Check both, or ask your manager.",
        "邮箱或密码错误。请核对后重试，或联系管理员。",
    ),
    "oidc-away": Text(
        "The log-in provider does not answer; try again, or use your password.",
        "登录服务无应答，请重试或使用密码登录。",
    ),
    "oidc-refused": Text("The log-in was not completed. Begin again.", "登录未完成，请重新开始。"),
    "oidc-unverified": Text("The provider has not verified your e-mail.", "登录服务尚未验证您的邮箱。"),
    "oidc-unknown": Text(
        "Nobody here has this e-mail. Ask a manager of your company for an invitation.",
        "此处没有使用该邮箱的用户，请向本企业管理者索取邀请。",
    ),
    "oidc-invitation": Text(
        "The invitation or its code is wrong, used, withdrawn or expired. Ask who invited you for another.",
        "邀请或邀请码有误、已使用、已撤回或已过期，请联系邀请人重新邀请。",
    ),
    "wait": Text("Too many attempts. Wait half a minute, then try again.", "尝试次数过多，请半分钟后再试。"),
}

_WITH = Text("Log in with {provider}", "使用 {provider} 登录")
_JOINED = Text("You are one of the company now. Log in.", "您已加入企业，请登录。")


async def build(request: Request, provider: str | None) -> None:
    """Build the log-in page; the form is plain HTML, so password stores know it.

    `provider` is what to call the log-in with the account people have at work, None where there is none.
    """
    language = language_of(request)
    target = own_path(request.query_params.get("next", "/"))
    prepare(TITLE.to(language), language)
    with box("gate", "main"):
        with box("gate-art"):
            with box("brand"):
                ui.html(LOGO, sanitize=False, tag="span")
                Words("Sunmao")
                Words("榫卯", tag="small")
            box("joint", "img", src="/look/joint.svg", alt="")
            with box("stack"):
                Words(_SLOGAN.to(language), tag="p")
                Words(_ABOUT.to(language), "gate-note")
        with box("gate-form"):
            language_switch(language, str(request.url.path) + (f"?{request.url.query}" if request.url.query else ""))
            Words(TITLE.to(language), tag="h1")
            why = _WHY.get(request.query_params.get("why", ""))
            if why:
                with box("notice bad", role="alert"):
                    icon("bad")
                    Words(why.to(language))
            elif request.query_params.get("why") == "joined":
                with box("notice good", role="status"):
                    icon("good")
                    Words(_JOINED.to(language))
            with box("", "form", method="post", action="/login"):
                box("", "input", type="hidden", name="next", value=target)
                with box("field", "label"):
                    Words(_EMAIL.to(language))
                    box("", "input", type="email", name="email", required="", autocomplete="username", autofocus="")
                with box("field", "label"):
                    Words(_PASSWORD.to(language))
                    box("", "input", type="password", name="password", required="", autocomplete="current-password")
                with box("button", "button", type="submit"):
                    Words(TITLE.to(language))
            if provider:
                with box("button quiet", "a", href=f"/login/oidc?{urlencode({'next': target})}"):
                    Words(_WITH.to(language).format(provider=provider))
