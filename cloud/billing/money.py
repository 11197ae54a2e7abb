"""Prices of the hours of a day and what a time costs by them, in whole micro-yuan. Pure.

Prices are by the hour of the day in China (UTC+8). A time is cut where the price changes; each piece is rounded half up, so
that whoever has the seconds and the prices comes to the same amount.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

YUAN = 1_000_000
"""Micro-yuan."""
CHINA = timezone(timedelta(hours=8))
_DAY = 24
_HOUR_MS = 3_600_000


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A price in yuan per hour that holds from one hour of the day (UTC+8) up to another."""

    from_hour: Annotated[int, Meta(ge=0, le=23)]
    yuan_per_hour: Annotated[float, Meta(ge=0, le=1e6)]


class Slice(NamedTuple):
    """A time at one price: [start, end), its milliseconds, micro-yuan per hour, micro-yuan."""

    start: datetime
    end: datetime
    ms: int
    price: int
    cost: int


def micro(yuan: float) -> int:
    """Return an amount of yuan in micro-yuan."""
    return round(yuan * YUAN)


def by_hour(prices: Sequence[Price]) -> list[float]:
    """Return the price of each hour of the day; before the first one holds what held last on the day before."""
    ordered = sorted(prices, key=lambda one: one.from_hour)
    found, holds = [], ordered[-1].yuan_per_hour
    changes = {one.from_hour: one.yuan_per_hour for one in ordered}
    for hour in range(_DAY):
        holds = changes.get(hour, holds)
        found.append(holds)
    return found


def cost_of(ms: int, price: int) -> int:
    """Return what `ms` milliseconds cost at `price` micro-yuan per hour, rounded half up."""
    return (2 * ms * price + _HOUR_MS) // (2 * _HOUR_MS)


def slices(start: datetime, ms: int, prices: Sequence[Price]) -> Iterator[Slice]:
    """Yield the time of `ms` milliseconds from `start` on, cut where the price changes."""
    hours = by_hour(prices)
    begin, left = start, ms
    while left > 0:
        price = micro(hours[begin.astimezone(CHINA).hour])
        end = _next_hour(begin)
        while micro(hours[end.astimezone(CHINA).hour]) == price and (end - begin) / timedelta(milliseconds=1) < left:
            end += timedelta(hours=1)
        # Whole milliseconds, so that the pieces add up to the time; what is cut off belongs to the next one.
        piece = min(left, max(1, int((end - begin) / timedelta(milliseconds=1))))
        until = begin + timedelta(milliseconds=piece)
        yield Slice(begin, until, piece, price, cost_of(piece, price))
        begin, left = until, left - piece


def split(total: int, shares: Sequence[int]) -> list[int]:
    """Return whole parts of `total` in the ratio of `shares`, which add up to it exactly; zeros where all shares are."""
    whole, given, parts = sum(shares), 0, []
    seen = 0
    for share in shares:
        seen += share
        until = total * seen // whole if whole else 0
        parts.append(until - given)
        given = until
    return parts


def this_month() -> str:
    """Return the month it is in China, as 2026-11."""
    return datetime.now(CHINA).strftime("%Y-%m")


def _next_hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
