"""What a month of electricity costs, line by line as on the bill; pure functions.

The adjustment by power factor follows the table of 《功率因数调整电费办法》((83)水电财字第215号): the month's mean power factor,
rounded to two decimals, against the standard of the site; it is applied to energy and demand charges, not to surcharges.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from math import hypot

from cloud.energy.schemas import BillLine
from cloud.energy.tariff_terms import BANDS, Band, DemandCharge, TariffTerms
from cloud.energy.tariffs import Cost
from protocols.text import Text

BAND_NAMES: dict[Band, Text] = {
    "sharp": Text("Sharp peak", "尖峰"),
    "peak": Text("Peak", "高峰"),
    "flat": Text("Flat", "平段"),
    "valley": Text("Valley", "低谷"),
    "deep_valley": Text("Deep valley", "深谷"),
}
_STEP = Decimal("0.01")
_BONUSES = {
    # standard: (percent less per 0.01 above it up to 0.90, percent less per 0.01 above 0.90, last power factor counted)
    "0.90": (Decimal(0), Decimal("0.15"), Decimal("0.95")),
    "0.85": (Decimal("0.1"), Decimal("0.15"), Decimal("0.94")),
    "0.80": (Decimal("0.1"), Decimal("0.15"), Decimal("0.92")),
}


def mean_power_factor(active: float, reactive: float) -> float | None:
    """Return the mean power factor of a month from its active (kWh) and reactive (kvarh) energy; None without any."""
    apparent = hypot(active, reactive)
    return active / apparent if apparent > 0 else None


def adjustment_percent(standard: str, power_factor: float) -> float:
    """Return by how many percent the charges rise (or, below 0, fall) at a mean power factor."""
    reached = Decimal(repr(power_factor)).quantize(_STEP, ROUND_HALF_UP)
    demanded = Decimal(standard)
    if reached >= demanded:
        to_ninety, beyond, last = _BONUSES[standard]
        counted = min(reached, last)
        ninety = Decimal("0.90")
        return -float(
            to_ninety * (min(counted, ninety) - demanded) / _STEP + beyond * max(counted - ninety, Decimal(0)) / _STEP
        )
    steps = int((demanded - reached) / _STEP)
    return 0.5 * min(steps, 20) + max(min(steps, 25) - 20, 0) + 2.0 * max(steps - 25, 0)


def demand_charge(terms: DemandCharge, maximum_kw: float | None) -> tuple[float, float] | None:
    """Return (kW or kVA that are charged, amount) of a month; None where the maximum demand is needed and not known."""
    if terms.kind == "capacity":
        assert terms.contract is not None  # noqa: S101 - the schema demands it
        return terms.contract, terms.contract * terms.price
    if maximum_kw is None:
        return None
    if terms.contract is None:
        return maximum_kw, maximum_kw * terms.price
    excess = max(maximum_kw - terms.tolerance * terms.contract, 0.0)
    within = terms.contract if excess == 0 else terms.tolerance * terms.contract
    return within + excess, (within + terms.excess_factor * excess) * terms.price


def bill_lines(
    terms: TariffTerms, cost: Cost, *, maximum_kw: float | None, active: float, reactive: float | None
) -> list[BillLine]:
    """Return the lines of a month's bill; a line that cannot be told has no amount and says why."""
    energies: dict[str, float] = {band.band: band.energy for band in cost.bands}
    costs = {band.band: band.cost for band in cost.bands}
    lines = [
        _line(
            BAND_NAMES[band],
            energies[band],
            "kWh",
            costs[band] / energies[band] if energies[band] else None,
            costs[band],
        )
        for band in BANDS
        if band in energies
    ]
    charged = cost.energy_charge
    if terms.demand:
        name = (
            Text("Demand charge", "需量电费")
            if terms.demand.kind == "maximum_demand"
            else Text("Capacity charge", "容量电费")
        )
        unit = "kW" if terms.demand.kind == "maximum_demand" else "kVA"
        found = demand_charge(terms.demand, maximum_kw)
        if found is None:
            lines.append(_unknown(name, Text("the maximum demand is not known", "最大需量未知")))
        else:
            lines.append(_line(name, found[0], unit, terms.demand.price, found[1]))
            charged += found[1]
    if terms.power_factor:
        lines.append(_adjustment(terms.power_factor, active, reactive, charged))
    if terms.surcharge:
        lines.append(
            _line(Text("Funds and surcharges", "政府性基金及附加"), active, "kWh", terms.surcharge, cost.surcharge)
        )
    return lines


def total_of(lines: Sequence[BillLine]) -> float:
    """Return the sum of the lines that have an amount."""
    return sum(line.amount or 0.0 for line in lines)


def _adjustment(standard: str, active: float, reactive: float | None, charged: float) -> BillLine:
    name = Text("Power factor adjustment", "力调电费")
    factor = mean_power_factor(active, reactive) if reactive is not None else None
    if factor is None:
        return _unknown(name, Text("no meter counts reactive energy", "没有无功电能计量"))
    percent = adjustment_percent(standard, factor)
    line = _line(name, charged, "", percent / 100, charged * percent / 100)
    note = Text(f"power factor {factor:.2f}, standard {standard}: {percent:+g} %",
                f"功率因数 {factor:.2f}，标准 {standard}：{percent:+g}%")  # fmt: skip
    return line.model_copy(update={"note_en": note.en, "note_zh": note.zh})


def _line(name: Text, quantity: float, unit: str, price: float | None, amount: float) -> BillLine:
    return BillLine(name_en=name.en, name_zh=name.zh, quantity=quantity, unit=unit, price=price, amount=amount)


def _unknown(name: Text, why: Text) -> BillLine:
    return BillLine(
        name_en=name.en,
        name_zh=name.zh,
        quantity=None,
        unit="",
        price=None,
        amount=None,
        note_en=why.en,
        note_zh=why.zh,
    )
