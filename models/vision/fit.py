"""From pictures of good parts to a released model: features, planted defects, members, limits, graph, parity gate, card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from models.card import Card, FitCard, KindCard, MemberCard, TensorCard
from models.errors import InputError
from models.graph import OPSET
from models.release import Release
from models.session import open_session
from models.vision.calibrate import Limits, calibrate
from models.vision.compare import misfit, raw_map
from models.vision.compare_export import comparison_model
from models.vision.compare_fit import Compared, learn_reference
from models.vision.export import Calibration, feature_model, inspection_model
from models.vision.features import Doubles, Floats, dimensions, features, features_of
from models.vision.learn import Planted, learn
from models.vision.members import score, unusualness
from models.vision.parts import Parts
from models.vision.pictures import Grey, fingerprint
from models.vision.planted import Planting, plant_all
from models.vision.recipe import Recipe, check, comparable
from models.vision.registration import difference, standardised
from models.vision.sort import Head, Named, chances_of, describe
from models.vision.sort_fit import Sorted, sort

TEXTURE, COMPARE = "gabor-usual-taught", "compare"
MIN_PICTURES = 20
LEAST_CELLS = 4
PARITY_PICTURES = 30
PARITY_LIMIT = 1e-4
"""Largest difference between the numpy definition and the graph, in standard deviations of good parts (relative above 1)."""
COMPARED_LIMIT = 2e-3
"""The same where pictures are moved: single precision places them to 1e-5 of a pixel, which at a sharp edge is so much."""
PLAINLY = 0.5

Progress = Callable[[int, int], None]
"""Called with pictures done and pictures in all."""


class Looked(NamedTuple):
    """What a model sees in a picture: raw score, raw map (grid, grid), features (cells, dimensions)."""

    score: float
    raw_map: Doubles
    features: Doubles


Definition = Callable[[Grey], Looked | None]
"""The model in numpy; None where it says that the picture does not lie right."""


def fit(
    greys: Sequence[Grey],
    parts: Parts,
    recipe: Recipe,
    progress: Progress | None = None,
    mask: Grey | None = None,
    *,
    named: Sequence[Named] = (),
) -> Release:
    """Return the model learnt from `greys` (size x size, uint8), which show `parts`; it names defects like those of `named`.

    `mask`, of the same size, is bright where the part is to be looked at; without one everything is. The same pictures and recipe give the same bytes on the same machine. Raises InputError if there are fewer than
    `MIN_PICTURES` pictures or two parts, or if the graph does not compute what `features` and `members` define. Below two kinds of
    `kinds.LEAST_PARTS` parts it names none.
    """
    check(recipe, recipe.name)
    if len(greys) < MIN_PICTURES or len(set(parts.names)) < 2:
        raise InputError(
            "no_pictures",
            f"{len(greys)} pictures of {len(set(parts.names))} parts are too few: at least {MIN_PICTURES} of 2 are needed",
            f"只有 {len(set(parts.names))} 个工件的 {len(greys)} 张图片，太少：至少需要 2 个工件、{MIN_PICTURES} 张",
        )
    where = _where(mask, recipe)
    planting = plant_all(greys, recipe.planted, where)
    if recipe.family == "compare":
        compared = learn_reference(greys, parts.names, planting, recipe, where)
        looked = _comparing(compared, recipe)
        if progress:
            progress(len(greys), len(greys))
    else:
        looked = _texture(_feature_tables(greys, planting, recipe, progress), parts, recipe, where)
        if recipe.family == "auto" and comparable(recipe):
            compared = learn_reference(greys, parts.names, planting, recipe, where)
            looked = _better(looked, compared, recipe) if compared else looked
    limits = calibrate(looked.held_out, parts.names, recipe.review_rate, recipe.reject_rate)
    sorted_ = _sort(named, looked.defined, where)
    head = sorted_.head if sorted_ else None
    onnx = looked.graph(limits.calibration, head)
    tested = _parity_pictures(greys)
    parity = parity_gap(onnx, tested, looked.defined, limits.calibration)
    if head:
        parity = max(parity, naming_gap(onnx, [one.grey for one in named], looked.defined, head, where))
    most = COMPARED_LIMIT if looked.family == COMPARE else PARITY_LIMIT
    if not parity <= most:
        raise InputError(
            "parity",
            f"no release: the graph differs from its definition by {parity:.1e}, more than {most:g}",
            f"不予发布：计算图与定义相差 {parity:.1e}，超过 {most:g}",
        )
    fitted = FitCard(
        family=looked.family,
        samples=len(greys),
        groups=len(set(parts.names)),
        data=fingerprint(greys),
        recipe={key: value for key, value in msgspec.to_builtins(recipe).items() if key not in {"name", "version"}},
        parity=parity,
        parity_samples=len(tested),
        parts=parts.rule,
        members=looked.evidence,
        looked_at=float(where.mean()),
    )
    return Release(_card(recipe, limits, fitted, sorted_.cards if sorted_ else []), onnx)


class _Way(NamedTuple):
    """One way of looking, learnt: its name, each good picture's raw score by what never saw its part, the evidence for the card,
    how well it finds planted defects (AUROC), the graph for a calibration and what names defects, and its definition."""

    family: str
    held_out: Doubles
    evidence: list[MemberCard]
    found: float
    graph: Callable[[Calibration, Head | None], bytes]
    defined: Definition


def _texture(tables: tuple[Floats, Planted], parts: Parts, recipe: Recipe, where: Floats) -> _Way:
    learnt = learn(*tables, parts.names, recipe, where)

    def defined(grey: Grey) -> Looked:
        seen = features(grey, recipe)
        raw, maps = unusualness(seen[None], learnt.members, recipe)
        return Looked(float(raw[0]), maps[0], seen)

    return _Way(
        TEXTURE,
        learnt.held_out,
        learnt.evidence,
        learnt.found,
        lambda calibration, head: inspection_model(recipe, learnt.members, calibration, head),
        defined,
    )


def _better(texture: _Way, compared: Compared, recipe: Recipe) -> _Way:
    """Return comparing if it is plainly better, else the texture; the card shows the evidence for both.

    Plainly better is to miss at most `PLAINLY` of what the texture misses of planted defects (1 - AUROC), though that has learnt
    from others planted in the same way.
    """
    if 1 - compared.found > PLAINLY * (1 - texture.found):
        return texture._replace(evidence=[*texture.evidence, MemberCard(COMPARE, compared.found, kept=False)])
    comparing = _comparing(compared, recipe)
    left_out = [msgspec.structs.replace(member, kept=False) for member in texture.evidence]
    return comparing._replace(evidence=[*left_out, *comparing.evidence])


def _comparing(compared: Compared | None, recipe: Recipe) -> _Way:
    """Return comparing as a way of looking; raises InputError where pictures do not lie over each other."""
    if compared is None:
        raise InputError(
            "not_alike",
            "the pictures cannot be laid over each other: fix the part and the camera, or leave `family` at auto",
            "图片之间无法对齐：请固定工件与相机的位置，或将 family 保持为 auto",
        )
    reference = compared.reference

    def defined(grey: Grey) -> Looked | None:
        rest, _ = difference(standardised(grey), reference.registration)
        if misfit(rest, reference.edges) > reference.unlike:
            return None
        raw = raw_map(rest, reference, recipe)
        return Looked(float(score(raw, recipe.top)), raw, features_of(rest, recipe))

    return _Way(
        COMPARE,
        compared.held_out,
        [MemberCard(COMPARE, compared.found, kept=True)],
        compared.found,
        lambda calibration, head: comparison_model(recipe, reference, calibration, head),
        defined,
    )


def parity_gap(onnx: bytes, greys: Sequence[Grey], definition: Definition, calibration: Calibration) -> float:
    """Return the largest difference of score and heat map between the graph and numpy over `greys`."""
    session = open_session(onnx)
    lost = (calibration.review + calibration.reject) / 2 * calibration.scale + calibration.loc
    gap = 0.0
    for grey in greys:
        looked = definition(grey)
        raw, raws = (looked.score, looked.raw_map) if looked else (lost, np.asarray(lost))
        score, heatmap = session.run(["score", "heatmap"], {"picture": grey})
        for found, defined in ((score, raw), (heatmap, raws)):
            expected = (defined - calibration.loc) / calibration.scale
            gap = max(gap, float(np.max(np.abs(found - expected) / np.maximum(np.abs(expected), 1))))
    return gap


def naming_gap(onnx: bytes, greys: Sequence[Grey], definition: Definition, head: Head, where: Floats) -> float:
    """Return the largest difference of a kind's probability between the graph and numpy over `greys` that lie right."""
    session = open_session(onnx)
    gap = 0.0
    for grey in greys[:: max(len(greys) // PARITY_PICTURES, 1)]:
        if looked := definition(grey):
            (chances,) = session.run(["kinds"], {"picture": grey})
            defined = chances_of(describe(looked.features, looked.raw_map, where), head)
            gap = max(gap, float(np.abs(chances - defined).max()))
    return gap


def _sort(named: Sequence[Named], definition: Definition, where: Floats) -> Sorted | None:
    """Return what names defects, learnt from the pictures that lie right."""
    seen = [(one, looked) for one in named if (looked := definition(one.grey))]
    if not seen:
        return None
    described = np.stack([describe(looked.features, looked.raw_map, where) for _, looked in seen])
    return sort(described, [one for one, _ in seen])


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
    greys: Sequence[Grey], planting: Planting, recipe: Recipe, progress: Progress | None
) -> tuple[Floats, Planted]:
    """Return the features of all pictures, and of them with planted defects, by the same nodes the released graph holds."""
    session = open_session(feature_model(recipe))
    shape = (recipe.grid**2, dimensions(recipe))
    table = np.empty((len(greys), *shape), dtype=np.float32)
    planted = np.empty((len(planting.pictures), *shape), dtype=np.float32)
    for index, grey in enumerate(greys):
        (table[index],) = session.run(["features"], {"picture": grey})
        for place in np.flatnonzero(planting.source == index):
            (planted[place],) = session.run(["features"], {"picture": planting.pictures[place]})
        if progress:
            progress(index + 1, len(greys))
    return table, Planted(planted, planting.changed, planting.source)


def _parity_pictures(greys: Sequence[Grey]) -> list[Grey]:
    """Return `PARITY_PICTURES` inputs: good pictures, and each kind of input the model never saw (noise, black, white)."""
    side = greys[0].shape
    noise = np.random.default_rng(0)
    strange = [noise.integers(0, 256, side, dtype=np.uint8) for _ in range(3)]
    strange += [np.full(side, level, dtype=np.uint8) for level in (0, 255)]
    usual = [greys[index] for index in np.linspace(0, len(greys) - 1, PARITY_PICTURES - len(strange)).astype(int)]
    return usual + strange


def _card(recipe: Recipe, limits: Limits, fitted: FitCard, kinds: list[KindCard]) -> Card:
    aligned = [TensorCard("aligned", "int64", [1])] if fitted.family == COMPARE else []
    naming = [TensorCard("kinds", "float32", [len(kinds)]), TensorCard("kind", "int64", [1])] if kinds else []
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
            *aligned,
            *naming,
        ],
        fit=fitted,
        review=limits.review,
        reject=limits.reject,
        kinds=kinds,
    )
