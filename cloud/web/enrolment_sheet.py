"""What goes to the machines with an enrolment code: a technician's whole way on one side of paper, seen in print only."""

from __future__ import annotations

from typing import NamedTuple

from nicegui import ui

from cloud.web.elements import Words, box
from cloud.web.visit import Visit
from protocols.text import Text

_PRINT = Text("Print a sheet for the technician", "打印技术员上手单")
_TITLE = Text("Connect a box", "网关接入上手单")
_CLOUD, _CODE, _UNTIL = Text("Cloud", "平台地址"), Text("Enrolment code", "注册码"), Text("Good until", "有效期至")
_STEPS = (
    (
        Text("Start", "启动"),
        Text("Box and machines in one network. On the box:", "网关与设备接入同一网络，在网关上运行："),
    ),
    (
        Text("Open", "打开"),
        Text(
            "On a phone in the same network open the address that the box shows, and type its PIN.",
            "用同一网络中的手机打开网关显示的地址，输入配对码。",
        ),
    ),
    (
        Text("Connect", "接入"),
        Text(
            "Photograph the QR code above, or type address and code. Give the box a name.",
            "拍摄上方二维码，或手动输入平台地址与注册码，并为网关命名。",
        ),
    ),
    (
        Text("Find machines", "搜索设备"),
        Text(
            "Type their addresses, or a range such as 192.168.1.20-40. Nothing else is looked at, nothing is written.",
            "输入设备地址，或如 192.168.1.20-40 的范围。不访问其他地址，不向设备写入。",
        ),
    ),
    (
        Text("Confirm", "确认"),
        Text(
            "Green: confirm unread. Amber: look once. Grey: say what it is, or leave it.",
            "绿色直接确认；黄色看一眼；灰色可说明含义，也可保留。",
        ),
    ),
    (
        Text("Check and report", "检查与报告"),
        Text(
            "Red needs you; the next step stands beside it. Then send the report to the office.",
            "红色项需处理，旁边写有下一步。最后把报告发给办公室。",
        ),
    ),
)
_BOX = Text("The box", "网关")
_OF_THE_BOX = (Text("Address", "地址"), Text("PIN", "配对码"), Text("Name", "名称"), Text("Newer code", "新注册码"))
_MACHINES = Text("The machines", "设备")
_OF_MACHINES = (Text("Machine", "设备"), Text("Address", "地址"), Text("Unit id", "从站号"), Text("Done", "完成"))
_ROWS = 5
_STUCK = Text(
    "A value is wrong? Tap the point, then test it, and tap what the machine's own display shows. The code is over? Ask for another one.",
    "数值不对？点开测点并测试，选择与设备面板一致的数值。注册码过期？请重新索取。",
)


class Enrolment(NamedTuple):
    """What a sheet says of one code: for which site, where, how long it is good; `qr` is an SVG."""

    site: str
    address: str
    code: str
    until: str
    qr: str


def offer_sheet(visit: Visit, enrolment: Enrolment) -> None:
    """Offer to print the sheet. While it is on a page, that page prints as the sheet and nothing else."""
    say = visit.say
    with box("link", "button", type="button").on("click", js_handler="() => window.print()"):
        Words(say(_PRINT))
    with box("handout"):
        Words(say(_TITLE), tag="h1")
        Words(f"{visit.tenant} · {enrolment.site}", tag="p")
        with box("handout-code"):
            ui.html(enrolment.qr, sanitize=False)
            with box("", "dl"):
                for name, value in (
                    (_CLOUD, enrolment.address),
                    (_CODE, enrolment.code),
                    (_UNTIL, enrolment.until),
                ):
                    Words(say(name), tag="dt")
                    Words(value, tag="dd")
        with box("", "ol"):
            for number, (title, how) in enumerate(_STEPS):
                with box("", "li"):
                    Words(say(title), "strong")
                    Words(say(how))
                    if number == 0:
                        Words("sunmao-edge ui --host 0.0.0.0", tag="code")
        _to_fill_in(visit, _BOX, _OF_THE_BOX, 1)
        _to_fill_in(visit, _MACHINES, _OF_MACHINES, _ROWS)
        Words(say(_STUCK), tag="p")


def _to_fill_in(visit: Visit, title: Text, heads: tuple[Text, ...], rows: int) -> None:
    Words(visit.say(title), tag="h2")
    with box("", "table"):
        with box("", "tr"):
            for head in heads:
                Words(visit.say(head), tag="th")
        for _ in range(rows):
            with box("", "tr"):
                for _ in heads:
                    box("", "td")
