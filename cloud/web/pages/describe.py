"""What people say of one machine: what it is called, what it is, how old, how strong and what it cost."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from uuid import UUID

from cloud.core.errors import Invalid, NotFound
from cloud.core.principal import Principal, Scope
from cloud.fleet.schemas import Equipment, EquipmentChange
from cloud.web.elements import Words, box
from cloud.web.forms import Choice, Field, attempt, button, done
from cloud.web.layout import frame, page_head
from cloud.web.pages import plant_layout
from cloud.web.visit import Visit
from protocols.dictionary.entries import equipment_classes
from protocols.text import Text

_NAME = Text("What people call it", "设备名称")
_CLASS, _AS_REPORTED = Text("Class", "设备类别"), Text("as reported: {name}", "按上报：{name}")
_UNKNOWN = Text("none", "无")
_ASSET = Text("Asset number", "资产编号")
_MADE, _INSTALLED = Text("Made on", "出厂日期"), Text("Installed on", "投用日期")
_POWER, _PRICE = Text("Rated power, kW", "额定功率(kW)"), Text("Purchase price", "购置价格")
_WHY = Text(
    "Age, rated power and price go into the advice on which machine to renew first.",
    "使用年限、额定功率与价格用于给出设备更新建议。",
)
_SAVE, _SAVED = Text("Save", "保存"), Text("Saved.", "已保存。")
_NO_NUMBER = Text("'{value}' is not a number.", "“{value}”不是数字。")
_NO_DAY = Text("'{value}' is not a date.", "“{value}”不是日期。")


async def build(visit: Visit) -> None:
    """Build the page; raises NotFound."""
    try:
        equipment_id = UUID(visit.request.path_params["equipment_id"])
    except ValueError as error:
        raise NotFound from error
    machine = await visit.domains.fleet.equipment(visit.scope, equipment_id)
    with frame(visit, machine.label):
        page_head(machine.label, back=("/plant", visit.say(plant_layout.TITLE)), note=machine.path)
        with box("card stack form"):
            _form(visit, machine)


def _form(visit: Visit, machine: Equipment) -> None:
    classes = equipment_classes()
    reported = "" if machine.class_override else machine.equipment_class
    known = classes[reported].to(visit.language) if reported in classes else visit.say(_UNKNOWN)
    options = {"": visit.say(_AS_REPORTED, name=known)}
    options |= {code: name.to(visit.language) for code, name in classes.items()}
    name = Field(visit.say(_NAME), machine.display_name, placeholder=machine.name, maxlength="120")
    kind = Choice(visit.say(_CLASS), options, machine.class_override)
    asset = Field(visit.say(_ASSET), machine.asset_number, maxlength="120")
    made = Field(visit.say(_MADE), str(machine.made_on or ""), type="date")
    installed = Field(visit.say(_INSTALLED), str(machine.installed_on or ""), type="date")
    power = Field(visit.say(_POWER), _number(machine.rated_power_kw), inputmode="decimal")
    price = Field(visit.say(_PRICE), _number(machine.purchase_price), inputmode="decimal")
    Words(visit.say(_WHY), "muted small", tag="p")

    async def save() -> None:
        async def act(principal: Principal) -> None:
            change = EquipmentChange.model_validate(
                {
                    "display_name": name.value.strip(),
                    "class_override": kind.value,
                    "asset_number": asset.value.strip(),
                    "made_on": _day(made.value),
                    "installed_on": _day(installed.value),
                    "rated_power_kw": _decimal(power.value),
                    "purchase_price": _decimal(price.value),
                }
            )
            await visit.domains.fleet.describe(principal.scope, machine.id, change, principal.actor)

        if await attempt(visit, answer, Scope.ENGINEER, act):
            done(answer, visit.say(_SAVED))

    if visit.may(Scope.ENGINEER):
        with box("line"):
            button(visit.say(_SAVE), save).mark("save")
    answer = box("stack")


def _number(value: float | Decimal | None) -> str:
    return "" if value is None else f"{value:f}".rstrip("0").rstrip(".") if "." in f"{value:f}" else f"{value:f}"


def _decimal(typed: str) -> Decimal | None:
    text = typed.strip().replace(",", "")
    if not text:
        return None
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise Invalid(Text(_NO_NUMBER.en.format(value=typed), _NO_NUMBER.zh.format(value=typed))) from error


def _day(typed: str) -> date | None:
    if not typed:
        return None
    try:
        return date.fromisoformat(typed)
    except ValueError as error:
        raise Invalid(Text(_NO_DAY.en.format(value=typed), _NO_DAY.zh.format(value=typed))) from error
