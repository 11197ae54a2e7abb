"""One pure function per figure. Each returns a `Figure`: value, unit, completeness, inputs - or why there is no value.

A load is the mean power of an interval. Sources of terms: ISO 50001/50006 (energy performance indicator, specific energy),
ISO 22400-2 (time elements), GB/T 16664 (load factor as mean by maximum load of a period).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from cloud.energy.bills import mean_power_factor
from cloud.energy.carriers import Carrier
from cloud.energy.metering import INTERVAL_S
from cloud.energy.profiles import Profile
from cloud.energy.schemas import Figure, Window
from cloud.energy.tariffs import Cost, local_s
from protocols.text import Text

DEMAND_INTERVALS = 3
"""Intervals of a demand period: 15 minutes, which slide by five."""
LOW_SHARE = 5.0
"""The base load is the load that is gone below only in this percentage of the time."""
NIGHT = (22, 6)
"""Hours between which it is night."""
_HOUR_S = 3600

NO_READINGS = Text("no readings in this time", "该时段没有读数")
NO_TARIFF = Text("no tariff holds at this time; enter one", "该时段没有生效的电价，请先录入")
NO_FACTOR = Text("no factor is known for this carrier; enter one", "该能源种类没有换算因子，请先录入")
NO_REACTIVE = Text("no meter of reactive energy has readings in this time", "该时段没有无功电能读数")
NO_COUNTS = Text("no good parts counted in this time", "该时段没有良品计数")
NO_STATES = Text("the machine's states are not known in this time", "该时段的设备状态未知")


class Demand(NamedTuple):
    """The largest mean load of a sliding 15 minutes, when that was, and whether it was measured throughout."""

    load: float
    window: Window


def consumption(profile: Profile, carrier: Carrier, inputs: Sequence[str]) -> Figure:
    """Return the energy in the carrier's unit."""
    if not profile.covered.any() and not profile.energy.any():
        return nothing(carrier.symbol, inputs, NO_READINGS)
    return Figure(
        value=profile.total, unit=carrier.symbol, completeness=profile.completeness, inputs=list(inputs), formula="Σ E"
    )


def energy_cost(cost: Cost, profile: Profile, currency: str, inputs: Sequence[str]) -> Figure:
    """Return the cost of the energy with surcharges, without charges of the month."""
    if not profile.covered.any() and not profile.energy.any():
        return nothing(currency, inputs, NO_READINGS)
    if not cost.bands:
        return nothing(currency, inputs, NO_TARIFF)
    priced = 1 - abs(cost.unpriced) / (abs(profile.total) or 1.0)
    return Figure(
        value=cost.total,
        unit=currency,
        completeness=profile.completeness * max(min(priced, 1.0), 0.0),
        inputs=[*inputs, "tariff"],
        formula="Σ E(t) · (p(t) + s)",
    )


def valley_saving(cost: Cost, profile: Profile, currency: str, inputs: Sequence[str]) -> Figure:
    """Return what would be saved if each day's energy were drawn at that day's lowest price: the most there is to gain."""
    if not profile.energy.any():
        return nothing(currency, inputs, NO_READINGS)
    if not cost.bands:
        return nothing(currency, inputs, NO_TARIFF)
    return Figure(
        value=cost.energy_charge - cost.valley,
        unit=currency,
        completeness=profile.completeness,
        inputs=[*inputs, "tariff"],
        formula="Σ E(t) · (p(t) − min p(day))",
    )


def demand(profile: Profile) -> Demand | None:
    """Return the maximum demand: the largest mean load over 15 minutes, sliding by five; None if nothing was measured.

    Only periods that are covered throughout count, so that energy spread over a silence makes no peak and hides none.
    """
    if len(profile.energy) < DEMAND_INTERVALS:
        return None
    sums = np.convolve(profile.energy, np.ones(DEMAND_INTERVALS), "valid")
    whole = np.convolve(profile.covered >= INTERVAL_S - 1, np.ones(DEMAND_INTERVALS), "valid") == DEMAND_INTERVALS
    if not whole.any():
        return None
    at = int(np.argmax(np.where(whole, sums, -np.inf)))
    begin = profile.start_s + at * INTERVAL_S
    length = DEMAND_INTERVALS * INTERVAL_S
    window = Window(datetime.fromtimestamp(begin, UTC), datetime.fromtimestamp(begin + length, UTC))
    return Demand(float(sums[at]) * _HOUR_S / length, window)


def maximum_demand(profile: Profile, carrier: Carrier, inputs: Sequence[str]) -> Figure:
    """Return `demand` as a figure."""
    found = demand(profile)
    if found is None:
        return nothing(carrier.rate, inputs, NO_READINGS)
    return Figure(
        value=found.load,
        unit=carrier.rate,
        completeness=profile.completeness,
        inputs=list(inputs),
        formula="max E(15 min) / 0.25 h",
    )


def projected_demand(profile: Profile, now: datetime, carrier: Carrier, inputs: Sequence[str]) -> Figure:
    """Return the mean load that the running quarter of an hour comes to if the latest load lasts, so that it can still be cut.

    Quarters begin at minute 0, 15, 30 and 45. What was drawn and is not measured yet counts at the latest load, too; that is
    the mean of the last five minutes measured, and complete as far as the last quarter of an hour up to `now` was.
    """
    length = DEMAND_INTERVALS * INTERVAL_S
    instant = now.timestamp()
    end = min(int((instant - profile.start_s) // INTERVAL_S) + 1, len(profile.energy))
    begin = max(int((instant // length * length - profile.start_s) // INTERVAL_S), 0)
    drawn, measured = 0.0, 0.0
    for at in range(end - 1, max(end - 1 - DEMAND_INTERVALS, 0) - 1, -1):
        drawn, measured = drawn + float(profile.energy[at]), measured + float(profile.covered[at])
        if measured >= INTERVAL_S:
            break
    if not measured:
        return nothing(carrier.rate, inputs, NO_READINGS)
    load = drawn * _HOUR_S / measured
    left_s = length - float(profile.covered[begin:end].sum())
    recent = max(end - 1 - DEMAND_INTERVALS, 0)
    known = float(profile.covered[recent:end].sum()) / (instant - profile.start_s - recent * INTERVAL_S)
    return Figure(
        value=(float(profile.energy[begin:end].sum()) * _HOUR_S + load * left_s) / length,
        unit=carrier.rate,
        completeness=min(known, 1.0),
        inputs=list(inputs),
        formula="(E(quarter) + P(last 5 min) · t(left)) / 0.25 h",
    )


def loads(profile: Profile) -> NDArray[np.float64]:
    """Return the load of each interval; NaN where it is not covered."""
    known = profile.covered >= INTERVAL_S / 2
    return np.where(known, profile.energy * _HOUR_S / INTERVAL_S, np.nan)


def mean_load(profile: Profile, carrier: Carrier, inputs: Sequence[str]) -> Figure:
    """Return the mean load over the time that is covered."""
    known = loads(profile)
    if np.isnan(known).all():
        return nothing(carrier.rate, inputs, NO_READINGS)
    value = float(np.nanmean(known))
    return Figure(
        value=value, unit=carrier.rate, completeness=profile.completeness, inputs=list(inputs), formula="Σ E / t"
    )


def base_load(profile: Profile, carrier: Carrier, inputs: Sequence[str]) -> Figure:
    """Return the load that is gone below in 5 % of the time only: what runs whatever is made."""
    known = loads(profile)
    if np.isnan(known).all():
        return nothing(carrier.rate, inputs, NO_READINGS)
    return Figure(
        value=float(np.nanpercentile(known, LOW_SHARE)),
        unit=carrier.rate,
        completeness=profile.completeness,
        inputs=list(inputs),
        formula="P5 of the load",
    )


def load_factor(profile: Profile, carrier: Carrier, inputs: Sequence[str]) -> Figure:
    """Return the mean load by the maximum demand, in percent."""
    mean, peak = mean_load(profile, carrier, inputs), demand(profile)
    if mean.value is None or peak is None or peak.load <= 0:
        return nothing("%", inputs, NO_READINGS)
    return Figure(
        value=100 * mean.value / peak.load,
        unit="%",
        completeness=profile.completeness,
        inputs=list(inputs),
        formula="mean load / maximum demand",
    )


def at_night(profile: Profile, zone: ZoneInfo) -> float:
    """Return the energy between 22:00 and 06:00 on the site's clock."""
    hour = local_s(profile.starts_s, zone) % 86_400 // _HOUR_S
    return float(profile.energy[(hour >= NIGHT[0]) | (hour < NIGHT[1])].sum())


def at_weekends(profile: Profile, zone: ZoneInfo) -> float:
    """Return the energy of Saturdays and Sundays on the site's calendar."""
    weekday = (local_s(profile.starts_s, zone) // 86_400 + 3) % 7  # 1 January 1970 was a Thursday
    return float(profile.energy[weekday >= 5].sum())


def share(part: float, profile: Profile, inputs: Sequence[str]) -> Figure:
    """Return what percentage of the energy `part` is."""
    if profile.total <= 0:
        return nothing("%", inputs, NO_READINGS)
    return Figure(
        value=100 * part / profile.total,
        unit="%",
        completeness=profile.completeness,
        inputs=list(inputs),
        formula="E(part) / E",
    )


def daily_course(profile: Profile, zone: ZoneInfo) -> list[float | None]:
    """Return the mean load of each of the day's 96 quarters of an hour on the site's clock; None where never measured."""
    quarter = local_s(profile.starts_s, zone) % 86_400 // 900
    known = loads(profile)
    at = ~np.isnan(known)
    count = np.bincount(quarter[at], minlength=96)
    total = np.bincount(quarter[at], weights=known[at], minlength=96)
    return [float(total[i] / count[i]) if count[i] else None for i in range(96)]


def specific_energy(energy: Figure, good: float | None, counts: Sequence[str]) -> Figure:
    """Return the energy per good part."""
    unit = f"{energy.unit}/pcs"
    if energy.value is None:
        return energy.model_copy(update={"unit": unit})
    if not good or good <= 0:
        return nothing(unit, [*energy.inputs, *counts], NO_COUNTS)
    return Figure(
        value=energy.value / good,
        unit=unit,
        completeness=energy.completeness,
        inputs=[*energy.inputs, *counts],
        formula="E / good parts",
    )


def idle_energy(
    profile: Profile, idle_s: NDArray[np.float64], known_s: NDArray[np.float64], carrier: Carrier, inputs: Sequence[str]
) -> Figure:
    """Return the energy drawn while nothing is produced; `idle_s`, `known_s` are seconds of the profile's intervals.

    Within five minutes energy is taken as even, so a stop that is shorter is counted at the load around it.
    """
    if not known_s.any():
        return nothing(carrier.symbol, inputs, NO_STATES)
    return Figure(
        value=idle_part(profile, idle_s).total,
        unit=carrier.symbol,
        completeness=profile.completeness * min(float(known_s.sum()) / profile.seconds, 1.0),
        inputs=[*inputs, "states"],
        formula="Σ E(not producing)",
    )


def idle_share(idle: Figure, energy: Figure) -> Figure:
    """Return what percentage of the energy was drawn while nothing was produced."""
    if energy.value is None or energy.value <= 0:
        return nothing("%", idle.inputs, NO_READINGS)
    return share_of(idle, energy.value, "E")


def share_of(figure: Figure, whole: float, name: str) -> Figure:
    """Return what percentage of `whole`, which is called `name`, a figure is."""
    if figure.value is None:
        return figure.model_copy(update={"unit": "%"})
    formula = f"{figure.formula} / {name}"
    return figure.model_copy(update={"value": 100 * figure.value / whole, "unit": "%", "formula": formula})


def power_factor(active: Profile, reactive: Profile, inputs: Sequence[str]) -> Figure:
    """Return the mean power factor of active (kWh) and reactive (kvarh) energy."""
    value = mean_power_factor(active.total, reactive.total) if reactive.covered.any() else None
    if value is None:
        return nothing("", inputs, NO_REACTIVE)
    completeness = min(active.completeness, reactive.completeness)
    return Figure(value=value, unit="", completeness=completeness, inputs=list(inputs), formula="E / √(E² + Q²)")


def idle_part(profile: Profile, idle_s: NDArray[np.float64]) -> Profile:
    """Return the part of a profile in which nothing is produced."""
    share = idle_s / INTERVAL_S
    return Profile(profile.start_s, profile.energy * share, profile.covered * share, float(idle_s.sum()))


def standby_load(profile: Profile, idle_s: NDArray[np.float64], carrier: Carrier, inputs: Sequence[str]) -> Figure:
    """Return the mean load while nothing is produced, over the intervals that are idle throughout and covered."""
    found = loads(profile)[idle_s >= INTERVAL_S - 1]
    found = found[~np.isnan(found)]
    if not len(found):
        return nothing(carrier.rate, inputs, NO_STATES)
    return Figure(
        value=float(found.mean()),
        unit=carrier.rate,
        completeness=profile.completeness,
        inputs=[*inputs, "states"],
        formula="mean load(not producing)",
    )


def emission(profile: Profile, factors: NDArray[np.float64], unit: str, inputs: Sequence[str]) -> Figure:
    """Return what the energy stands for: each interval's by the factor of its day, NaN where there is none."""
    if not profile.covered.any() and not profile.energy.any():
        return nothing(unit, inputs, NO_READINGS)
    known = ~np.isnan(factors)
    if not known.any():
        return nothing(unit, inputs, NO_FACTOR)
    return Figure(
        value=float((profile.energy[known] * factors[known]).sum()),
        unit=unit,
        completeness=profile.completeness * float(known.mean()),
        inputs=list(inputs),
        formula="Σ E(t) · f(t)",
    )


def added(figures: Mapping[str, Figure], unit: str) -> Figure:
    """Return the sum of figures of one unit, without those that have no value."""
    valued = [figure for figure in figures.values() if figure.value is not None]
    if not valued:
        lacking = next(iter(figures.values()), None)
        return nothing(unit, [], Text(lacking.why_en, lacking.why_zh) if lacking else NO_READINGS)
    return Figure(
        value=sum(figure.value or 0.0 for figure in valued),
        unit=unit,
        completeness=sum(figure.completeness for figure in valued) / len(figures),
        inputs=sorted({name for figure in valued for name in figure.inputs}),
        formula="Σ",
    )


def nothing(unit: str, inputs: Sequence[str], why: Text) -> Figure:
    """Return a figure that has no value, and why."""
    return Figure(
        value=None, unit=unit, completeness=0.0, inputs=list(inputs), formula="", why_en=why.en, why_zh=why.zh
    )
