"""From pictures of good parts to a released model: features, Gaussians, limits, graph, parity gate, card."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from models.card import Card, FitCard, TensorCard
from models.errors import InputError
from models.graph import OPSET
from models.release import Release
from models.session import open_session
from models.vision.calibrate import Limits, calibrate, part_folds
from models.vision.export import Calibration, feature_model, inspection_model
from models.vision.features import Doubles, Floats, dimensions, features
from models.vision.gaussian import CellGaussians, fit_cells, unusualness
from models.vision.pictures import Grey, fingerprint
from models.vision.recipe import Recipe, check

FAMILY = "gabor-padim"
MIN_PICTURES = 20
PARITY_PICTURES = 30
PARITY_LIMIT = 1e-4
"""Largest difference between the numpy definition and the graph, in standard deviations of good parts (relative above 1)."""

Progress = Callable[[int, int], None]
"""Called with pictures done and pictures in all."""


def fit(greys: Sequence[Grey], parts: Sequence[str], recipe: Recipe, progress: Progress | None = None) -> Release:
    """Return the model learnt from `greys` (size x size, uint8), where parts[i] names the part that greys[i] shows.

    The same pictures and recipe give the same bytes on the same machine. Raises InputError if there are fewer than
    `MIN_PICTURES` pictures or two parts, or if the graph does not compute what `features` and `gaussian` define.
    """
    check(recipe, recipe.name)
    if len(greys) < MIN_PICTURES or len(set(parts)) < 2:
        raise InputError(
            "no_pictures",
            f"{len(greys)} pictures of {len(set(parts))} parts are too few: at least {MIN_PICTURES} of 2 are needed",
            f"只有 {len(set(parts))} 个工件的 {len(greys)} 张图片，太少：至少需要 2 个工件、{MIN_PICTURES} 张",
        )
    table = _feature_table(greys, recipe, progress)
    limits = calibrate(_held_out_scores(table, parts, recipe), parts, recipe.review_rate, recipe.reject_rate)
    cells = fit_cells(table, recipe.shrink)
    onnx = inspection_model(recipe, cells, limits.calibration)
    tested = _parity_pictures(greys)
    parity = parity_gap(onnx, tested, recipe, cells, limits.calibration)
    if not parity <= PARITY_LIMIT:
        raise InputError(
            "parity",
            f"no release: the graph differs from its definition by {parity:.1e}, more than {PARITY_LIMIT:g}",
            f"不予发布：计算图与定义相差 {parity:.1e}，超过 {PARITY_LIMIT:g}",
        )
    fitted = FitCard(
        family=FAMILY,
        samples=len(greys),
        groups=len(set(parts)),
        data=fingerprint(greys),
        recipe={key: value for key, value in msgspec.to_builtins(recipe).items() if key not in {"name", "version"}},
        parity=parity,
        parity_samples=len(tested),
    )
    return Release(_card(recipe, limits, fitted), onnx)


def parity_gap(
    onnx: bytes, greys: Sequence[Grey], recipe: Recipe, cells: CellGaussians, calibration: Calibration
) -> float:
    """Return the largest difference of score and heat map between the graph and numpy over `greys`."""
    session = open_session(onnx)
    gap = 0.0
    for grey in greys:
        raw, maps = unusualness(features(grey, recipe)[None], cells, recipe)
        score, heatmap = session.run(["score", "heatmap"], {"picture": grey})
        for found, defined in ((score, raw), (heatmap, maps[0])):
            expected = (defined - calibration.loc) / calibration.scale
            gap = max(gap, float(np.max(np.abs(found - expected) / np.maximum(np.abs(expected), 1))))
    return gap


def _feature_table(greys: Sequence[Grey], recipe: Recipe, progress: Progress | None) -> Floats:
    """Return the features of all pictures, computed by the same nodes that the released graph holds."""
    session = open_session(feature_model(recipe))
    table = np.empty((len(greys), recipe.grid**2, dimensions(recipe)), dtype=np.float32)
    for index, grey in enumerate(greys):
        (table[index],) = session.run(["features"], {"picture": grey})
        if progress:
            progress(index + 1, len(greys))
    return table


def _held_out_scores(table: Floats, parts: Sequence[str], recipe: Recipe) -> Doubles:
    """Return each picture's raw score under Gaussians fitted without its part."""
    scores = np.empty(len(table))
    for held_out in part_folds(parts, recipe.folds):
        scores[held_out], _ = unusualness(table[held_out], fit_cells(table[~held_out], recipe.shrink), recipe)
    return scores


def _parity_pictures(greys: Sequence[Grey]) -> list[Grey]:
    """Return `PARITY_PICTURES` inputs: good pictures, and each kind of input the model never saw (noise, black, white)."""
    side = greys[0].shape
    noise = np.random.default_rng(0)
    strange = [noise.integers(0, 256, side, dtype=np.uint8) for _ in range(3)]
    strange += [np.full(side, level, dtype=np.uint8) for level in (0, 255)]
    usual = [greys[index] for index in np.linspace(0, len(greys) - 1, PARITY_PICTURES - len(strange)).astype(int)]
    return usual + strange


def _card(recipe: Recipe, limits: Limits, fitted: FitCard) -> Card:
    return Card(
        name=recipe.name,
        version=recipe.version,
        task="inspect",
        opset=OPSET,
        input=[TensorCard("picture", "uint8", [recipe.size, recipe.size])],
        output=[
            TensorCard("score", "float32", [1]),
            TensorCard("heatmap", "float32", [recipe.grid, recipe.grid]),
            TensorCard("verdict", "int64", [1]),
            TensorCard("limits_used", "float32", [2]),
        ],
        fit=fitted,
        review=limits.review,
        reject=limits.reject,
    )
