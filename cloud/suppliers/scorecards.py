"""What suppliers' values come to, compared: pure.

Who shows its values shows them to the company it granted them to; a comparison tells besides how it stands among others. That
needs `K` companies, so that nobody is known from it alone (k-anonymity; Sweeney 2002), and it must stay so when comparisons
are compared (differencing). So there is one comparison a week and entry, whatever programmes a company has:

- it is of a week that is over, Monday to Sunday in UTC, whose scores are written down and change no more, and no score is
  in two comparisons: who joins or leaves is in the next one and cannot be told from it by subtraction;
- it is over all suppliers of all programmes, each company once, so that two programmes that share suppliers are not two
  comparisons of the same values;
- who has agreed to be compared by name is not in it: `K` others must remain once those are known;
- it tells the quarter, never bounds, ranks or values.

Those compared by name are ranked among themselves. What each day was agreed is kept with that day's score.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from statistics import fmean, quantiles, stdev
from typing import NamedTuple

from cloud.core.rows import Row
from cloud.notify.schemas import Notice
from cloud.sharing.service import name_of
from cloud.suppliers.schemas import ItemConformance, Place, Programme

K = 5
"""A benchmark is of at least so many companies."""
FEWEST_DAYS = 7
_SIGMAS = 3.0
_LEAST_SPREAD = 0.01
"""Of the mean: a value that hardly ever moved is not drifting because it moved a hair's breadth."""


class Standing(NamedTuple):
    """How a company stands for an entry: its quarter among those not named, or its rank among those named."""

    place: Place | None = None
    rank: int | None = None
    of: int | None = None


def drifts(before: Sequence[float], today: float) -> bool:
    """Return whether `today` is beyond three standard deviations of the days before (Shewhart); False where those are too few."""
    if len(before) < FEWEST_DAYS:
        return False
    centre = fmean(before)
    spread = max(stdev(before), _LEAST_SPREAD * abs(centre))
    return abs(today - centre) > _SIGMAS * spread


def places(means: Mapping[str, float]) -> Mapping[str, Place]:
    """Return for each of the companies whether its value is in the highest quarter, the lowest or between; none of fewer than `K`."""
    if len(means) < K:
        return {}
    low, _, high = quantiles(means.values(), n=4, method="inclusive")
    return {one: "highest" if mean > high else "lowest" if mean < low else "middle" for one, mean in means.items()}


def last_week(today: date) -> tuple[date, date]:
    """Return the first and the last day of the last week that is over."""
    monday = today - timedelta(days=today.weekday())
    return monday - timedelta(days=7), monday - timedelta(days=1)


def standings(scores: Iterable[Row], today: date) -> dict[tuple[str, str, bool], Standing]:
    """Return how companies stand, from the scores of all suppliers of all programmes.

    By credit code, entry, and whether the score is a share of what passed, which compares with its like alone.
    """
    first, last = last_week(today)
    means: dict[tuple[str, bool], dict[str, list[float]]] = {}
    unnamed: set[tuple[str, str, bool]] = set()
    for row in scores:
        if first <= row["day"] <= last:
            what, company = (row["entry"], row["passes"]), row["credit_code"]
            means.setdefault(what, {}).setdefault(company, []).append(row["mean"])
            if not row["named"]:
                unnamed.add((company, *what))
    found: dict[tuple[str, str, bool], Standing] = {}
    for what, by_company in means.items():
        week = {company: fmean(values) for company, values in by_company.items()}
        quarter = places({company: mean for company, mean in week.items() if (company, *what) in unnamed})
        # By name only who agreed to it all week and in every programme.
        ranked = sorted((company for company in week if (company, *what) not in unnamed), key=lambda one: -week[one])
        found |= {(company, *what): Standing(place=place) for company, place in quarter.items()}
        if len(ranked) > 1:
            found |= {(company, *what): Standing(rank=rank, of=len(ranked)) for rank, company in enumerate(ranked, 1)}
    return found


def drift_notice(name: str, found: ItemConformance, before: list[float], programme: Programme) -> Notice:
    """Return what the company is told of a supplier called `name` whose figure leaves the run of the days `before`."""
    entry = name_of(found.entry)
    return Notice(
        title_en=f"{name}: {entry.en} drifts",
        title_zh=f"{name}：{entry.zh}出现漂移",
        body_en=f"{found.mean:.4g} today, {fmean(before):.4g} on the {len(before)} days before.",
        body_zh=f"今日 {found.mean:.4g}，此前 {len(before)} 天平均 {fmean(before):.4g}。",
        link=f"/programmes/{programme.id}",
        tone="warn",
        data={"kind": "supplier.drift", "entry": found.entry, "mean": found.mean},
    )
