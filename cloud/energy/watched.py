"""The energy figures that alarm rules watch, each from the function that pages and API show it by. Electricity only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal, NamedTuple
from uuid import UUID

from cloud.energy import figures
from cloud.energy.accounts import Account
from cloud.energy.schemas import Figure, Summary
from protocols.text import Text

WatchedCode = Literal["specific", "idle_share", "projected_demand", "demand_of_contract", "daily_cost", "power_factor"]
Day = Literal["today", "yesterday"]

HISTORY = timedelta(hours=1)
"""How far back the load of the running quarter of an hour is looked at."""
_NO_CONTRACT = Text(
    "the tariff says no contract for the maximum demand; enter it under Energy > Tariff",
    "电价中没有合同需量，请在“能源 > 电价”中录入",
)


class Watched(NamedTuple):
    """A figure that may be watched: of a site's machines, or of the site; of a day, or now."""

    name: Text
    unit: str
    of_site: bool
    of_day: bool


WATCHED: Mapping[WatchedCode, Watched] = MappingProxyType(
    {
        "projected_demand": Watched(Text("Demand of this quarter hour", "本 15 分钟需量（预计）"), "kW", True, False),
        "demand_of_contract": Watched(
            Text("Demand of this quarter hour, of the contract", "本 15 分钟需量（预计）占合同需量"), "%", True, False
        ),
        "specific": Watched(Text("Energy per good part", "单位良品能耗"), "kWh/pcs", False, True),
        "idle_share": Watched(Text("Idle energy", "待机能耗占比"), "%", False, True),
        "daily_cost": Watched(Text("Electricity cost", "电费"), "", True, True),
        "power_factor": Watched(Text("Power factor", "功率因数"), "", True, True),
    }
)


def of_day(code: WatchedCode, summary: Summary) -> dict[UUID, Figure]:
    """Return a figure of the day that `summary` is about: of the site, or of its machines, by id."""
    match code:
        case "daily_cost":
            return {summary.site_id: summary.cost}
        case "specific":
            return {machine.equipment_id: machine.specific for machine in summary.machines}
        case "idle_share":
            return {machine.equipment_id: machine.idle_share for machine in summary.machines}
        case _:
            raise ValueError(code)


def demand_now(code: WatchedCode, account: Account, now: datetime) -> Figure:
    """Return the demand that the running quarter of an hour comes to, in kW or in percent of the contract."""
    meters = account.forest.of_site()
    names = [f"{meter.name} ({meter.basis})" for meter in meters]
    projected = figures.projected_demand(account.sum_of(meters).before(now), now, account.carrier, names)
    if code == "projected_demand":
        return projected
    charge = account.terms.demand if account.terms else None
    contract = charge.contract if charge and charge.kind == "maximum_demand" else None
    if contract is None:
        return figures.nothing("%", names, _NO_CONTRACT)
    return figures.share_of(projected, contract, "contract")
