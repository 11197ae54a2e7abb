"""Prepaid hours of computing, in whole numbers: what money buys, what of lots is taken, what a conversion leaves. Pure.

Hours are unit-milliseconds: of a core for "cpu", of a card for every other chip. A lot is hours and the money that was paid for
them; whoever takes a part of the hours takes that part of the money, rounded down, and who takes the last takes all.

    bought     hours = money x 3,600,000 / rate                                     (rounded down, as all here)
    converted  worth = min(money, hours x rate of theirs); fee = worth x fee, rounded up
               hours = (worth - fee) / rate of the others; money - fee goes along

So by one table no way round gains an hour or a millionth of a yuan: what is converted is never worth more than what was paid for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

HOUR_MS = 3_600_000
_MILLION = 1_000_000


class Lot(NamedTuple):
    """What is free of a lot: unit-milliseconds and micro-yuan; `gone`: hours that have left it for good."""

    id: UUID
    chip: str
    hours: int
    money: int
    expires_at: datetime
    back_ppm: int
    operator_id: UUID
    gone: int = 0


class Part(NamedTuple):
    """A part of a lot."""

    lot_id: UUID
    chip: str
    hours: int
    money: int

    def of(self, hours: int) -> Part:
        """Return the part of this part with so many of its hours."""
        return self._replace(hours=hours, money=portion(self.money, self.hours, hours))


class Converted(NamedTuple):
    """What a conversion leaves: hours of the other chip, the money behind them, and what was paid for it."""

    hours: int
    money: int
    fee: int


def units_of(chip: str, cores: int) -> int:
    """Return how many hours of the bank an hour at an offer takes: one a core, or one of the card."""
    return cores if chip == "cpu" else 1


def bought(money: int, rate: int) -> int:
    """Return the hours that `money` micro-yuan buy at `rate` micro-yuan an hour."""
    return money * HOUR_MS // rate


def portion(money: int, hours: int, part: int) -> int:
    """Return the money behind `part` of the `hours`."""
    return money * part // hours


def taken(lots: Iterable[Lot], hours: int) -> list[Part]:
    """Return parts with `hours` together, of the lots that expire first, or with all there are."""
    parts = []
    for lot in sorted(lots, key=lambda one: (one.expires_at, one.id)):
        if (part := min(hours, lot.hours)) > 0:
            parts.append(Part(lot.id, lot.chip, part, portion(lot.money, lot.hours, part)))
            hours -= part
    return parts


def converted(part: Part, rate: int, rate_to: int, fee_ppm: int) -> Converted:
    """Return what a part becomes at the rates of both chips, micro-yuan an hour."""
    worth = min(part.money, part.hours * rate // HOUR_MS)
    fee = -(-worth * fee_ppm // _MILLION)
    return Converted(bought(worth - fee, rate_to), part.money - fee, fee)
