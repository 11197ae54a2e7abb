"""How long it takes to decide between 1,000 offers, each at every full hour of three days, with vouchers."""

from __future__ import annotations

import random
import statistics
import time
from datetime import UTC, datetime, timedelta

from cloud.billing.service import Price
from cloud.compute.decide import decide
from cloud.compute.task import ApplicantOfVouchers, Limits, Needs, Offer, Task
from tests.benchmarks.comparison import Comparison

OFFERS, ASKED, WARM_UP = 1000, 300, 5
LIMIT_MS = 50.0


def offers(dice: random.Random) -> list[Offer]:
    return [
        Offer(
            code=f"91.1.1/{number}",
            provider=f"provider-{number % 40}",
            region="CN-JS",
            chip="any",
            chip_origin=dice.choice(("domestic", "other")),
            speed=dice.uniform(0.5, 20),
            prices=(Price(8, dice.uniform(5, 50)), Price(22, dice.uniform(1, 20))),
            queue_s=dice.uniform(0, 600),
            failures_per_hour=dice.uniform(0, 2),
            kw=dice.uniform(0.1, 2),
            pue=dice.uniform(1.1, 1.6),
        )
        for number in range(OFFERS)
    ]


def measure() -> Comparison:
    given, now = offers(random.Random(7)), datetime(2026, 11, 27, 2, tzinfo=UTC)
    task = Task(
        name="fit",
        kind="fit",
        needs=Needs(work_s=3600, input_bytes=1e8),
        limits=Limits(deadline=now + timedelta(hours=80), budget=500),
        applicant=ApplicantOfVouchers(programmes={"beijing": 0, "hangzhou": 0}),
    )
    taken = []
    for turn in range(-WARM_UP, ASKED):
        began = time.perf_counter()
        assert decide(task, given, now).plans
        if turn >= 0:
            taken.append((time.perf_counter() - began) * 1000)
    p99 = statistics.quantiles(taken, n=100, method="inclusive")[-1]
    return Comparison(
        "decision", "the limit, p99, for 1,000 offers", "ms p99", round(p99, 1), LIMIT_MS, round(LIMIT_MS / p99, 3)
    )
