"""How far a supplier has come, and what is missing. Pure: the values come from reads over its grant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from cloud.dictionary.service import entry_of
from cloud.sharing.schemas import SharedMachine, SharedRead
from cloud.sharing.service import WIDTH, Item, Terms, coarser
from cloud.suppliers.schemas import Cadence, ItemConformance, Programme, Stage

SPAN = timedelta(days=1)
LONG_SPAN = timedelta(days=3)
"""Over how long conformance is measured; of days and shifts longer, so that some are over."""


EVERY: Mapping[Cadence, timedelta] = {
    "continuous": timedelta(0),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=31),
}
"""How long a cadence lasts."""


def span_of(item: Item, cadence: Cadence) -> timedelta:
    """Return over how long an entry is looked at: long enough that values have come."""
    return max(LONG_SPAN if item.granularity in ("day", "shift") else SPAN, 2 * EVERY[cadence])


def judged(asked: Item, terms: Terms, machines: Sequence[SharedMachine], read: SharedRead | None) -> ItemConformance:
    """Return how an entry that is asked for is shown: `read` is what the grant gave of it, None if it shows it not."""
    granted = terms.item(asked.entry)
    machines = [one for one in machines if asked.covers(one.equipment_class)]
    having: dict[UUID, int] = {}
    shares: dict[UUID, list[float]] = {}
    times: dict[UUID, list[datetime]] = {}
    few = outside = 0
    numbers: list[float] = []
    totals: dict[UUID, float] = {}
    entry = entry_of(asked.entry)
    for series in read.series if read else ():
        usable = [one for one in series.values if one.value is not None]
        having[series.equipment_id] = having.get(series.equipment_id, 0) + len(usable)
        shares.setdefault(series.equipment_id, []).extend(
            one.completeness for one in series.values if one.completeness is not None
        )
        times.setdefault(series.equipment_id, []).extend(one.time for one in usable)
        few += sum(one.few for one in series.values)
        own = [float(one.value) for one in usable if isinstance(one.value, int | float)]
        numbers += own
        totals[series.equipment_id] = totals.get(series.equipment_id, 0.0) + sum(own)
        if entry:
            outside += sum(_beyond(one.value, entry.typical_min, entry.typical_max) for one in usable)
    newest = [max(each) for each in times.values() if each]
    return ItemConformance(
        entry=asked.entry,
        granted=granted is not None and asked.granularity in coarser(granted) and granted.covers_all_of(asked),
        applies=not asked.classes or bool(machines),
        by_hand=sum(one.by_hand and having.get(one.equipment_id, 0) > 0 for one in machines),
        few=few,
        machines=sum(count > 0 for count in having.values()),
        missing=[machine.name for machine in machines if not having.get(machine.equipment_id)],
        values=sum(having.values()),
        completeness=_completeness(asked, shares) if any(shares.values()) else (1.0 if newest else None),
        newest=(min if asked.classes else max)(newest, default=None),
        outside=outside,
        mean=round(sum(numbers) / len(numbers), 6) if numbers else None,
        totals={machine: round(total, 6) for machine, total in totals.items() if having[machine]},
    )


def _completeness(asked: Item, shares: Mapping[UUID, Sequence[float]]) -> float:
    """Return the mean of all shares; where machines are asked for by class, that of the machine that has the least."""
    parts = (
        [each for each in shares.values() if each]
        if asked.classes
        else [[one for each in shares.values() for one in each]]
    )
    return round(min(sum(part) / len(part) for part in parts), 4)


def _beyond(value: object, low: float | None, high: float | None) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return (low is not None and value < low) or (high is not None and value > high)


def conforms(item: ItemConformance, asked: Item) -> bool:
    """Return whether the entry is granted, there, and plausible: at one machine, or at every one of the classes it names."""
    there = not item.missing if asked.classes else item.machines > 0
    return not item.applies or (item.granted and there and item.machines > 0 and not item.outside)


def fresh(item: ItemConformance, asked: Item, programme: Programme, now: datetime) -> bool:
    """Return whether the entry is as complete and as new as the programme demands."""
    if not item.applies:
        return True
    if item.newest is None or (item.completeness or 0) < programme.completeness:
        return False
    width = timedelta(hours=24) if asked.granularity == "shift" else WIDTH.get(asked.granularity, timedelta(hours=1))
    late = (
        timedelta(0) if asked.granularity == "raw" else 2 * width
    )  # a bucket is told by its begin, and shown once over
    return now - item.newest <= timedelta(minutes=programme.age_minutes) + EVERY[programme.cadence] + late


def stage_of(row: Mapping[str, Any], programme: Programme, now: datetime) -> tuple[Stage, datetime]:
    """Return how far a supplier has come and since when, from what is stored of it."""
    if row["live"]:
        stage = _stage_of_data(
            [ItemConformance.model_validate(one) for one in row["conformance"] or []], programme, now
        )
        return stage, row["made_at"] if stage == "agreed" else row["checked_at"]
    reached: list[tuple[bool, Stage, datetime]] = [
        (row["answer"] in ("declined", "withdrawn"), "declined", row["answered_at"]),
        (row["answer"] == "accepted", "ended", row["ended_at"] or row["until"]),
        (row["registered_at"] is not None, "registered", row["registered_at"]),
        (row["opened_at"] is not None, "opened", row["opened_at"]),
        (True, "invited", row["invited_at"]),
    ]
    return next((stage, since) for true, stage, since in reached if true)


def _stage_of_data(items: Sequence[ItemConformance], programme: Programme, now: datetime) -> Stage:
    asked = {item.entry: item for item in programme.terms.items}
    found = [(one, asked[one.entry]) for one in items if one.entry in asked]
    if not any(one.machines or one.missing for one in items):
        return "agreed"
    if len(found) < len(asked) or not all(conforms(one, item) for one, item in found):
        return "device"
    return "live" if all(fresh(one, item, programme, now) for one, item in found) else "conformant"
