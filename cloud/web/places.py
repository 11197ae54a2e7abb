"""The places a reader can go to: the one list that the navigation, the guard of the pages and their tests are made from.

A new page that people go to by themselves is one more `Place` here and its builder in `mount.PAGES`. A page that is only
reached from another one (an equipment, an inspection) is named by its beginning in `also` of the place it belongs to.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import groupby
from typing import NamedTuple

from cloud.core.principal import Scope
from protocols.text import Text

FLOOR = Text("Shop floor", "生产现场")
PERFORMANCE = Text("Performance", "绩效分析")
SETTING_UP = Text("Equipment and data", "设备与数据")
CHAIN = Text("Supply chain", "供应链")
COMPUTING = Text("Computing power", "算力")
COMPANY = Text("Company", "企业管理")

ALARMS = "/alarms"
"""The place beside which stands how many alarms nobody has acknowledged."""

MOST_AT_HAND = 4
"""How many places a phone shows at the bottom of the screen; the others are behind "More"."""


class Place(NamedTuple):
    """One entry of the navigation.

    Attributes:
        path: where its page is.
        icon: one of `icons`.
        group: the heading it stands under; places of one group stand together.
        scope: what one must be allowed to see it at all; the page is closed to others.
        also: beginnings of the paths of pages that belong to it.
        at_hand: shown at the bottom of a phone, as far as there is room.
    """

    path: str
    icon: str
    name: Text
    group: Text
    scope: Scope = Scope.READ
    also: tuple[str, ...] = ()
    at_hand: bool = False


PLACES = (
    Place("/", "overview", Text("Overview", "总览"), FLOOR, also=("/sites/", "/lines/", "/equipment/"), at_hand=True),
    Place(ALARMS, "alarm", Text("Alarms", "报警"), FLOOR, at_hand=True),
    Place("/trends", "trend", Text("Trends", "趋势"), FLOOR, at_hand=True),
    Place("/judge", "judge", Text("Judge parts", "人工复判"), FLOOR, scope=Scope.OPERATE),
    Place("/boards", "board", Text("Wall boards", "生产看板"), FLOOR, scope=Scope.ENGINEER),
    Place("/oee", "oee", Text("OEE", "OEE 效率"), PERFORMANCE),
    Place("/oee/stops", "stops", Text("Stops", "停机"), PERFORMANCE),
    Place("/energy", "energy", Text("Energy", "能源"), PERFORMANCE),
    Place("/quality", "quality", Text("Quality", "质量"), PERFORMANCE, at_hand=True),
    Place("/control", "control", Text("Process control", "过程控制"), PERFORMANCE),
    Place("/lots", "lot", Text("Lots", "批次抽检"), PERFORMANCE),
    Place("/inspections", "inspection", Text("Inspections", "质检"), PERFORMANCE),
    Place("/reports", "report", Text("Reports", "报告"), PERFORMANCE),
    Place("/gateways", "gateway", Text("Gateways", "网关"), SETTING_UP, at_hand=True),
    Place("/uploads", "upload", Text("Values by file", "数据填报"), SETTING_UP),
    Place("/training", "training", Text("Model training", "模型训练"), SETTING_UP, also=("/training/",)),
    Place("/models", "model", Text("Models and roll-outs", "模型与下发"), SETTING_UP),
    Place("/plant", "site", Text("Plant", "工厂结构"), SETTING_UP),
    Place("/dictionary", "dictionary", Text("Data dictionary", "数据字典"), SETTING_UP),
    Place("/alarm-rules", "rule", Text("Alarm rules", "报警规则"), SETTING_UP),
    Place("/shelf", "shelf", Text("Solution shelf", "方案货架"), SETTING_UP),
    Place("/channels", "channel", Text("Notification channels", "通知渠道"), SETTING_UP, Scope.ENGINEER),
    Place("/oee/settings", "calendar", Text("Shifts and OEE settings", "班次与 OEE 设置"), SETTING_UP, Scope.ENGINEER),
    Place("/programmes", "chain", Text("Suppliers", "供应商"), CHAIN, also=("/programmes/",)),
    Place("/trace", "trace", Text("Traceability", "追溯"), CHAIN),
    Place("/shares", "share", Text("Data sharing", "数据共享"), CHAIN, also=("/shares/",)),
    Place("/compute", "compute", Text("Rented computing", "算力超市"), COMPUTING, also=("/compute/",)),
    Place("/wallet", "wallet", Text("Wallet and vouchers", "钱包与算力券"), COMPUTING, Scope.ADMIN, also=("/wallet/",)),
    Place("/provider", "provider", Text("Provide computing", "提供算力"), COMPUTING, Scope.ADMIN),
    Place("/assessment", "assessment", Text("Maturity assessment", "数字化水平评测"), COMPANY),
    Place("/people", "people", Text("People", "人员"), COMPANY, Scope.ADMIN),
    Place("/audit", "audit", Text("Audit log", "审计日志"), COMPANY, Scope.ADMIN),
    Place("/account", "account", Text("My account", "我的账号"), COMPANY),
)


def place_of(path: str) -> Place | None:
    """Return the place that the page at `path` belongs to: the one with the longest beginning in common."""
    belonging = [
        (len(begin), place)
        for place in PLACES
        for begin in (place.path, *place.also)
        if path == begin or (begin != "/" and path.startswith(begin.rstrip("/") + "/"))
    ]
    return max(belonging, key=lambda found: found[0])[1] if belonging else None


def open_to(scopes: Collection[Scope]) -> list[Place]:
    """Return the places that one who has `scopes` may go to."""
    return [place for place in PLACES if place.scope in scopes]


def grouped(places: Collection[Place]) -> Iterator[tuple[Text, list[Place]]]:
    """Yield the headings with their places, both in the order of the list."""
    for group, members in groupby(places, key=lambda place: place.group):
        yield group, list(members)


def at_hand(places: Collection[Place]) -> list[Place]:
    """Return the places for the bottom of a phone: those marked, and then others while there is room."""
    marked = [place for place in places if place.at_hand]
    others = [place for place in places if not place.at_hand]
    return (marked + others)[:MOST_AT_HAND]
