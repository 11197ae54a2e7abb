"""What an empty plant shows: the way from here to the first machine."""

from __future__ import annotations

from cloud.web.elements import Words, box
from cloud.web.enrolment import EnrolCommand, show_code_maker
from cloud.web.pages.uploads import offer
from cloud.web.visit import Visit
from protocols.text import Text

_TITLE = Text("Connect the first machine", "接入第一台设备")
_STEP_CODE = Text("Create an enrolment code. It lets one gateway in, once.", "生成注册码。每个注册码只能注册一台网关。")
_STEP_ENROL = Text("Enrol the gateway with it:", "在网关上用该码注册：")
_STEP_RUN = Text(
    "Start the gateway. This page fills itself as soon as values arrive:", "启动网关。数据一到，本页自动显示："
)


async def show_first_steps(visit: Visit) -> None:
    """Show the three steps; the code, once made, stands in its command ready to be copied."""
    with box("card"):
        Words(visit.say(_TITLE), tag="h2")
        with box("steps", "ol"):
            with box("", "li"), box("stack") as first:
                Words(visit.say(_STEP_CODE), tag="div")
            with box("", "li"), box():
                Words(visit.say(_STEP_ENROL), tag="div")
                enrol = EnrolCommand(visit)
            with box("", "li"), box():
                Words(visit.say(_STEP_RUN), tag="div")
                Words("sunmao-edge run", "command", tag="code")
        offer(visit)
        with first:
            await show_code_maker(visit, enrol.show)
