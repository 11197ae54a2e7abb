"""Jobs with deadlines on seeded traces of interruptions, placed by the product's own decision: what is saved, how many are late.

Six interruptible offers at 30 to 50 % of the price of one that is safe; each works for an exponential time and is away for
another. A job is decided for when it comes and again, for what is left of it, at every break, as `Placing.place_again` does. A
break costs what was done since the last checkpoint (Young's interval) and the notice; only verified time is paid. Printed: the
saving against always taking the safe offer, in percent; the bar is 25 % with 99 % of deadlines kept.
"""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta

import msgspec

from cloud.billing.service import Price
from cloud.compute.decide import DETECT_S, RESTORE_S, decide
from cloud.compute.task import Limits, Needs, Offer, Task
from tests.benchmarks.comparison import Comparison

JOBS, OFFERS, LIMIT_PERCENT, KEPT = 400, 6, 25.0, 0.99
_HOUR, _SAFE_PRICE, _CHECKPOINT_S, _START_S = 3600.0, 10.0, 5.0, 30.0


class _Trace:
    """When an interruptible offer is there: alternating exponential times, from its own seed."""

    def __init__(self, seed: int, up_h: float, away_h: float) -> None:
        dice = random.Random(seed)
        self._ends: list[float] = []  # of working and of being away, by turns
        now = 0.0
        while now < 80 * _HOUR:
            for mean in (up_h, away_h):
                now += dice.expovariate(1 / (mean * _HOUR))
                self._ends.append(now)

    def state(self, at: float) -> tuple[bool, float]:
        """Return whether it is there at `at`, and until when that stays so."""
        place = next(place for place, end in enumerate(self._ends) if end > at)
        return place % 2 == 0, self._ends[place]


def measure() -> Comparison:
    dice = random.Random(3)
    paid = safe = 0.0
    kept = 0
    for number in range(JOBS):
        work_s = dice.uniform(1, 6) * _HOUR
        slack = dice.uniform(1.15, 3.0)
        offers, traces = _offers(dice, number)
        cost, took = _run(work_s, work_s * slack, offers, traces)
        paid, safe = paid + cost, safe + work_s / _HOUR * _SAFE_PRICE
        kept += took <= work_s * slack
    saved = 100 * (1 - paid / safe)
    what = f"the bar for the saving; {kept / JOBS:.1%} of deadlines kept, the bar is {KEPT:.0%}"
    return Comparison("interruptions", what, "% saved", round(saved, 1), LIMIT_PERCENT, round(saved / LIMIT_PERCENT, 3))


def _offers(dice: random.Random, number: int) -> tuple[list[Offer], dict[str, _Trace]]:
    given = {"region": "CN-JS", "chip": "cpu", "chip_origin": "other", "speed": 1.0, "start_s": _START_S}
    safe = Offer(code="safe", provider="p", prices=(Price(0, _SAFE_PRICE),), failures_per_hour=0.0, **given)
    offers, traces = [safe], {}
    for place in range(OFFERS):
        up_h, code = dice.uniform(1, 10), f"spot-{place}"
        price = Price(0, _SAFE_PRICE * dice.uniform(0.3, 0.5))
        offers.append(Offer(code=code, provider="p", prices=(price,), failures_per_hour=1 / up_h, **given))
        traces[code] = _Trace(1000 * number + place, up_h, 0.5)
    return offers, traces


def _run(work_s: float, deadline_s: float, offers: list[Offer], traces: dict[str, _Trace]) -> tuple[float, float]:
    """Return what a job cost and how long it took."""
    begin, now, left, cost = datetime(2026, 11, 27, tzinfo=UTC), 0.0, work_s, 0.0
    by_code = {offer.code: offer for offer in offers}
    while True:
        there = [
            msgspec.structs.replace(offer, alive=offer.code == "safe" or traces[offer.code].state(now)[0])
            for offer in offers
        ]
        task = Task(
            name="job",
            kind="fit",
            needs=Needs(work_s=left, checkpoint_s=_CHECKPOINT_S),
            limits=Limits(deadline=begin + timedelta(seconds=deadline_s), budget=1e9),
        )
        plans = decide(task, there, begin + timedelta(seconds=now)).plans
        code = plans[0].code if plans else "safe"
        price = by_code[code].prices[0].yuan_per_hour
        start = now + _START_S
        until = math.inf if code == "safe" else traces[code].state(now)[1]
        if start + left <= until:
            return cost + left / _HOUR * price, start + left
        interval = math.sqrt(2 * _CHECKPOINT_S * _HOUR / by_code[code].failures_per_hour)
        done = max(until - start, 0.0) // interval * interval
        cost, left, now = cost + done / _HOUR * price, left - done, until + DETECT_S + RESTORE_S
