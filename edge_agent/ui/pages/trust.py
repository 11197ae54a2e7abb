"""How a secured OPC UA server is let in, and lets us in: trust its certificate, log in, or - said aloud - no encryption."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from nicegui import ui

from edge_agent.ui.drafts import Machine
from edge_agent.ui.elements import Field, Words, box, button, failure
from edge_agent.ui.visit import Visit
from protocols.errors import SunmaoError
from protocols.opcua.config import OpcuaConnection
from protocols.opcua.trust import KnownCertificate, approve, known_certificates
from protocols.text import Text
from protocols.validation import validate

_TRUST_TITLE = Text("Do you trust this machine?", "是否信任这台设备？")
_TRUST_HOW = Text(
    "It shows this fingerprint in its own settings. Trust it if both are the same; then nobody can pretend to be it.",
    "设备自身的设置界面会显示此指纹。两者一致即可信任，此后他人无法冒充该设备。",
)
_TRUST = Text("The same - trust it", "一致，信任该设备")
_FOR, _ENDS = Text("Made for", "适用应用"), Text("Good until", "有效期至")
_OURS = Text("The machine has to trust this box, too", "设备也须信任本机")
_OURS_HOW = Text(
    "Find this box's certificate among the rejected ones in the machine's settings and accept it there.",
    "请在设备设置的“已拒绝证书”中找到本机证书并接受。",
)
_LOG_IN = Text("It wants a user and password", "设备要求用户名和密码")
_USER, _PASSWORD, _TRY = Text("User", "用户名"), Text("Password", "密码"), Text("Log in", "登录")
_PLAIN = Text("Go on without encryption", "改用不加密连接")
_PLAIN_WHY = Text(
    "Everybody on the machine's network could then read and change what is sent. Only for a network of its own.",
    "同一网络中的任何人都可读取和篡改数据，仅适用于独立网络。",
)


def trust_dir_of(machine: Machine, folder: Path) -> Path:
    """Return where the certificates trusted for `machine` lie; raises ConfigError for a connection that cannot be."""
    return validate(OpcuaConnection, machine.connection, machine.place, folder).trust_dir


def waiting_certificate(machine: Machine, folder: Path, refusal: Text) -> KnownCertificate | None:
    """Return the certificate that the refusal names and nobody has decided on; None if it was about something else."""
    for known in known_certificates(trust_dir_of(machine, folder)):
        if not known.trusted and known.fingerprint in refusal.en:
            return known
    return None


def show_way_in(visit: Visit, machine: Machine, refusal: Text, again: Callable[[], object]) -> None:
    """Add what a person can do where a server refused us with `refusal`; `again` tries once more."""
    said = box()
    try:
        known = waiting_certificate(machine, visit.workplace.folder, refusal)
    except SunmaoError as error:
        failure(error, visit.language)
        return
    if known is not None:
        _show_certificate(visit, machine, known, said, again)
    else:
        with box("card", "details"):
            with box("", "summary"):
                Words(visit.say(_OURS))
            Words(visit.say(_OURS_HOW), tag="p")
        _show_log_in(visit, machine, again)
    offered = {endpoint["policy"] for endpoint in machine.details.get("endpoints", ())}
    if machine.connection.get("security") != "none" and "None" in offered:
        with box("card", "details"):
            with box("", "summary"):
                Words(visit.say(_PLAIN))
            with box("stack"):
                Words(visit.say(_PLAIN_WHY), tag="p")
                button(visit.say(_PLAIN), partial(_connect_with, machine, {"security": "none"}, again), "button quiet")


def _show_certificate(
    visit: Visit, machine: Machine, known: KnownCertificate, said: ui.element, again: Callable[[], object]
) -> None:
    def trust() -> None:
        try:
            approve(trust_dir_of(machine, visit.workplace.folder), known.fingerprint)
        except SunmaoError as error:
            said.clear()
            with said:
                failure(error, visit.language)
            return
        again()

    with box("card stack"):
        Words(visit.say(_TRUST_TITLE), tag="h2")
        Words(known.fingerprint, "mono", tag="div").mark("fingerprint")
        Words(visit.say(_TRUST_HOW), tag="p")
        with box("facts", "dl"):
            for name, value in ((_FOR, known.name or known.application_uri), (_ENDS, f"{known.ends:%Y-%m-%d}")):
                Words(visit.say(name), tag="dt")
                Words(value, tag="dd")
        button(visit.say(_TRUST), trust, sign="lock").mark("trust")


def _show_log_in(visit: Visit, machine: Machine, again: Callable[[], object]) -> None:
    with box("card", "details"):
        with box("", "summary"):
            Words(visit.say(_LOG_IN))
        with box("stack"):
            user = Field(visit.say(_USER), str(machine.connection.get("user", "")), autocomplete="username")
            password = Field(visit.say(_PASSWORD), type="password", autocomplete="current-password")

            def log_in() -> None:
                _connect_with(machine, {"user": user.value or None, "password": password.value or None}, again)

            button(visit.say(_TRY), log_in, "button quiet")


def _connect_with(machine: Machine, changes: dict[str, str | None], again: Callable[[], object]) -> None:
    machine.connection = {key: value for key, value in (machine.connection | changes).items() if value is not None}
    again()
