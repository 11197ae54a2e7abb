"""What OEE rests on: shifts and holidays of a place, how its machines are read and how fast they are, stop reasons."""

from __future__ import annotations

from cloud.production.schemas import Node
from cloud.web.layout import frame, page_head, show_message
from cloud.web.machine_form import MachineForm
from cloud.web.node_choice import Chosen, choose, show_choice
from cloud.web.reason_form import ReasonForm
from cloud.web.shift_form import ShiftForm
from cloud.web.visit import Visit
from protocols.text import Text

TITLE = Text("Shifts and OEE settings", "班次与 OEE 设置")

_NO_SITE = Text("No site to show yet", "暂无可显示的工厂")
_NO_SITE_WHY = Text("Connect a gateway with a machine first.", "请先接入网关与设备。")
_TO_GATEWAYS = Text("Connect a gateway", "接入网关")


async def build(visit: Visit) -> None:
    """Build the page of the place in its address."""
    chosen = await choose(visit)
    with frame(visit, visit.say(TITLE)):
        if chosen is None:
            show_message(visit.say(_NO_SITE), visit.say(_NO_SITE_WHY), ("/gateways", visit.say(_TO_GATEWAYS)))
            return
        production = visit.domains.production
        planned = await production.calendars.all(visit.scope)
        readings = await production.machine_settings.readings(visit.scope, chosen.node)
        reasons = await production.reasons.all(visit.scope)
        with page_head(f"{visit.say(TITLE)} · {chosen.name}"):
            show_choice(visit, chosen, "/oee/settings", ())
        if chosen.node.kind != "equipment":
            ShiftForm(
                visit,
                chosen.node,
                _site_of(chosen),
                versions=planned.versions,
                exceptions=planned.exceptions,
                today=chosen.today,
            )
        MachineForm(visit, readings)
        ReasonForm(visit, reasons)


def _site_of(chosen: Chosen) -> Node:
    """Return the site the chosen place is in: the last one before it in the list."""
    site = chosen.node
    for one in chosen.choices:
        if one.node.kind == "site":
            site = one.node
        if one.node == chosen.node:
            break
    return site
