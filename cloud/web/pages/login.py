"""The log-in page."""

from __future__ import annotations

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
    "wait": Text("Too many attempts. Wait half a minute, then try again.", "尝试次数过多，请半分钟后再试。"),
}


async def build(request: Request) -> None:
    """Build the log-in page; the form is plain HTML, so password stores know it."""
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
