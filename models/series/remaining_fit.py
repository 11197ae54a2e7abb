"""From runs to failure to a released model of remaining life: network, interval by units left out, limits, graph, parity gate."""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from models.card import Card, FitCard
from models.errors import InputError
from models.graph import OPSET
from models.release import Release
from models.series.cards import gap_of, gate, limit_card, recipe_card, tensor_cards
from models.series.histories import Histories
from models.series.recipe import RemainingRecipe, check
from models.series.remaining import EDGES, Doubles, Layers, Remaining, said, shares, smoothed
from models.series.remaining_export import remaining_model, signature
from models.session import open_session

LEAST_FAILURES = 10
"""Of fewer units no interval of 80 % holds: each side needs nine."""

FOLDS, NETWORKS, HIDDEN = 5, 3, (24, 12)
EPOCHS, BATCH, RATE, DECAY = 20, 256, 3e-3, 1e-3
CAP_SHARE = 0.6
"""Without a cap in the recipe it is this share of the median life."""
PARITY_ROWS = 300


def fit(histories: Histories, recipe: RemainingRecipe) -> Release:
    """Return the model of the kind of machine whose runs to failure are given.

    Raises InputError where there are too few failures, saying how many are missing, or if the graph does not compute what
    `remaining` defines.
    """
    check(recipe, recipe.name)
    if (missing := LEAST_FAILURES - histories.units) > 0:
        raise InputError(
            "no_rows",
            f"there are {histories.units} runs to failure, at least {LEAST_FAILURES} are needed: {missing} are missing;"
            " until then watch the machine's health (--kind health)",
            f"只有 {histories.units} 次运行至失效的记录，至少需要 {LEAST_FAILURES} 次，还缺 {missing} 次；此前请使用健康监测(--kind health)",
        )
    varies = np.nanstd(histories.values, axis=0) > 1e-9 * np.maximum(np.abs(np.nanmean(histories.values, axis=0)), 1)
    sensors = tuple(name for name, kept in zip(histories.sensors, varies, strict=True) if kept)
    if not sensors:
        raise InputError("sensors", "no sensor ever changes", "所有传感器的值都不变化")
    values = histories.values[:, varies].astype(np.float32).astype(np.float64)
    histories = histories._replace(sensors=sensors, values=values)
    model, averages, outside = fitted(histories, recipe)
    far = histories.remaining > (recipe.horizon or 0.25 * model.cap)
    healthy = 1 - outside[far] / model.cap
    review, reject = (
        limit_card(healthy, rate, recipe.margin, histories.units) for rate in (recipe.review_rate, recipe.reject_rate)
    )
    onnx = remaining_model(recipe.name, model, review.value, reject.value)
    parity = gate(parity_gap(onnx, model, histories.values[:PARITY_ROWS], averages[:PARITY_ROWS], histories.unit))
    slope, offset = np.polyfit(histories.age, np.minimum(histories.remaining, model.cap), 1)
    found = {
        "cap": model.cap,
        "horizon": recipe.horizon or 0.25 * model.cap,
        "mean_remaining": float(np.minimum(histories.remaining, model.cap).mean()),
        "age_slope": float(slope),
        "age_offset": float(offset),
    }
    learnt = FitCard(
        family="remaining-life",
        samples=len(histories.values),
        groups=histories.units,
        data=sha256(histories.unit.astype("<i8").tobytes() + histories.values.astype("<f8").tobytes()).hexdigest(),
        recipe=recipe_card(recipe, found),
        parity=parity,
        parity_samples=min(PARITY_ROWS, len(averages)),
    )
    inputs, outputs = signature(len(sensors))
    card = Card(
        name=recipe.name,
        version=recipe.version,
        task="health",
        opset=OPSET,
        input=tensor_cards(inputs),
        output=tensor_cards(outputs),
        fit=learnt,
        review=review,
        reject=reject,
        sensors=list(sensors),
    )
    return Release(card, onnx)


def fitted(histories: Histories, recipe: RemainingRecipe) -> tuple[Remaining, Doubles, Doubles]:
    """Return the model, the averages of all rows, and the cycles that networks say which have not learnt from the row's unit."""
    units = np.arange(histories.units)
    cap = recipe.cap or CAP_SHARE * float(np.median([histories.age[histories.unit == one].max() for one in units]))
    # As the graph holds them: a speed of 2388.1 that varies by 0.07 is left by single precision only if both subtract the same.
    mean = np.nanmean(histories.values, axis=0).astype(np.float32).astype(np.float64)
    spread = np.nanstd(histories.values, axis=0)
    steps = (1 - 2 ** (-1 / recipe.half_life), 1 - 2 ** (-1 / recipe.slow_half_life))
    blank = Remaining(mean, spread, steps, (), cap, np.zeros(len(EDGES) + 1), np.zeros(len(EDGES) + 1))
    averages = smoothed(blank, histories.values, histories.unit)
    truth = np.minimum(histories.remaining, cap)
    outside = np.empty(len(truth))
    for fold in range(FOLDS):
        held = histories.unit % FOLDS == fold
        outside[held] = cap * shares(network(averages[~held], truth[~held] / cap), averages[held])
    low, high = offsets(outside, truth, histories.unit, cap, 1 - recipe.coverage)
    return blank._replace(layers=network(averages, truth / cap), low=low, high=high), averages, outside


def offsets(
    cycles: Doubles, truth: Doubles, unit: npt.NDArray[np.int64], cap: float, missed: float
) -> tuple[Doubles, Doubles]:
    """Return by place between EDGES what to add to `cycles` so that `missed` / 2 of the truth lie below, and as many above.

    What is said is always within.
    """
    place = np.searchsorted(EDGES, cycles / cap, side="left")
    low, high = np.empty(len(EDGES) + 1), np.empty(len(EDGES) + 1)
    for at in range(len(EDGES) + 1):
        here = place == at
        if len(np.unique(unit[here])) < LEAST_FAILURES:
            here[:] = True
        apart = truth[here] - cycles[here]
        low[at] = -max(_by_units(-apart, unit[here], missed / 2), 0)
        high[at] = max(_by_units(apart, unit[here], missed / 2), 0)
    return low, high


def _by_units(apart: Doubles, unit: npt.NDArray[np.int64], missed: float) -> float:
    """Return what a row of a further unit exceeds with probability `missed`; each unit counts once, whatever its rows."""
    _, number, rows = np.unique(unit, return_inverse=True, return_counts=True)
    order = np.argsort(apart)
    share = np.cumsum(1 / rows[number][order]) / len(rows)
    wanted = (1 - missed) * (1 + 1 / len(rows)) - 1e-9
    return float(apart[order][min(int(np.searchsorted(share, wanted)), len(order) - 1)])


def network(averages: Doubles, share: Doubles) -> Layers:
    """Return the mean of NETWORKS small networks, each begun elsewhere, as one.

    They learn from level (quick average) and trend (quick less slow), standardised; that is folded into the first layer.
    """
    count = averages.shape[1] // 2
    turn = np.block([[np.eye(count), np.eye(count)], [np.zeros((count, count)), -np.eye(count)]])
    seen = averages @ turn
    middle, spread = seen.mean(axis=0), np.maximum(seen.std(axis=0), 1e-9)
    rows = (seen - middle) / spread
    found = [_trained(rows, share, np.random.default_rng(seed)) for seed in range(NETWORKS)]
    layers = []
    for depth in range(len(HIDDEN) + 1):
        weights = [one[depth][0] for one in found]
        offsets_ = [one[depth][1] for one in found]
        if depth == 0:
            joined = np.hstack(weights)
            layers.append((turn @ (joined / spread[:, None]), np.concatenate(offsets_) - (middle / spread) @ joined))
        elif depth < len(HIDDEN):
            layers.append((_diagonal(weights), np.concatenate(offsets_)))
        else:
            layers.append((np.vstack(weights) / NETWORKS, np.mean(offsets_, axis=0)))
    return tuple(layers)


def _diagonal(blocks: list[Doubles]) -> Doubles:
    high, wide = blocks[0].shape
    whole = np.zeros((high * len(blocks), wide * len(blocks)))
    for number, block in enumerate(blocks):
        whole[number * high : (number + 1) * high, number * wide : (number + 1) * wide] = block
    return whole


def _trained(rows: Doubles, share: Doubles, noise: np.random.Generator) -> Layers:
    """Return a network by Adam (Kingma and Ba, 2015) on the squared error, its rate falling as a half cosine."""
    sizes = [rows.shape[1], *HIDDEN, 1]
    known = [noise.normal(size=size) / np.sqrt(size[0]) for size in pairwise(sizes)]
    known += [np.zeros(size) for size in sizes[1:]]
    depth = len(sizes) - 1
    first, second = ([np.zeros_like(each) for each in known] for _ in range(2))
    batch = min(BATCH, len(rows))
    steps = EPOCHS * (len(rows) // batch)
    for step in range(1, steps + 1):
        if (step - 1) % (len(rows) // batch) == 0:
            order = noise.permutation(len(rows))
        picked, order = order[:batch], order[batch:]
        at = [rows[picked]]
        for weights, offset in zip(known[: depth - 1], known[depth:-1], strict=True):
            at.append(np.tanh(at[-1] @ weights + offset))
        error = 2 * (at[-1] @ known[depth - 1] + known[-1] - share[picked, None]) / batch
        slopes = [np.empty(0)] * (2 * depth)
        for layer in range(depth - 1, -1, -1):
            slopes[layer] = at[layer].T @ error + DECAY * known[layer]
            slopes[depth + layer] = error.sum(axis=0)
            error = (error @ known[layer].T) * (1 - at[layer] ** 2) if layer else error
        rate = RATE * (1 + np.cos(np.pi * step / steps)) / 2
        for each, slope, one, two in zip(known, slopes, first, second, strict=True):
            np.add(one, 0.1 * (slope - one), out=one)
            np.add(two, 0.001 * (slope**2 - two), out=two)
            np.subtract(each, rate * (one / (1 - 0.9**step)) / (np.sqrt(two / (1 - 0.999**step)) + 1e-8), out=each)
    return tuple(zip(known[:depth], known[depth:], strict=True))


def parity_gap(onnx: bytes, model: Remaining, values: Doubles, averages: Doubles, unit: npt.NDArray[np.int64]) -> float:
    """Return the largest difference between the graph, fed its own state, and numpy, cycles in shares of the cap."""
    session = open_session(onnx)
    wanted, pairs, state = said(model, averages), [], np.empty(0, np.float32)
    for row, reading in enumerate(values):
        if row == 0 or unit[row] != unit[row - 1]:
            state = np.full(averages.shape[1], np.nan, np.float32)
        cycles, state = session.run(["remaining", "next_state"], {"values": reading.astype(np.float32), "state": state})
        pairs += [(cycles / model.cap, wanted[row] / model.cap), (state, averages[row])]
    return gap_of(pairs)
