"""Which offer a task goes to, and why not to the others: filters in a fixed order, then the least own cost. Pure.

Of every offer and every full hour it could begin at within the deadline:

    time     T = queue + start + rtt + 8 (in + out) / bandwidth + work / speed + k (detect + start + tau + restore)
             k: failures that 95 % of runs stay below, Poisson with mean rate x run; tau = sqrt(2 C / rate) between checkpoints,
             C what writing one takes (Young, CACM 17(9), 1974), not shorter than a failure takes to be noticed
    cost     the prices of the hours it runs in x run, data out, fee; minus what is prepaid, minus what a voucher pays of the rest
    carbon   kW x run x PUE x the grid's factor; by market without the green share
    J        own money + weight of carbon x kg

The least J wins, then the greener, then the nearer. Only work that is verified is billed, so what failures cost in time costs
no money. All offers are reckoned at once, as arrays: offers by hours of begin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cloud.billing.service import CHINA, by_hour, programmes
from cloud.compute.task import Offer, Task
from protocols.text import Text

DETECT_S = 10.0
RESTORE_S = 20.0
LONGEST_WAIT_H = 72
"""How far ahead a begin is looked at."""
_HOUR = 3600.0
_DAY = 24

Floats = NDArray[np.float64]


class Rejected(NamedTuple):
    """An offer that will not do: which filter it failed at, in their order, and why."""

    code: str
    stage: int
    reason: Text


class Plan(NamedTuple):
    """An offer that would do, begun at `begin`. Times in seconds, money in yuan.

    Attributes:
        time_s: from now until 95 % of runs are done; `run_s` is what is billed.
        cost: before all; `prepaid` the price of the `prepaid_s` of the run that are paid already, `subsidy` what the voucher of
            `programme` pays of the rest, `own` what is left.
        carbon_kg: by location; `market_kg` by market.
        objective: what was minimised.
    """

    code: str
    provider: str
    begin: datetime
    time_s: float
    run_s: float
    cost: float
    subsidy: float
    programme: str
    own: float
    energy_kwh: float
    carbon_kg: float
    market_kg: float
    objective: float
    prepaid: float = 0.0
    prepaid_s: float = 0.0


class Decision(NamedTuple):
    """The plans, best first, and the offers that will not do; `nearest` is what of those lacks least, if none will."""

    plans: list[Plan]
    rejected: list[Rejected]
    nearest: Rejected | None


def decide(task: Task, offers: Sequence[Offer], now: datetime) -> Decision:
    """Return what every offer would come to, and which will not do and why."""
    rejected: list[Rejected] = []
    left: list[Offer] = []
    for offer in offers:
        if found := _unfit(task, offer):
            rejected.append(Rejected(offer.code, *found))
        else:
            left.append(offer)
    plans: list[Plan] = []
    if left:
        plans, late = _reckoned(task, left, now)
        rejected += late
    order = {one.code: place for place, one in enumerate(offers)}
    rejected.sort(key=lambda one: order[one.code])
    nearest = None
    if not plans:
        nearest = max(rejected, key=lambda one: one.stage, default=None)
    return Decision(plans, rejected, nearest)


def _unfit(task: Task, offer: Offer) -> tuple[int, Text] | None:
    """Return the first filter that an offer fails whatever it costs, and why."""
    needs, limits = task.needs, task.limits
    leaves = not offer.own and (limits.privacy == "stays" or (limits.privacy == "derived" and not limits.derived_input))
    filters = (
        (not offer.alive, Text("it does not answer", "无应答")),
        (offer.paused, Text("it takes no new jobs now", "暂不接受新作业")),
        (leaves, Text("the data may not leave the site", "数据不得离开本厂")),
        (
            bool(limits.regions) and not offer.own and offer.region not in limits.regions,
            Text(f"it is in {offer.region}", f"位于 {offer.region}，不在允许的区域"),
        ),
        (
            bool(needs.chips) and offer.chip not in needs.chips,
            Text(f"its chip is {offer.chip}", f"芯片为 {offer.chip}"),
        ),
        (
            not offer.proven,
            Text("no probe has shown that its chip does the work", "未经探测证明该芯片可执行此任务"),
        ),
        (
            task.kind == "python" and not offer.walls,
            Text("it has not proven that it can wall foreign code off", "未能证明可隔离运行外来代码"),
        ),
        (needs.network and not offer.network, Text("it gives foreign code no network", "不向外来代码开放网络")),
        (
            offer.cores < needs.cores or offer.memory_gb < needs.memory_gb,
            Text(
                f"it has {offer.cores:g} cores and {offer.memory_gb:g} GB",
                f"仅有 {offer.cores:g} 核、{offer.memory_gb:g} GB 内存",
            ),
        ),
    )
    return next(((stage, why) for stage, (fails, why) in enumerate(filters) if fails), None)


_PRICE_STAGE, _TIME_STAGE = 9, 10


def _reckoned(task: Task, offers: Sequence[Offer], now: datetime) -> tuple[list[Plan], list[Rejected]]:
    def of(name: str) -> Floats:
        return np.array([getattr(offer, name) for offer in offers], dtype=float)

    limits, needs = task.limits, task.needs
    slack_s = (limits.deadline - now).total_seconds()
    run_s = needs.work_s / of("speed")
    rate = of("failures_per_hour") / _HOUR
    with np.errstate(divide="ignore", over="ignore"):
        tau = np.maximum(np.sqrt(2 * needs.checkpoint_s / rate), DETECT_S)
    again_s = DETECT_S + of("start_s") + np.minimum(tau, run_s) + RESTORE_S
    own = np.array([offer.own for offer in offers])
    bits = 8 * (needs.input_bytes + needs.output_bytes)
    travel_s = np.where(own, 0.0, of("rtt_ms") / 1000 + bits / np.maximum(of("mbps") * 1e6, 1))
    time_s = of("queue_s") + of("start_s") + travel_s + run_s + _failures(rate * run_s) * again_s

    # Begins: now, and every full hour after it that leaves enough time to somebody.
    first = _HOUR - (now.timestamp() % _HOUR)
    waits = np.array([0.0, *(first + _HOUR * np.arange(LONGEST_WAIT_H))])
    waits = waits[: max(1, int(np.searchsorted(waits, slack_s - time_s.min(), side="right")))]
    until_run = (of("queue_s") + of("start_s") + travel_s)[:, None] + waits
    energy = of("kw") * run_s / _HOUR
    fee = _paid(offers, now, until_run, run_s)
    cost = fee + (of("egress_yuan_per_gb") * needs.output_bytes / 1e9 + of("fee"))[:, None]
    prepaid_s = np.minimum(of("prepaid_s"), run_s)
    prepaid = fee * (prepaid_s / run_s)[:, None]
    subsidy, programme = _subsidy(task, offers, fee - prepaid)
    carbon = energy * of("pue") * of("grid_kg_per_kwh")
    objective = cost - prepaid - subsidy + task.weights.carbon * carbon[:, None]
    total_s = time_s[:, None] + waits
    fits = (total_s <= slack_s) & (cost - prepaid <= limits.budget)
    # Rounded: who would save a billionth by waiting begins now.
    best = np.where(fits, objective.round(6), np.inf).argmin(axis=1)

    plans, rejected = [], []
    for place, offer in enumerate(offers):
        at = int(best[place])
        if not fits[place, at]:
            least = float((cost - prepaid)[place].min())
            rejected.append(_too_much(offer.code, least, float(time_s[place]), task, slack_s))
            continue
        plans.append(
            Plan(
                code=offer.code,
                provider=offer.provider,
                begin=now + timedelta(seconds=float(waits[at])),
                time_s=float(total_s[place, at]),
                run_s=float(run_s[place]),
                cost=float(cost[place, at]),
                subsidy=float(subsidy[place, at]),
                programme=programme[place],
                own=float(cost[place, at] - prepaid[place, at] - subsidy[place, at]),
                energy_kwh=float(energy[place]),
                carbon_kg=float(carbon[place]),
                market_kg=float(carbon[place] * (1 - offer.green_share)),
                objective=float(objective[place, at]),
                prepaid=float(prepaid[place, at]),
                prepaid_s=float(prepaid_s[place]),
            )
        )
    distance = {offer.code: offer.rtt_ms for offer in offers}
    plans.sort(key=lambda plan: (round(plan.objective, 6), plan.carbon_kg, distance[plan.code], plan.code))
    return plans, rejected


def _failures(mean: Floats) -> Floats:
    """Return how many failures 95 % of runs stay at or below: the quantile of a Poisson of `mean`, of large ones its normal form."""
    found = np.ceil(mean + 1.645 * np.sqrt(mean))
    for place in np.flatnonzero(mean < 50):
        term = total = math.exp(-mean[place])
        count = 0
        while total < 0.95:
            count += 1
            term *= mean[place] / count
            total += term
        found[place] = count
    return found


def _paid(offers: Sequence[Offer], now: datetime, until_run: Floats, run_s: Floats) -> Floats:
    """Return what running costs by the prices of the hours it runs in, by offer and begin."""
    prices = np.array([by_hour(offer.prices) for offer in offers])
    midnight = now.astimezone(CHINA)
    since = midnight.hour * _HOUR + midnight.minute * 60 + midnight.second
    begins = (since + until_run) / _HOUR
    ends = begins + run_s[:, None] / _HOUR
    whole = np.concatenate([np.zeros((len(offers), 1)), prices.cumsum(axis=1)], axis=1)

    def until(hours: Floats) -> Floats:
        days, rest = np.divmod(hours, _DAY)
        hour = np.minimum(rest.astype(int), _DAY - 1)
        rows = np.arange(len(offers))[:, None]
        cost: Floats = days * whole[:, -1:] + whole[rows, hour] + (rest - hour) * prices[rows, hour]
        return cost

    return np.asarray(until(ends) - until(begins))


def _subsidy(task: Task, offers: Sequence[Offer], fee: Floats) -> tuple[Floats, list[str]]:
    """Return what the best programme open to the applicant pays of each fee, and its code."""
    found, names = np.zeros_like(fee), [""] * len(offers)
    for code, used in task.applicant.programmes.items():
        programme = programmes()[code]
        shares = np.array(
            [
                0.0
                if offer.own or (programme.banned_affiliates and offer.provider in task.applicant.affiliates)
                else programme.share(offer.chip_origin, task.applicant.kind, task.kind)
                for offer in offers
            ]
        )
        grant = np.minimum(shares[:, None] * fee, programme.room(used, task.applicant.left.get(code, math.inf)))
        better = grant.max(axis=1) > found.max(axis=1)
        found[better] = grant[better]
        names = [code if each else name for each, name in zip(better, names, strict=True)]
    return found, names


def _too_much(code: str, cost: float, time_s: float, task: Task, slack_s: float) -> Rejected:
    budget = task.limits.budget
    if cost > budget:
        why = Text(
            f"it costs {cost:,.2f} yuan, {cost - budget:,.2f} more than the budget",
            f"需 {cost:,.2f} 元，超出预算 {cost - budget:,.2f} 元",
        )
        return Rejected(code, _PRICE_STAGE, why)
    if time_s > slack_s:
        over = max(time_s - slack_s, 0) / 60
        why = Text(f"it takes {over:,.0f} minutes more than there are", f"比期限多 {over:,.0f} 分钟")
        return Rejected(code, _TIME_STAGE, why)
    why = Text("where it is in time it costs too much", "能按期完成的时段超出预算")
    return Rejected(code, _TIME_STAGE, why)
