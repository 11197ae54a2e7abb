"""The wall: of each supplier one figure a column, from what its grant shows and nothing else. Pure.

What is not asked for, not granted, or not there yet says so; it is never a zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import fmean
from uuid import UUID

from cloud.core.rows import Row
from cloud.sharing.service import KPI, WIDTH, Item, Terms
from cloud.suppliers.conformance import EVERY, conforms
from cloud.suppliers.risk import Sign, availability_sign, quality_sign, risk_of, silence_sign
from cloud.suppliers.schemas import Cell, ItemConformance, Programme, Supplier, WallRow

_OEE = (f"{KPI}oee",)
_QUALITY = (f"{KPI}first_pass_yield", f"{KPI}quality_rate")
_AVAILABILITY = (f"{KPI}availability", f"{KPI}oee")
_PER_PART, _ENERGY, _PARTS = "energy_per_part", "energy_active_import", "part_count_good"
_WEEK = 7

Days = Mapping[str, Sequence[Row]]
"""The scores of a supplier by entry, oldest first."""


def wall_row(
    supplier: Supplier, terms: Terms | None, programme: Programme, days: Days, *, now: datetime, maturity: int | None
) -> WallRow:
    """Return a supplier's row. `terms` are of its live grant; None while it shows nothing."""
    asked = {item.entry: item for item in programme.terms.items}
    items = {one.entry: one for one in supplier.items} if terms else {}
    quality = _of(_QUALITY, asked, terms, items)
    signs: dict[Sign, float | None] = {
        "availability": _falling(_AVAILABILITY, asked, terms, days),
        "quality": _quality_sign(quality.entry, days) if quality.state == "shown" else None,
        "silence": _silence(items.values(), asked, programme, now) if terms else None,
    }
    return WallRow(
        supplier_id=supplier.id,
        name=supplier.name,
        stage=supplier.stage,
        grant_id=supplier.grant_id if terms else None,
        conforming=sum(conforms(one, asked[one.entry]) for one in items.values() if one.entry in asked),
        asked=len(asked),
        oee=_of(_OEE, asked, terms, items),
        quality=quality,
        energy=_energy(asked, terms, items),
        maturity=_maturity(programme, terms, maturity),
        risk=risk_of(signs),
    )


def _of(
    entries: Sequence[str], asked: Mapping[str, Item], terms: Terms | None, items: Mapping[str, ItemConformance]
) -> Cell:
    """Return the figure of the first of `entries` that is shown; else why there is none."""
    wanted = [entry for entry in entries if entry in asked]
    granted = [entry for entry in wanted if _shown(entry, terms)]
    for entry in granted:
        found = items.get(entry)
        if found is not None and found.mean is not None:
            return Cell(state="shown", entry=entry, value=found.mean)
    if granted:
        return Cell(state="nothing_yet", entry=granted[0])
    return Cell(state="not_granted" if wanted else "not_asked")


def _shown(entry: str, terms: Terms | None) -> bool:
    """Return whether an entry is granted as a figure: whether it passed is none."""
    item = terms.item(entry) if terms else None
    return item is not None and item.granularity != "pass_fail"


def _energy(asked: Mapping[str, Item], terms: Terms | None, items: Mapping[str, ItemConformance]) -> Cell:
    """Return kWh per part as the machines say it; else of those that show energy and good parts alike; else kWh a day."""
    direct = _of((_PER_PART,), asked, terms, items)
    if direct.state == "shown":
        return direct
    used, made = _of((_ENERGY,), asked, terms, items), _of((_PARTS,), asked, terms, items)
    if terms and used.state == "shown":
        energy, parts = terms.item(_ENERGY), terms.item(_PARTS)
        width = WIDTH.get(energy.granularity) if energy else None
        if energy is None or width is None:
            return Cell(state="readings", entry=_ENERGY)
        alike = made.state == "shown" and parts is not None and parts.granularity == energy.granularity
        if alike and (per_part := _per_part(items[_ENERGY].totals, items[_PARTS].totals)) is not None:
            return Cell(state="shown", entry=_PER_PART, value=per_part)
        a_day = (items[_ENERGY].mean or 0.0) * items[_ENERGY].machines * (timedelta(days=1) / width)
        return Cell(state="shown", entry=_ENERGY, value=round(a_day, 3))
    states = {direct.state, used.state}
    return Cell(state=next(state for state in ("nothing_yet", "not_granted", "not_asked") if state in states))


def _per_part(energy: Mapping[UUID, float], parts: Mapping[UUID, float]) -> float | None:
    """Return the energy by part of the machines that have both: a meter of the whole plant belongs to no part."""
    both = energy.keys() & parts.keys()
    made = sum(parts[machine] for machine in both)
    return round(sum(energy[machine] for machine in both) / made, 6) if made > 0 else None


def _maturity(programme: Programme, terms: Terms | None, level: int | None) -> Cell:
    if not programme.terms.maturity:
        return Cell(state="not_asked")
    if terms is None or not terms.maturity:
        return Cell(state="not_granted")
    return Cell(state="nothing_yet" if level is None else "shown", value=level)


def _falling(entries: Sequence[str], asked: Mapping[str, Item], terms: Terms | None, days: Days) -> float | None:
    for entry in entries:
        if entry in asked and _shown(entry, terms) and (own := days.get(entry)):
            return availability_sign(own[-1]["mean"], _week_before(own))
    return None


def _quality_sign(entry: str | None, days: Days) -> float | None:
    own = days.get(entry or "")
    return quality_sign(own[-1]["mean"], _week_before(own), drifting=own[-1]["drifting"]) if own else None


def _week_before(own: Sequence[Row]) -> float | None:
    before = own[-1 - _WEEK : -1]
    return fmean(each["mean"] for each in before) if before else None


def _silence(
    items: Iterable[ItemConformance], asked: Mapping[str, Item], programme: Programme, now: datetime
) -> float | None:
    """Return the sign of the newest of all values; None where nothing has ever been seen, which is no silence."""
    ends = [one.newest + _width(asked[one.entry]) for one in items if one.newest is not None and one.entry in asked]
    if not ends:
        return None
    late = now - max(ends) - timedelta(minutes=programme.age_minutes) - EVERY[programme.cadence]
    return silence_sign(late / timedelta(hours=1))


def _width(item: Item) -> timedelta:
    """Return how long after its time a value is told: a bucket by its begin, once it is over."""
    if item.granularity == "shift":
        return timedelta(hours=24)
    return 2 * WIDTH[item.granularity] if item.granularity in WIDTH else timedelta(hours=1)
