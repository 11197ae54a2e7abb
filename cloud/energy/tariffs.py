"""What energy costs: time-of-use terms laid over a profile; pure functions.

Times of use follow the site's wall clock. A day that the clocks change is as long as it is: an hour that is skipped costs
nothing, one that comes twice costs twice. Terms of a later version hold from the midnight of their first day on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from cloud.energy.metering import INTERVAL_S, INTERVALS
from cloud.energy.profiles import Profile
from cloud.energy.tariff_terms import BANDS, DayKind, TariffTerms

_HOUR_S = 3600
_QUARTER_S = 900
_EPOCH = date(1970, 1, 1)


class Version(NamedTuple):
    """Terms and the day they hold from, on the site's calendar."""

    valid_from: date
    terms: TariffTerms


class Prices(NamedTuple):
    """The terms over consecutive intervals; arrays of one length.

    Attributes:
        band: index into `BANDS`, -1 where no version holds.
        energy: price per unit of energy, NaN where no version holds.
        surcharge: funds and surcharges per unit on top, NaN likewise.
        cheapest: the lowest `energy` price of the same day.
    """

    band: NDArray[np.int8]
    energy: NDArray[np.float64]
    surcharge: NDArray[np.float64]
    cheapest: NDArray[np.float64]


class BandCost(NamedTuple):
    """Energy of one band and what it costs, without surcharges."""

    band: str
    energy: float
    cost: float


class Cost(NamedTuple):
    """What the energy of a profile costs, without charges of the month.

    Attributes:
        bands: those that occur, in the order of `BANDS`.
        surcharge: funds and surcharges on all of it.
        unpriced: energy at times no terms hold for; it is in no cost.
        valley: what the energy of `bands` would cost if each day's were drawn at that day's lowest price.
    """

    bands: list[BandCost]
    surcharge: float
    unpriced: float
    valley: float

    @property
    def energy_charge(self) -> float:
        """Cost of the energy by band, without surcharges."""
        return sum(band.cost for band in self.bands)

    @property
    def total(self) -> float:
        """All of it."""
        return self.energy_charge + self.surcharge


def price(versions: Sequence[Version], zone: ZoneInfo, start_s: int, count: int) -> Prices:
    """Return the terms over `count` intervals from `start_s` on."""
    ordered = sorted(versions, key=lambda version: version.valid_from)
    band = np.full(count, -1, np.int8)
    energy, surcharge, cheapest = (np.full(count, np.nan) for _ in range(3))
    wall = local_s(start_s + INTERVAL_S * np.arange(count, dtype=np.int64), zone)
    days, slots = wall // 86_400, (wall % 86_400) // INTERVAL_S
    for day in np.unique(days).tolist():
        on = _EPOCH + timedelta(days=day)
        terms = next((version.terms for version in reversed(ordered) if version.valid_from <= on), None)
        if terms is None:
            continue
        at = days == day
        table = band_table(terms, on)
        prices = np.array([terms.prices.get(name, np.nan) for name in BANDS])
        band[at] = table[slots[at]]
        energy[at] = prices[table[slots[at]]]
        surcharge[at] = terms.surcharge
        cheapest[at] = prices[np.unique(table)].min()
    return Prices(band, energy, surcharge, cheapest)


def band_table(terms: TariffTerms, day: date) -> NDArray[np.int8]:
    """Return the band of each of the 288 intervals of a day's wall clock, as an index into `BANDS`."""
    kind = day_kind(terms, day)
    schedule = next(each for each in terms.schedules if day.month in each.months and each.days in ("all", kind))
    table = np.zeros(INTERVALS, np.int8)
    for begin in schedule.bands:
        table[begin.minute * 60 // INTERVAL_S :] = BANDS.index(begin.band)
    return table


def day_kind(terms: TariffTerms, day: date) -> DayKind:
    """Return what `day` is: a holiday, a day of rest (Saturday and Sunday that are not worked), or a working day."""
    if day in terms.holidays:
        return "holidays"
    if day.weekday() >= 5 and day not in terms.working_days:
        return "restdays"
    return "workdays"


def cost(profile: Profile, prices: Prices) -> Cost:
    """Return what the energy of `profile` costs; `prices` are those of its intervals."""
    known = prices.band >= 0
    bands = []
    for index, name in enumerate(BANDS):
        at = prices.band == index
        if at.any():
            amount = profile.energy[at]
            bands.append(BandCost(name, float(amount.sum()), float((amount * prices.energy[at]).sum())))
    amount = profile.energy[known]
    return Cost(
        bands=bands,
        surcharge=float((amount * prices.surcharge[known]).sum()),
        unpriced=float(profile.energy[~known].sum()),
        valley=float((amount * prices.cheapest[known]).sum()),
    )


def within(prices: Prices, begin: int, count: int) -> Prices:
    """Return the terms of `count` intervals from the one at `begin` on."""
    at = slice(begin, begin + count)
    return Prices(prices.band[at], prices.energy[at], prices.surcharge[at], prices.cheapest[at])


def local_s(time_s: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int64]:
    """Return instants as the zone's wall clock, both in seconds since 1970.

    Offsets change at quarters of an hour, and never twice in a day.
    """
    days, of_day = np.unique(time_s // 86_400, return_inverse=True)
    edges = [(_offset_s(day * 86_400, zone), _offset_s(day * 86_400 + 86_399, zone)) for day in days.tolist()]
    offsets = np.array([begin for begin, _ in edges], np.int64)[of_day]
    for index, (begin, end) in enumerate(edges):
        if begin != end:
            at = of_day == index
            quarters = (time_s[at] // _QUARTER_S).tolist()
            offsets[at] = [_offset_s(quarter * _QUARTER_S, zone) for quarter in quarters]
    return time_s + offsets


def _offset_s(time_s: int, zone: ZoneInfo) -> int:
    at = datetime.fromtimestamp(time_s, UTC).astimezone(zone)
    return int((at.utcoffset() or timedelta()).total_seconds())
