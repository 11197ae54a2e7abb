"""What a grant lets be seen, and the rules that no read gets around. Pure: no database, no clock.

A value is shown only if the grant names its entry and its machine - and where it names classes of equipment, the machine's class -
at the grant's granularity or one that is coarser by construction, within [since, until). What is made of many readings cannot be
taken apart again:

- buckets are those of the clock, never of the reader's choosing, so that no two overlap;
- a bucket is shown when it is over, never while it grows;
- of a bucket one figure is shown, without extremes, counts or sums beside it;
- a mean is of at least `FEWEST` readings, because that of one is the reading;
- what is inside limits is told against the limits of the grant, which the reader cannot move.

Events of things (cloud/traceability) are no values: `trace` says what of them is shown, within the same span, of the whole company.
Nor is the level of maturity (cloud/assessment): `maturity` says whether the company's is shown, that alone and as it is now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal, NamedTuple
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from cloud.core.instants import Instant
from cloud.dictionary.service import entry_of, unit_symbol
from cloud.production.service import KPIS
from protocols.dictionary.entries import equipment_classes
from protocols.text import Text

Granularity = Literal["raw", "minute", "hour", "day", "shift", "pass_fail"]
"""Readings as they came; one figure a minute, hour or day; a KPI per shift; or only whether it kept to limits."""

TraceDepth = Literal["products", "full"]
"""What of an event is shown: what came of what and when, or besides that kind, step, place and disposition."""

Compare = Literal["named"]
"""How a company appears among others where values are compared: by its name, or - unless it has agreed - never alone."""

WIDTH = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
"""How long a bucket lasts; a day with a change of the clock an hour more or less."""
FEWEST = 3
KPI = "kpi:"
"""What the names of KPIs of production begin with; all others are codes of the dictionary."""

_COARSER: dict[Granularity, frozenset[Granularity]] = {
    "raw": frozenset({"raw", "minute", "hour", "day", "pass_fail"}),
    "minute": frozenset({"minute", "hour", "day", "pass_fail"}),
    "hour": frozenset({"hour", "day", "pass_fail"}),
    "day": frozenset({"day"}),
    "shift": frozenset({"shift", "pass_fail"}),
    "pass_fail": frozenset({"pass_fail"}),
}
"""What follows from each; passing is told of hours, or of shifts for a KPI."""
_TRACES: tuple[TraceDepth | None, ...] = (None, "products", "full")
"""Least first; each shows what the one before does."""


def granularities(entry: str) -> list[Granularity]:
    """Return how an entry may be shown, finest first; pass_fail wants limits besides."""
    if entry.startswith(KPI):
        return ["shift", "pass_fail"]
    found = entry_of(entry)
    if found is None or found.data_type == "STRING":
        return ["raw"]
    without = {"pass_fail"} if found.aggregation == "duration_by_state" else set()
    return [each for each in ("raw", "minute", "hour", "day", "pass_fail") if each not in without]


def less_trace(most: TraceDepth | None) -> list[TraceDepth | None]:
    """Return what may be shown of events where `most` may be, `most` first and nothing at all (None) last."""
    return list(reversed(_TRACES[: _TRACES.index(most) + 1]))


def coarser(item: Item) -> list[Granularity]:
    """Return what follows from what an item shows, itself first; without telling against new limits."""
    possible = granularities(item.entry)
    return [
        each
        for each in possible
        if each in _COARSER[item.granularity] and (each != "pass_fail" or item.granularity == "pass_fail")
    ]


def name_of(entry: str) -> Text:
    """Return what an entry is called."""
    if entry.startswith(KPI):
        return KPIS[entry.removeprefix(KPI)].name
    found = entry_of(entry)
    return found.name if found else Text(entry, entry)


def unit_of(entry: str) -> str:
    """Return the symbol of an entry's unit, "" for a bare number."""
    if entry.startswith(KPI):
        return unit_symbol(KPIS[entry.removeprefix(KPI)].unit)
    found = entry_of(entry)
    return unit_symbol(found.unit) if found else ""


def _known(entry: str) -> str:
    if entry.removeprefix(KPI) in KPIS if entry.startswith(KPI) else entry_of(entry):
        return entry
    raise ValueError(
        f"'{entry}' is neither an entry of the dictionary nor a KPI as kpi:oee"
        f" / “{entry}”既不是数据字典条目，也不是 kpi:oee 这样的指标"
    )


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _classes(codes: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := [code for code in codes if code not in equipment_classes()]:
        raise ValueError(f"'{unknown[0]}' is no equipment class / “{unknown[0]}”不是设备类别")
    return tuple(sorted(set(codes)))


class Item(_Closed):
    """One entry, and how finely it is shown. `low` and `high` are what "passed" means, in the entry's unit.

    `classes` are the equipment classes at whose machines; none: at all machines.
    """

    entry: Annotated[str, Field(max_length=200), AfterValidator(_known)] = Field(
        description="Code of the dictionary, or of a KPI as kpi:oee."
    )
    granularity: Granularity
    low: float | None = Field(None, allow_inf_nan=False)
    high: float | None = Field(None, allow_inf_nan=False)
    classes: Annotated[tuple[str, ...], Field(max_length=50), AfterValidator(_classes)] = ()

    @model_validator(mode="after")
    def _fits(self) -> Item:
        kpi, limited = self.entry.startswith(KPI), (self.low, self.high) != (None, None)
        if kpi != (self.granularity == "shift") and self.granularity != "pass_fail":
            raise ValueError(
                "a KPI is shown by shift or pass_fail, nothing else is / 指标只能按班次或合格与否共享，其他数据则不能按班次"
            )
        if limited != (self.granularity == "pass_fail"):
            raise ValueError(
                "pass_fail needs low or high, and nothing else has them / 合格与否需给出上限或下限，其他粒度则不需要"
            )
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("low is above high / 下限高于上限")
        found = None if kpi else entry_of(self.entry)
        if (
            found
            and self.granularity == "pass_fail"
            and (found.data_type == "STRING" or found.aggregation == "duration_by_state")
        ):
            raise ValueError("pass_fail is for measured numbers / 合格与否仅适用于测量值")
        if found and found.data_type == "STRING" and self.granularity != "raw":
            raise ValueError("a text has no mean: share it raw, or not / 文本无法汇总，只能原样共享")
        return self

    def covers(self, equipment_class: str) -> bool:
        """Return whether machines of the class are among those it is shown of."""
        return not self.classes or equipment_class in self.classes

    def covers_all_of(self, other: Item) -> bool:
        """Return whether every machine that `other` covers is covered."""
        return not self.classes or (bool(other.classes) and set(other.classes) <= set(self.classes))

    def passes(self, value: float) -> bool:
        """Return whether `value` keeps to the limits, ends included."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


Items = Annotated[tuple[Item, ...], Field(max_length=100)]


def _makes_sense(items: Sequence[Item], trace: TraceDepth | None, *, maturity: bool) -> None:
    names = [item.entry for item in items]
    if len(names) != len(set(names)):
        raise ValueError("an entry is named twice / 有条目重复")
    if not items and trace is None and not maturity:
        raise ValueError(
            "nothing is shown: name an entry, trace or maturity / 未共享任何内容：请给出条目、trace 或 maturity"
        )


class Ask(_Closed):
    """What a company asks to see: values of `items`, or events of things, or both.

    Attributes:
        history_days: how far before the acceptance.
        days: how long from the acceptance on.
        trace: what of events of things; None: nothing.
        maturity: the company's level of maturity, without what it rests on.
        compare: "named": it may be compared with others by its name; None: only where it cannot be told apart.
    """

    items: Items
    trace: TraceDepth | None = None
    maturity: bool = False
    compare: Compare | None = None
    history_days: int = Field(0, ge=0, le=400)
    days: int = Field(365, ge=1, le=1830)

    @model_validator(mode="after")
    def _make_sense(self) -> Ask:
        _makes_sense(self.items, self.trace, maturity=self.maturity)
        return self

    def item(self, entry: str) -> Item | None:
        """Return how `entry` is asked for; None if it is not."""
        return next((item for item in self.items if item.entry == entry), None)

    def granted(self, now: datetime, machines: tuple[UUID, ...] | None) -> Terms:
        """Return the terms of a grant of all that is asked, made at `now`, for `machines` or all."""
        return Terms(
            items=self.items,
            trace=self.trace,
            maturity=self.maturity,
            compare=self.compare,
            machines=machines,
            since=now - timedelta(days=self.history_days),
            until=now + timedelta(days=self.days),
        )


class Terms(_Closed):
    """What a grant shows: values of `items` at `machines` - None: all, those to come too - from `since` on, until `until`.

    Of events in the same span it shows what `trace` says, wherever they happened; with `maturity` the company's level, too.
    """

    items: Items
    trace: TraceDepth | None = None
    maturity: bool = False
    compare: Compare | None = None
    machines: tuple[UUID, ...] | None = Field(None, max_length=1000)
    since: Instant
    until: Instant

    @model_validator(mode="after")
    def _make_sense(self) -> Terms:
        _makes_sense(self.items, self.trace, maturity=self.maturity)
        if self.since >= self.until:
            raise ValueError("since must be before until / since 必须早于 until")
        return self

    def item(self, entry: str) -> Item | None:
        """Return how `entry` is shown; None if it is not."""
        return next((item for item in self.items if item.entry == entry), None)

    def passes(self, entry: str) -> bool:
        """Return whether of `entry` only that is shown, whether it passes."""
        item = self.item(entry)
        return item is not None and item.granularity == "pass_fail"

    def shows(self, machine: UUID) -> bool:
        """Return whether the machine is among those shown."""
        return self.machines is None or machine in self.machines

    def window(self, start: datetime, end: datetime, now: datetime) -> tuple[datetime, datetime]:
        """Return what of [start, end) may be shown at `now`; empty if its begin is not before its end."""
        return max(start, self.since), min(end, self.until, now)


def within(inner: Terms, outer: Terms) -> bool:
    """Return whether everything `inner` shows is shown by `outer`, or follows from it."""
    machines = outer.machines is None or (inner.machines is not None and set(inner.machines) <= set(outer.machines))
    return (
        machines
        and inner.since >= outer.since
        and inner.until <= outer.until
        and inner.trace in less_trace(outer.trace)
        and inner.maturity <= outer.maturity
        and inner.compare in (None, outer.compare)
        and all(_follows(item, outer.item(item.entry)) for item in inner.items)
    )


def _follows(item: Item, wider: Item | None) -> bool:
    if wider is None or item.granularity not in _COARSER[wider.granularity] or not wider.covers_all_of(item):
        return False
    return wider.granularity != "pass_fail" or (item.low, item.high) == (wider.low, wider.high)


class Bucket(NamedTuple):
    """What is made of the readings of [start, end): `value` is a number, or seconds per state; `n` usable readings."""

    start: datetime
    end: datetime
    value: float | dict[str, float] | None
    n: int
    completeness: float | None


class Shown(NamedTuple):
    """One value as the reader gets it. `few`: withheld because too few readings stand behind it."""

    time: datetime
    value: float | str | bool | dict[str, float] | None
    completeness: float | None = None
    few: bool = False


def shown(item: Item, buckets: Iterable[Bucket], window: tuple[datetime, datetime], *, mean: bool) -> Iterator[Shown]:
    """Yield what the reader may see of `buckets`: those wholly within `window`, one figure each.

    `mean`: their value is a mean of `n` readings; a sum, a last value or a growth tells no single reading by being of few.
    """
    start, end = window
    for bucket in buckets:
        if bucket.start < start or bucket.end > end:
            continue
        few = mean and bucket.value is not None and bucket.n < FEWEST
        value: float | bool | dict[str, float] | None = None if few else bucket.value
        if item.granularity == "pass_fail" and isinstance(value, int | float):
            value = item.passes(value)
        yield Shown(bucket.start, value, bucket.completeness, few)
