"""Where a phone's camera leads that looked at an enrolment's QR code: on to the pages of the box beside the machines.

The code stands behind the # of the address. A browser keeps that to itself, so this page, which anybody may open, never
learns it; the browser itself carries it on to the box.
"""

from __future__ import annotations

from fastapi import Request
from nicegui import ui

from cloud.web.elements import Words, box
from cloud.web.icons import LOGO
from cloud.web.language import language_of
from cloud.web.layout import language_switch, prepare
from protocols.text import Text

TITLE = Text("Connect a gateway", "接入网关")

_HOW = Text(
    "You have scanned an enrolment code. Type the address of the gateway's own pages: the terminal shows it where"
    " sunmao-edge ui was started.",
    "您扫描了网关注册码。请输入网关本机页面的地址（启动 sunmao-edge ui 的终端窗口中有显示）。",
)
_ADDRESS, _OPEN = Text("Address of the gateway", "网关地址"), Text("Open its pages", "打开网关页面")
_SAME = Text("The phone has to be in the same network as the gateway.", "手机须与网关在同一网络。")

_GO = (
    "event.preventDefault();"
    "const wanted = this.elements.box.value.trim().replace(/^http:\\/\\//, '').replace(/\\/.*$/, '');"
    "location.assign('http://' + wanted + '/connect#' + encodeURIComponent(location.href));"
)
"""Leads on to the address typed. It is typed here, not taken from the link, so that no link can lead anybody elsewhere."""


async def build(request: Request) -> None:
    """Build the page."""
    language = language_of(request)
    prepare(TITLE.to(language), language)
    with box("gate", "main"):
        with box("gate-art"), box("brand"):
            ui.html(LOGO, sanitize=False, tag="span")
            Words("Sunmao")
            Words("榫卯", tag="small")
        with box("gate-form"):
            language_switch(language, "/enrol")
            Words(TITLE.to(language), tag="h1")
            Words(_HOW.to(language), "muted", tag="p")
            with box("", "form", onsubmit=_GO):
                with box("field", "label"):
                    Words(_ADDRESS.to(language))
                    box("", "input", name="box", required="", placeholder="192.168.1.30:8020", inputmode="url",
                        autocapitalize="off", autocomplete="off", pattern=r"(http://)?[\w.\-\[\]:]+(/.*)?")  # fmt: skip
                Words(_SAME.to(language), "muted small", tag="div")
                with box("button", "button", type="submit"):
                    Words(_OPEN.to(language))
