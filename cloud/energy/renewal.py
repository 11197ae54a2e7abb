"""Which machine to renew: what each costs to run, what a new one would save, how soon that pays. Pure functions.

Nothing is guessed. What is measured comes with its source; what a new machine costs and saves, a person says; what is
missing is said to be missing, and then there is no pay-back. Formulas: simple pay-back = net price / saving of a year; net
present value = sum of the savings of each year, discounted, less the net price.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

from cloud.energy.schemas import Advice, AdviceLine, Assumptions
from cloud.energy.trends import LEAST_POINTS, trend
from protocols.text import Text

_YEAR_DAYS = 365.25
_LEAST_COVERED = 0.5


class Month(NamedTuple):
    """A calendar month of a machine: energy in kWh, share of the time measured, good parts, availability (0 to 1)."""

    first: date
    energy: float
    completeness: float
    good: float | None
    availability: float | None


class Evidence(NamedTuple):
    """What is known of a machine.

    Attributes:
        year_energy: kWh of a year, from the days measured; None without any.
        measured_days: how many days those are.
        price: mean price of its energy, per kWh; None without a tariff.
    """

    equipment_id: UUID
    name: str
    path: str
    installed_on: date | None
    purchase_price: float | None
    months: Sequence[Month]
    year_energy: float | None
    measured_days: float
    price: float | None


def advise(
    machines: Sequence[Evidence], assumptions: dict[UUID, Assumptions], currency: str, today: date
) -> list[Advice]:
    """Return the advice for each machine: those that pay back first, soonest first, then by what they cost to run."""
    found = [
        _advice(machine, assumptions.get(machine.equipment_id, Assumptions.model_validate({})), currency, today)
        for machine in machines
    ]
    return sorted(
        found,
        key=lambda advice: (
            advice.payback_years is None,
            advice.payback_years or 0.0,
            -(advice.year_cost or 0.0),
            advice.name,
        ),
    )


def payback_years(net_price: float, saving: float) -> float | None:
    """Return after how many years a price is saved; None if it never is."""
    return net_price / saving if saving > 0 else None


def net_present_value(net_price: float, saving: float, discount: float, years: int) -> float:
    """Return what the savings of `years` years, each at its end, are worth today at `discount`, less the price."""
    return sum(saving / (1 + discount) ** year for year in range(1, years + 1)) - net_price


def _advice(machine: Evidence, assumed: Assumptions, currency: str, today: date) -> Advice:
    lines, missing = _Lines(), list[Text]()
    year = Text(f"{currency}/year", f"{currency}/年")
    _say_age(machine, today, lines, missing)
    _say_trends(machine, lines, missing)
    cost = None
    if machine.year_energy is None:
        missing.append(Text("its energy: it has no meter of its own", "用能量：没有单独计量"))
    else:
        lines.add(Text("Energy of a year", "年用能量"), machine.year_energy, Text("kWh", "kWh"),
                  Text(f"measured over {machine.measured_days:.0f} days, x 365.25 / days",
                       f"按已计量 {machine.measured_days:.0f} 天折算（× 365.25 ÷ 天数）"))  # fmt: skip
        if machine.price is None:
            missing.append(Text("the price of energy: enter the tariff", "能源价格：请录入电价"))
        else:
            cost = machine.year_energy * machine.price
            lines.add(Text("Mean price of its energy", "平均电价"), machine.price, Text(f"{currency}/kWh", f"{currency}/kWh"),
                      Text("by the tariff, over the last 31 days", "按电价核算的近 31 天均价"))  # fmt: skip
            lines.add(
                Text("Cost of a year's energy", "年能源费用"), cost, year, Text("energy x price", "年用能量 × 平均电价")
            )
    saving = _say_saving(cost, assumed, year, lines, missing)
    payback = value = None
    if assumed.price is None:
        missing.append(Text("what a new machine costs", "新设备价格"))
    elif saving is not None:
        net = assumed.price - (assumed.resale or 0.0)
        lines.add(
            Text("Net price", "净投资"),
            net,
            Text(currency, currency),
            Text("price less resale", "新设备价格 − 旧设备残值"),
        )
        payback = payback_years(net, saving)
        if payback is None:
            missing.append(Text("a saving above 0", "大于 0 的节约额"))
        else:
            lines.add(Text("Simple pay-back", "静态回收期"), payback, Text("years", "年"),
                      Text("net price / saving of a year", "净投资 ÷ 年节约额"))  # fmt: skip
        if assumed.discount_percent is not None and assumed.life_years is not None:
            value = net_present_value(net, saving, assumed.discount_percent / 100, assumed.life_years)
            lines.add(Text("Net present value", "净现值"), value, Text(currency, currency),
                      Text(f"{assumed.life_years} years at {assumed.discount_percent:g} %",
                           f"{assumed.life_years} 年，折现率 {assumed.discount_percent:g}%"))  # fmt: skip
    return Advice(
        equipment_id=machine.equipment_id,
        name=machine.name,
        path=machine.path,
        currency=currency,
        year_cost=cost,
        saving=saving,
        payback_years=payback,
        net_present_value=value,
        lines=lines.found,
        missing_en=[text.en for text in missing],
        missing_zh=[text.zh for text in missing],
        assumptions=assumed,
    )


class _Lines:
    """The arithmetic, line by line."""

    def __init__(self) -> None:
        self.found: list[AdviceLine] = []

    def add(self, name: Text, value: float, unit: Text, how: Text) -> None:
        self.found.append(
            AdviceLine(
                name_en=name.en,
                name_zh=name.zh,
                value=value,
                unit_en=unit.en,
                unit_zh=unit.zh,
                how_en=how.en,
                how_zh=how.zh,
            )
        )


def _say_age(machine: Evidence, today: date, lines: _Lines, missing: list[Text]) -> None:
    if machine.installed_on is None:
        missing.append(Text("when it was installed", "安装日期"))
        return
    age = (today - machine.installed_on).days / _YEAR_DAYS
    lines.add(
        Text("Age", "役龄"),
        age,
        Text("years", "年"),
        Text(f"installed {machine.installed_on}", f"{machine.installed_on} 安装"),
    )
    if machine.purchase_price is not None:
        lines.add(Text("Price paid", "购置价格"), machine.purchase_price, Text("", ""), Text("as entered", "按录入值"))


def _say_trends(machine: Evidence, lines: _Lines, missing: list[Text]) -> None:
    usable = [month for month in machine.months if month.completeness >= _LEAST_COVERED]
    specific = [(month, month.energy / month.good) for month in usable if month.good]
    found = trend([_years(month.first) for month, _ in specific], [value for _, value in specific])
    if found is None:
        missing.append(
            Text(
                f"the trend of its energy per good part: {len(specific)} months, {LEAST_POINTS} are needed",
                f"单位良品能耗趋势：仅 {len(specific)} 个月数据，至少需 {LEAST_POINTS} 个月",
            )
        )
    elif found.level > 0:
        low, high = (100 * edge / found.level for edge in (found.low, found.high))
        lines.add(Text("Energy per good part, trend", "单位良品能耗趋势"), 100 * found.slope / found.level,
                  Text("%/year", "%/年"), _interval(low, high, len(specific), found.certain))  # fmt: skip
    available = [(month, month.availability) for month in usable if month.availability is not None]
    found = trend([_years(month.first) for month, _ in available], [value for _, value in available])
    if found is not None:
        lines.add(Text("Availability, trend", "可用率趋势"), 100 * found.slope, Text("points/year", "百分点/年"),
                  _interval(100 * found.low, 100 * found.high, len(available), found.certain))  # fmt: skip


def _interval(low: float, high: float, count: int, certain: bool) -> Text:
    doubt = Text("", "") if certain else Text("; no certain trend", "；趋势不显著")
    return Text(
        f"{count} months, 95 % between {low:+.1f} and {high:+.1f} (Sen 1968){doubt.en}",
        f"{count} 个月，95% 置信区间 {low:+.1f} 至 {high:+.1f}（Sen 1968）{doubt.zh}",
    )


def _say_saving(
    cost: float | None, assumed: Assumptions, year: Text, lines: _Lines, missing: list[Text]
) -> float | None:
    """Return the saving of a year: of energy and of maintenance; None while neither can be told."""
    energy = upkeep = None
    if assumed.saving_percent is None:
        missing.append(Text("how much less energy a new machine needs", "新设备的节能比例"))
    elif cost is not None:
        energy = cost * assumed.saving_percent / 100
        lines.add(Text("Saved on energy", "年节能费用"), energy, year,
                  Text(f"cost of energy x {assumed.saving_percent:g} % (assumed)", f"年能源费用 × {assumed.saving_percent:g}%（假设）"))  # fmt: skip
    if assumed.maintenance_now is None or assumed.maintenance_then is None:
        missing.append(Text("maintenance of a year, now and then", "更新前后的年维护费用"))
    else:
        upkeep = assumed.maintenance_now - assumed.maintenance_then
        lines.add(
            Text("Saved on maintenance", "年维护节约"),
            upkeep,
            year,
            Text("now less then (assumed)", "现维护费 − 新维护费（假设）"),
        )
    if energy is None:
        return None
    saving = energy + (upkeep or 0.0)
    lines.add(Text("Saving of a year", "年节约额"), saving, year, Text("energy + maintenance", "节能 + 维护"))
    return saving


def _years(day: date) -> float:
    return day.toordinal() / _YEAR_DAYS
