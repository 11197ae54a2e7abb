"""From pictures of good parts to a released model: features, planted defects, members, limits, graph, parity gate, card."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from models.card import Card, FitCard, TensorCard
from models.errors import InputError
from models.graph import OPSET
from models.release import Release
from models.session import open_session
from models.vision.calibrate import Limits, calibrate
from models.vision.export import Calibration, feature_model, inspection_model
from models.vision.features import Floats, dimensions, features
from models.vision.learn import Planted, learn
from models.vision.members import Members, unusualness
from models.vision.parts import Parts
from models.vision.pictures import Grey, fingerprint
from models.vision.planted import plant
from models.vision.recipe import Recipe, check

FAMILY = "gabor-usual-taught"
MIN_PICTURES = 20
LEAST_CELLS = 4
TRIES = 30
"""How often a defect is planted anew that lies where nobody looks."""
PARITY_PICTURES = 30
PARITY_LIMIT = 1e-4
"""Largest difference between the numpy definition and the graph, in standard deviations of good parts (relative above 1)."""

Progress = Callable[[int, int], None]
"""Called with pictures done and pictures in all."""


def fit(
    greys: Sequence[Grey], parts: Parts, recipe: Recipe, progress: Progress | None = None, mask: Grey | None = None
) -> Release:
    """Return the model learnt from `greys` (size x size, uint8), which show `parts`.

    `mask`, of the same size, is bright where the part is to be looked at; without one everything is. The same pictures and recipe give the same bytes on the same machine. Raises InputError if there are fewer than
    `MIN_PICTURES` pictures or two parts, or if the graph does not compute what `features` and `members` define.
    """
    check(recipe, recipe.name)
    if len(greys) < MIN_PICTURES or len(set(parts.names)) < 2:
        raise InputError(
            "no_pictures",
            f"{len(greys)} pictures of {len(set(parts.names))} parts are too few: at least {MIN_PICTURES} of 2 are needed",
            f"只有 {len(set(parts.names))} 个工件的 {len(greys)} 张图片，太少：至少需要 2 个工件、{MIN_PICTURES} 张",
        )
    where = _where(mask, recipe)
    table, planted = _feature_tables(greys, recipe, where, progress)
    learnt = learn(table, planted, parts.names, recipe, where)
    limits = calibrate(learnt.held_out, parts.names, recipe.review_rate, recipe.reject_rate)
    onnx = inspection_model(recipe, learnt.members, limits.calibration)
    tested = _parity_pictures(greys)
    parity = parity_gap(onnx, tested, recipe, learnt.members, limits.calibration)
    if not parity <= PARITY_LIMIT:
        raise InputError(
            "parity",
            f"no release: the graph differs from its definition by {parity:.1e}, more than {PARITY_LIMIT:g}",
            f"不予发布：计算图与定义相差 {parity:.1e}，超过 {PARITY_LIMIT:g}",
        )
    fitted = FitCard(
        family=FAMILY,
        samples=len(greys),
        groups=len(set(parts.names)),
        data=fingerprint(greys),
        recipe={key: value for key, value in msgspec.to_builtins(recipe).items() if key not in {"name", "version"}},
        parity=parity,
        parity_samples=len(tested),
        parts=parts.rule,
        members=learnt.evidence,
        looked_at=float(where.mean()),
    )
    return Release(_card(recipe, limits, fitted), onnx)


def parity_gap(onnx: bytes, greys: Sequence[Grey], recipe: Recipe, members: Members, calibration: Calibration) -> float:
    """Return the largest difference of score and heat map between the graph and numpy over `greys`."""
    session = open_session(onnx)
    gap = 0.0
    for grey in greys:
        raw, maps = unusualness(features(grey, recipe)[None], members, recipe)
        score, heatmap = session.run(["score", "heatmap"], {"picture": grey})
        for found, defined in ((score, raw), (heatmap, maps[0])):
            expected = (defined - calibration.loc) / calibration.scale
            gap = max(gap, float(np.max(np.abs(found - expected) / np.maximum(np.abs(expected), 1))))
    return gap


def _where(mask: Grey | None, recipe: Recipe) -> Floats:
    """Return which cells are looked at: those at least half of which the mask shows bright. Raises InputError for too few."""
    if mask is None:
        return np.ones(recipe.grid**2, np.float32)
    cell = recipe.size // recipe.grid
    bright = (mask > 127).reshape(recipe.grid, cell, recipe.grid, cell).mean(axis=(1, 3)).ravel()
    where: Floats = (bright >= 0.5).astype(np.float32)
    if where.sum() < max(recipe.top, LEAST_CELLS):
        raise InputError(
            "mask",
            f"the mask leaves {int(where.sum())} of {where.size} cells to look at: paint white where the part is",
            f"掩膜仅保留 {where.size} 个单元中的 {int(where.sum())} 个：请将工件区域涂为白色",
        )
    return where


def _feature_tables(
    greys: Sequence[Grey], recipe: Recipe, where: Floats, progress: Progress | None
) -> tuple[Floats, Planted]:
    """Return the features of all pictures, and of them with planted defects, by the same nodes the released graph holds."""
    session = open_session(feature_model(recipe))
    random = np.random.default_rng(0)
    each = -(-recipe.planted // len(greys))
    shape = (recipe.grid**2, dimensions(recipe))
    table = np.empty((len(greys), *shape), dtype=np.float32)
    planted = np.empty((len(greys) * each, *shape), dtype=np.float32)
    changed = np.empty((len(planted), recipe.grid**2), dtype=np.float32)
    source = np.repeat(np.arange(len(greys)), each)
    cell = recipe.size // recipe.grid
    for index, grey in enumerate(greys):
        (table[index],) = session.run(["features"], {"picture": grey})
        for place in np.flatnonzero(source == index):
            for _ in range(TRIES):
                picture, mask = plant(grey, greys[int(random.integers(len(greys)))], random)
                changed[place] = mask.reshape(recipe.grid, cell, recipe.grid, cell).mean(axis=(1, 3)).ravel() * where
                if changed[place].any():
                    break
            (planted[place],) = session.run(["features"], {"picture": picture})
        if progress:
            progress(index + 1, len(greys))
    return table, Planted(planted, changed, source)


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
