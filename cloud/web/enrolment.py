"""Making an enrolment code, wherever a page offers it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import zxingcpp
from nicegui import ui

from cloud.core.principal import Scope
from cloud.fleet.schemas import CodeRequest
from cloud.web.elements import Words, box
from cloud.web.enrolment_sheet import Enrolment, offer_sheet
from cloud.web.language import moment
from cloud.web.visit import Visit
from protocols.text import Text

_CREATE = Text("Create enrolment code", "生成注册码")
_FOR_SITE = Text("Create code for {site}", "为“{site}”生成注册码")
_VALID = Text(
    "Good for one gateway until {time}. It is shown only now.", "可注册一台网关，{time} 前有效。仅显示这一次。"
)
_ASK = Text("Only an engineer can create codes; ask yours.", "只有工程师及以上角色可以生成注册码，请联系本企业工程师。")
_NO_SITE = Text(
    "Your company has no site yet. Create one first: sunmao-cloud tenant create --site.",
    "本企业尚无站点，请先创建站点：sunmao-cloud tenant create --site。",
)
_PLACEHOLDER = Text("<code>", "<注册码>")
_ADDRESS = Text(
    'The gateway\'s configuration, which "sunmao-edge init" writes, must name this cloud:',
    "网关配置文件（可用 sunmao-edge init 生成）中须填写本平台地址：",
)


_PHOTOGRAPH = Text(
    "Photograph it with the pages of the box (sunmao-edge ui), or with the phone's own camera.",
    "请用网关本机页面（sunmao-edge ui）或手机相机拍摄。",
)

ENROL_PATH = "/enrol"
"""Where a phone's camera leads; the code stands behind a # and so is never sent, nor written into a log."""


def qr_code(text: str) -> str:
    """Return `text` as the SVG of a QR code, its quiet zone included (ISO/IEC 18004)."""
    drawn = zxingcpp.write_barcode_to_svg(zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode))
    svg = drawn[drawn.index("<svg") :]
    head, _, body = svg.partition(">")
    size = int(head.partition('width="')[2].partition('"')[0])
    return f'<svg viewBox="0 0 {size} {size}" role="img" shape-rendering="crispEdges" xmlns="http://www.w3.org/2000/svg">{body}'


class EnrolCommand:
    """The command that enrols a gateway, with a code once there is one, and what it needs beforehand."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._command = Words("", "command", tag="code")
        Words(visit.say(_ADDRESS), "muted small above", tag="div")
        Words(f'[cloud]\nurl = "{str(visit.request.base_url).rstrip("/")}"', "command", tag="code")
        self.show(visit.say(_PLACEHOLDER))

    def show(self, code: str) -> None:
        """Show the command with `code` in it."""
        self._command.show(f"sunmao-edge enrol {code}")


async def show_code_maker(visit: Visit, on_code: Callable[[str], object]) -> None:
    """Add a button for every site that makes a code, shows it, and hands it to `on_code`."""
    if not visit.may(Scope.ENGINEER):
        Words(visit.say(_ASK), "muted")
        return
    sites = await visit.domains.identity.sites(visit.scope)
    if not sites:
        Words(visit.say(_NO_SITE), "muted")
        return
    place = box("stack")

    async def make(site_id: str) -> None:
        if not await visit.may_still(Scope.ENGINEER):
            return
        site = next(site for site in sites if str(site.id) == site_id)
        made = await visit.domains.fleet.create_code(
            visit.acting(Scope.ENGINEER).scope, CodeRequest(site_id=site.id, minutes=60), visit.principal.actor
        )
        until = moment(made.expires_at, visit.zone, visit.language, now=datetime.now(UTC), seconds=False)
        place.clear()
        with place:
            Words(made.code, "code", tag="div").mark("enrolment-code")
            Words(visit.say(_VALID, time=until), "muted small", tag="div")
            address = str(visit.request.base_url).rstrip("/")
            qr = qr_code(f"{address}{ENROL_PATH}#{made.code}")
            ui.html(qr, sanitize=False).classes("qr").mark("enrolment-qr")
            Words(visit.say(_PHOTOGRAPH), "muted small", tag="div")
            ends = made.expires_at.astimezone(visit.zone).strftime("%Y-%m-%d %H:%M")
            offer_sheet(visit, Enrolment(site.name, address, made.code, ends, qr))
        on_code(made.code)

    with place, box("line"):
        for site in sites:
            label = visit.say(_CREATE) if len(sites) == 1 else visit.say(_FOR_SITE, site=site.name)
            with ui.element("button").classes("button").on("click", lambda _, site=site: make(str(site.id))):
                Words(label)
