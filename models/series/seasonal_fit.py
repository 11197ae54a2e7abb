"""From a value by the clock to a released seasonal model: how quickly it learns, limits, graph, parity gate."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import numpy as np

from models.card import Card, FitCard
from models.conformal import conformal_quantile
from models.errors import InputError
from models.graph import OPSET
from models.release import Release
from models.series.cards import gap_of, gate, limit_card, recipe_card, tensor_cards
from models.series.clock import AHEAD_S, SECONDS, Clocked
from models.series.recipe import SeasonalRecipe, check
from models.series.seasonal import Doubles, Seasonal, Slots, State, first_state, follow
from models.series.seasonal_export import seasonal_model, signature
from models.series.table import fingerprint
from models.session import open_session

FAMILY = "seasonal-smoothing"
MIN_SEASONS, FIRST_SEASONS = 6, 3
"""So much time is needed, in seasons; and how much of it the first profile is made of."""

MOST_PLACES = 2016
"""A week of five-minute values: what a graph may carry."""

STEPS, CLIPS = (0.1, 0.2, 0.3, 0.45), (0.5, 1.0, 2.0, 5.0)
LEVEL_DAYS = (0.0, 3.0, 1.0)
"""Ways that are tried: steps of the profile, their clip in spreads, and in how many days the level follows (0: never)."""

BLUR_S = 1800
"""Places so near share their first spread."""

COVERAGE = 0.8
"""Share of the sums ahead that their interval is meant to hold."""

PARITY_ROWS = 300


def fit(clocked: Clocked, recipe: SeasonalRecipe) -> Release:
    """Return the model of the value in `clocked`; raises InputError if there is too little, or the graph is wrong."""
    check(recipe, recipe.name)
    values, slots = clocked.table.values[:, 0], clocked.slots(recipe.season)
    day, places = SECONDS["day"] // clocked.period, SECONDS[recipe.season] // clocked.period
    if places > MOST_PLACES:
        raise InputError(
            "period",
            f"a {recipe.season} of steps of {clocked.period} s has more than {MOST_PLACES} places; give longer steps",
            f"以 {clocked.period} 秒为间隔，一个季节周期超过 {MOST_PLACES} 个位置；请使用更长的间隔",
        )
    if len(values) < MIN_SEASONS * places or np.isnan(values).mean() > 0.5:
        raise InputError(
            "no_rows",
            f"{len(values)} rows are too few or too patchy: at least {MIN_SEASONS} times {places} are needed, half of them read",
            f"{len(values)} 行太少或缺失过多：至少需要 {MIN_SEASONS}×{places} 行，且一半以上有读数",
        )
    model = chosen(values, slots, places, day)
    first = FIRST_SEASONS * places
    scores, state = np.empty(len(values) - first), model.start
    ahead: dict[str, list[float]] = {name: [] for name in AHEAD_S}
    for row, (expected, usual_, state) in enumerate(follow(model, values[first:], slots[first:]), first):
        scores[row - first] = abs(values[row] - expected) / usual_
        for name, seconds in AHEAD_S.items():
            coming = slice(row + 1, row + 1 + max(seconds // clocked.period, 1))
            apart = float(values[coming].sum() - (state.profile[slots[coming]] + state.level).sum())
            if coming.stop <= len(values) and not np.isnan(apart):
                ahead[name].append(abs(apart) / float(state.spread[slots[coming]].sum()))
    widths = {
        f"{name}_width": conformal_quantile(np.array(apart), 1 - COVERAGE)[0] for name, apart in ahead.items() if apart
    }
    usual = scores[~np.isnan(scores)]
    days = len(usual) // day
    review, reject = (limit_card(usual, rate, recipe.margin, days) for rate in (recipe.review_rate, recipe.reject_rate))
    model = model._replace(start=state)
    onnx = seasonal_model(recipe.name, model, review.value, reject.value)
    parity = gate(parity_gap(onnx, model, *_parity_rows(values, slots)))
    inputs, outputs = signature(places)
    until = clocked.begin + timedelta(seconds=clocked.period * len(values))
    found: dict[str, str | float] = {
        "until": until.isoformat(timespec="seconds"),
        "period": clocked.period,
        "step": float(model.step),
        "clip": float(model.clip),
    }
    return Release(
        Card(
            name=recipe.name,
            version=recipe.version,
            task="seasonal",
            opset=OPSET,
            input=tensor_cards(inputs),
            output=tensor_cards(outputs),
            fit=FitCard(
                family=FAMILY,
                samples=len(usual),
                groups=days,
                data=fingerprint(clocked.table),
                recipe=recipe_card(recipe, widths | found | {"level_step": float(model.level_step)}),
                parity=parity,
                parity_samples=PARITY_ROWS,
            ),
            review=review,
            reject=reject,
            sensors=list(clocked.table.sensors),
        ),
        onnx,
    )


def chosen(values: Doubles, slots: Slots, places: int, day: int) -> Seasonal:
    """Return the model whose forecasts a day ahead have the least mean absolute error, after its first seasons.

    All ways are followed at once. A place's profile is as it was a season before, so that only the level is a day old.
    """
    first = FIRST_SEASONS * places
    ways = np.array(list(product(STEPS, CLIPS, [1 - 2 ** (-1 / (n * day)) if n else 0.0 for n in LEVEL_DAYS])))
    start = first_state(values[:first], slots[:first], places, max(BLUR_S * day // SECONDS["day"], 0))
    many = State(*(np.repeat(part[None], len(ways), axis=0) for part in start))
    floor = float(start.spread.min()) * 1e-3
    error, levels = np.zeros(len(ways)), [many.level] * day
    tried = Seasonal(many, step=ways[:, 0], level_step=ways[:, 2], clip=ways[:, 1], floor=floor)
    for value, (expected, _, state) in zip(values[first:], follow(tried, values[first:], slots[first:]), strict=True):
        at_hand, current = levels.pop(0), levels[-1]
        if not np.isnan(value):
            error += np.abs(value - (expected - current + at_hand))
        levels.append(state.level)
    step, clip, level_step = ways[int(np.argmin(error))]
    return Seasonal(start, step=step, level_step=level_step, clip=clip, floor=floor)


def parity_gap(onnx: bytes, model: Seasonal, values: Doubles, slots: Slots) -> float:
    """Return the largest difference between the graph, fed its own state, and numpy over `values`, in shares of the profile."""
    session = open_session(onnx)
    known = [np.full(np.size(part), np.nan, np.float32) for part in model.start]
    pairs, size = [], max(float(np.abs(model.start.profile).max()), 1e-12)
    for value, slot, (expected, _, state) in zip(values, slots, follow(model, values, slots), strict=True):
        feed = dict(zip(("profile", "spread", "level"), known, strict=True))
        here = {"values": np.array([value], np.float32), "slot": np.array([slot], np.float32)}
        found, ahead, *known = session.run(
            ["expected", "ahead", "next_profile", "next_spread", "next_level"], here | feed
        )
        pairs += [(found / size, expected / size), (ahead / size, (state.profile + state.level) / size)]
        pairs += [(known[1] / size, state.spread / size)]
    return gap_of(pairs)


def _parity_rows(values: Doubles, slots: Slots) -> tuple[Doubles, Slots]:
    """Return the last readings, some of them missing and some far too high."""
    tested = values[-PARITY_ROWS:].astype(np.float32).astype(np.float64)
    tested[5::17] = np.nan
    tested[7::23] *= 10
    return tested, slots[-PARITY_ROWS:]
