"""How a secured OPC UA server is let in, and lets us in: trust its certificate, log in, or - said aloud - no encryption."""

from __future__ import annotations

from collections.abc import Callable

from edge_agent.ui.drafts import Machine
from edge_agent.ui.elements import Field, Words, box, button
from edge_agent.ui.visit import Visit
from protocols.text import Text

_LOG_IN = Text("It wants a user and password", "设备要求用户名和密码")
_USER, _PASSWORD, _TRY = Text("User", "用户名"), Text("Password", "密码"), Text("Log in", "登录")
_PLAIN = Text("Go on without encryption", "改用不加密连接")
_PLAIN_WHY = Text(
    "Everybody on the machine's network could then read and change what is sent. Only for a network of its own.",
    "同一网络中的任何人都可读取和篡改数据，仅适用于独立网络。",
)


def show_way_in(visit: Visit, machine: Machine, again: Callable[[], object]) -> None:
    """Add what a person can do where a server refused us; `again` tries once more."""
    with box("card", "details"):
        with box("", "summary"):
            Words(visit.say(_LOG_IN))
        with box("stack"):
            user = Field(visit.say(_USER), str(machine.connection.get("user", "")), autocomplete="username")
            password = Field(visit.say(_PASSWORD), type="password", autocomplete="current-password")

            def log_in() -> None:
                machine.connection |= {"user": user.value, "password": password.value}
                if not user.value:
                    machine.connection = {k: v for k, v in machine.connection.items() if k not in {"user", "password"}}
                again()

            button(visit.say(_TRY), log_in, "button quiet")
    offered = {endpoint["policy"] for endpoint in machine.details.get("endpoints", ())}
    if machine.connection.get("security") != "none" and "None" in offered:

        def go_plain() -> None:
            machine.connection |= {"security": "none"}
            again()

        with box("card", "details"):
            with box("", "summary"):
                Words(visit.say(_PLAIN))
            with box("stack"):
                Words(visit.say(_PLAIN_WHY), tag="p")
                button(visit.say(_PLAIN), go_plain, "button quiet")
