"""From readings of a healthy machine to a released health model: averages, limits by held-out blocks, graph, parity gate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.card import Card, FitCard, LimitCard
from models.conformal import conformal_quantile
from models.errors import InputError
from models.graph import OPSET
from models.release import Release
from models.series.cards import gap_of, gate, limit_card, recipe_card, tensor_cards
from models.series.health import Doubles, Health, first_state, held_out, independent_after, learn, scores, smoothed
from models.series.health_export import health_model, signature
from models.series.recipe import HealthRecipe, VibrationRecipe, check
from models.series.spectrum import Spectrum, features, spectrum_of
from models.series.table import Table, fingerprint
from models.session import open_session

FAMILY = {"mahalanobis": "ewma-mahalanobis", "pca": "ewma-pca"}
MIN_HALF_LIVES = 10
"""So much healthy time is needed at the least."""

PARITY_ROWS = 200


def fit(table: Table, recipe: HealthRecipe) -> Release:
    """Return the model of the machine whose healthy readings are in `table`.

    Raises InputError if there are too few rows, if a sensor has no reading in one of the blocks, or if the graph does not
    compute what `health` defines.
    """
    return fit_scored(table, recipe)[0]


def fit_scored(table: Table, recipe: HealthRecipe) -> tuple[Release, Doubles]:
    """Return the same, and the score of each of its rows by what the other blocks taught."""
    return _released(table, recipe)


def fit_vibration(blocks: Doubles, recipe: VibrationRecipe) -> Release:
    """Return the model of the machine whose healthy vibration is in `blocks` (rows x samples), in the order of time.

    Its sensors are the blocks' features (`spectrum`). Raises InputError as `fit`.
    """
    check(recipe, recipe.name)
    spectrum = spectrum_of(recipe, blocks)
    table = Table(spectrum.names, np.array([features(spectrum, block) for block in blocks]), None)
    return _released(table, recipe, Vibration(spectrum, blocks))[0]


class Vibration(NamedTuple):
    """What the rows of a table were made of."""

    spectrum: Spectrum
    blocks: Doubles


def _released(table: Table, recipe: HealthRecipe, vibration: Vibration | None = None) -> tuple[Release, Doubles]:
    check(recipe, recipe.name)
    rows, sensors = table.values.shape
    needed = int(max(MIN_HALF_LIVES * recipe.half_life, 4 * recipe.blocks, 5 * sensors))
    if rows < needed:
        raise InputError(
            "no_rows",
            f"{rows} rows are too few: at least {needed} of healthy running are needed",
            f"只有 {rows} 行，太少：至少需要 {needed} 行健康运行数据",
        )
    blocks = np.array_split(np.arange(rows), recipe.blocks)
    for block in blocks:
        for sensor in np.flatnonzero(np.isnan(table.values[block]).all(axis=0)):
            name = table.sensors[sensor]
            raise InputError(
                "no_rows",
                f"sensor '{name}' has no reading in rows {block[0] + 1} to {block[-1] + 1}; leave it out or collect more",
                f"传感器“{name}”在第 {block[0] + 1} 至 {block[-1] + 1} 行没有读数；请去掉该列或补充数据",
            )
    model, (review, reject), healthy = fitted(table, recipe)
    onnx = health_model(recipe.name, model, review.value, reject.value, vibration.spectrum if vibration else None)
    if vibration:
        tested, given = table.values[:PARITY_ROWS], vibration.blocks[:PARITY_ROWS]
    else:
        given = tested = _parity_rows(table.values)
    parity = gate(parity_gap(onnx, model, tested, given))
    learnt = FitCard(
        family=("spectral-" if vibration else "") + FAMILY[recipe.way],
        samples=rows,
        groups=recipe.blocks,
        data=fingerprint(table),
        recipe=recipe_card(recipe),
        parity=parity,
        parity_samples=len(tested),
    )
    return Release(_card(recipe, table, learnt, (review, reject), given.shape[1]), onnx), healthy


def fitted(table: Table, recipe: HealthRecipe) -> tuple[Health, tuple[LimitCard, LimitCard], Doubles]:
    """Return the calibrated model of the healthy readings in `table`, its limits for review and for reject, and each row's
    score by what the other blocks taught.
    """
    values = table.values
    model = learn(values, recipe)
    blocks = np.array_split(np.arange(len(values)), recipe.blocks)
    far, furthest = held_out(model, smoothed(model, values), blocks, recipe)
    model = model._replace(
        far=conformal_quantile(far, recipe.reject_rate)[0], furthest=conformal_quantile(furthest, recipe.reject_rate)[0]
    )
    healthy = np.maximum(far / model.far, furthest / model.furthest)
    independent = int(len(values) / independent_after(recipe.half_life))
    review, reject = (
        limit_card(healthy, rate, recipe.margin, independent) for rate in (recipe.review_rate, recipe.reject_rate)
    )
    return model, (review, reject), healthy


def parity_gap(onnx: bytes, model: Health, values: Doubles, given: Doubles) -> float:
    """Return the largest difference between the graph, fed `given` and its own state, and numpy over the rows of `values`."""
    session = open_session(onnx)
    score, parts = scores(model, values)
    state, pairs = first_state(values.shape[1]), []
    for row, reading in enumerate(given):
        found, contributions, state = session.run(
            ["score", "contributions", "next_state"], {"values": reading.astype(np.float32), "state": state}
        )
        pairs += [(found, score[row]), (contributions, parts[row])]
    return gap_of(pairs)


def _parity_rows(values: Doubles) -> Doubles:
    """Return healthy rows, and among them readings a model has never seen: missing ones, and far too high ones."""
    tested = values[:PARITY_ROWS].astype(np.float32).astype(np.float64)
    tested[5::17, 0] = np.nan
    tested[7::23, -1] *= 3
    return tested


def _card(
    recipe: HealthRecipe, table: Table, fitted: FitCard, limits: tuple[LimitCard, LimitCard], values: int
) -> Card:
    inputs, outputs = signature(len(table.sensors), values)
    return Card(
        name=recipe.name,
        version=recipe.version,
        task="health",
        opset=OPSET,
        input=tensor_cards(inputs),
        output=tensor_cards(outputs),
        fit=fitted,
        review=limits[0],
        reject=limits[1],
        sensors=list(table.sensors),
    )
