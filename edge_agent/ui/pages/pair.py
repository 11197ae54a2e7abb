"""Asks a browser on the network for the PIN that the box's terminal shows."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from fastapi import Request
from nicegui import ui

from edge_agent.ui.elements import Words, box, notice
from edge_agent.ui.gate import PIN_DIGITS, Pairing
from edge_agent.ui.icons import LOGO
from edge_agent.ui.layout import language_switch, prepare
from edge_agent.ui.visit import language_of
from protocols.text import Text

TITLE = Text("Pair with this box", "与本机配对")

_HOW = Text(
    "Type the PIN that stands in the terminal where `sunmao-edge ui` was started.",
    "请输入启动 `sunmao-edge ui` 的终端窗口中显示的配对码。",
)
_PIN, _PAIR = Text("PIN", "配对码"), Text("Pair", "配对")
_WRONG = Text("That was not the PIN.", "配对码不正确。")
_WAIT = Text("Wait {seconds} s, then try again.", "请等待 {seconds} 秒后再试。")
_CLOSED = Text("Too many wrong PINs: pairing is closed.", "错误次数过多，配对已关闭。")
_REOPEN = Text("Start `sunmao-edge ui` again; it makes a new PIN.", "请重新启动 `sunmao-edge ui`，会生成新的配对码。")

_KEEP_LINK = "this.action = '/pair' + location.hash"
"""What a QR code's link brought along stands behind the # and goes on to the page after this one."""


def make(pairing: Pairing) -> Callable[[Request], Awaitable[None]]:
    """Return the page's builder; the form is plain HTML, so it works before any script is let in."""

    async def build(request: Request) -> None:
        language = language_of(request)
        prepare(TITLE.to(language), language)
        with box("top", "header"), box("top-in"):
            with box("brand"):
                ui.html(LOGO, sanitize=False, tag="span")
                Words("Sunmao")
                Words("榫卯", tag="small")
            language_switch(language, "/pair")
        with box("page", "main"), box("card stack"):
            Words(TITLE.to(language), tag="h1")
            if pairing.closed:
                notice(_CLOSED.to(language), "bad", mend=_REOPEN.to(language))
                return
            if request.query_params.get("why") == "wrong":
                wait = math.ceil(pairing.wait_s)
                notice(_WRONG.to(language), "bad", mend=_WAIT.to(language).format(seconds=wait) if wait else "")
            Words(_HOW.to(language), "muted", tag="p")
            with box("stack", "form", method="post", action="/pair", onsubmit=_KEEP_LINK):
                with box("field", "label"):
                    Words(_PIN.to(language))
                    box(
                        "", "input", name="pin", inputmode="numeric", pattern=rf"[0-9 ]{{{PIN_DIGITS},{PIN_DIGITS + 2}}}",
                        autocomplete="one-time-code", required="", autofocus="",
                    )  # fmt: skip
                with box("button", "button", type="submit"):
                    Words(_PAIR.to(language))

    return build
