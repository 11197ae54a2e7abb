"""Step 1: the box becomes a gateway of a cloud - by a photograph of the code, by a link, or typed."""

from __future__ import annotations

from nicegui import ui
from nicegui.events import GenericEventArguments

from edge_agent.identity import Identity
from edge_agent.ui.agent_state import running_status
from edge_agent.ui.elements import Field, Words, box, button, failure, icon, link_button, notice
from edge_agent.ui.enrolment_code import read_link
from edge_agent.ui.layout import frame
from edge_agent.ui.visit import Visit
from protocols.errors import ConfigError, SunmaoError
from protocols.text import Text

TITLE = Text("Connect this box", "接入本机")

_NOTE = Text("It needs a code that the cloud shows under Gateways.", "需要云端“网关”页面生成的注册码。")
_PHOTO = Text("Photograph the QR code", "拍摄二维码")
_TYPED = Text("Cloud address and code", "云端地址与注册码")
_READ = Text("Read from the QR code. Is it right?", "已从二维码读取，请确认。")
_CLOUD, _CODE, _NAME = Text("Cloud address", "云端地址"), Text("Code", "注册码"), Text("Name of this box", "本机名称")
_CLOUD_HINT = Text("as in a browser, e.g. https://cloud.example.com", "与浏览器中一致，例如 https://cloud.example.com")
_CONNECT = Text("Connect", "接入")
_LATER = Text("Later - look for machines first", "稍后接入，先搜索设备")
_DONE = Text("Connected to {tenant} / {site}", "已接入 {tenant} / {site}")
_AS = Text("as {name}, at {url}", "本机名称 {name}，云端 {url}")
_KEY = Text(
    "Its key was made here and never leaves this box. Only the cloud can let it go.",
    "密钥在本机生成，不会离开本机；只能由云端吊销。",
)
_ON = Text("Find machines", "搜索设备")
_AGAIN = Text("Connect to another cloud", "改接其他云端")
_RESTART = Text("The agent still uses the former address.", "代理仍在使用原地址。")
_RESTART_HOW = Text(
    "Start it again: end `sunmao-edge run` and begin it anew.", "请重启代理：结束 `sunmao-edge run` 后重新运行。"
)

_TELL_LINK = "if (location.hash) emitEvent('sunmao-link', decodeURIComponent(location.hash.slice(1)))"


async def build(visit: Visit) -> None:
    """Build the page; what a photograph gave stands in the fields, to be confirmed."""
    identity = visit.workplace.identity()
    with frame(visit, visit.say(TITLE), note="" if identity else visit.say(_NOTE)):
        photographed, visit.workplace.photographed = visit.workplace.photographed, None
        if isinstance(photographed, ConfigError):
            failure(photographed, visit.language)
        if identity is not None and photographed is None:
            _show_connected(visit, identity)
            with box("card", "details"):
                with box("", "summary"):
                    Words(visit.say(_AGAIN))
                _Form(visit, None)
            return
        _Form(visit, photographed if isinstance(photographed, tuple) else None)
        with box("line"):
            link_button(visit.say(_LATER), "/machines", "button quiet small")


def _show_connected(visit: Visit, identity: Identity) -> None:
    name = visit.workplace.config().agent.name
    with box("card stack"):
        notice(
            visit.say(_DONE, tenant=identity.tenant, site=identity.site),
            "good",
            mend=visit.say(_AS, name=name, url=identity.url),
        )
        Words(visit.say(_KEY), "muted small", tag="p")
        status = running_status(visit.workplace.state_dir)
        if status is not None and "cloud.url" in status.config.reason_en:
            notice(visit.say(_RESTART), "warn", mend=visit.say(_RESTART_HOW))
        link_button(visit.say(_ON), "/machines", sign="search")


class _Form:
    """The camera, the fields and the button."""

    def __init__(self, visit: Visit, read: tuple[str, str] | None) -> None:
        self._visit = visit
        with box("stack"):
            if read is None:
                with (
                    box("", "form", method="post", action="/connect/photo", enctype="multipart/form-data"),
                    box("button", "label"),
                ):
                    icon("camera")
                    Words(visit.say(_PHOTO))
                    box(
                        "",
                        "input",
                        type="file",
                        name="photo",
                        accept="image/*",
                        capture="environment",
                        onchange="this.form.submit()",
                        aria_label=visit.say(_PHOTO),
                    )
            with box("card stack"):
                self._said = box()
                if read is not None:
                    with self._said:
                        notice(visit.say(_READ), "good")
                Words(visit.say(_TYPED), tag="h2")
                url, code = read or ("", "")
                self._url = Field(visit.say(_CLOUD), url, hint=visit.say(_CLOUD_HINT), inputmode="url")
                self._code = Field(visit.say(_CODE), code, placeholder="K7QF-3XWD-9MPA", autocapitalize="characters")
                self._name = Field(visit.say(_NAME), visit.workplace.config().agent.name)
                button(visit.say(_CONNECT), self._connect, sign="connect").mark("connect")
        ui.on("sunmao-link", self._take_link)
        ui.run_javascript(_TELL_LINK)

    def _take_link(self, event: GenericEventArguments) -> None:
        """Take address and code from the link that the QR code leads to; they stand behind its # and reach no log."""
        link = str(event.args)
        try:
            url, code = read_link(link)
        except ConfigError:
            return
        self._url.put(url)
        self._code.put(code)
        with self._said:
            notice(self._visit.say(_READ), "good")

    async def _connect(self) -> None:
        try:
            await self._visit.workplace.connect(self._url.value, self._code.value, self._name.value)
        except SunmaoError as error:
            self._said.clear()
            with self._said:
                failure(error, self._visit.language)
            return
        ui.navigate.to("/machines")
