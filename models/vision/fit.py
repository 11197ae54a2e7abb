"""From pictures of good parts to a released model: features, planted defects, members, limits, graph, parity gate, card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from time import perf_counter
from types import MappingProxyType
from typing import NamedTuple

import msgspec
import numpy as np
from PIL import Image

from models.bundle import Bundle
from models.card import Card, FitCard, KindCard, MemberCard, TensorCard
from models.errors import InputError
from models.graph import OPSET
from models.release import Release
from models.session import open_session
from models.vision.calibrate import Limits, calibrate
from models.vision.compare_fit import Fold, learn_fold, learn_reference
from models.vision.detector import Detector
from models.vision.export import Calibration
from models.vision.features import Floats
from models.vision.looking import (
    ALIGNED,
    COMPARE,
    TEXTURE,
    Definition,
    Looking,
    Progress,
    aligned,
    better,
    comparing,
    feature_tables,
    texture,
)
from models.vision.parts import Parts
from models.vision.pictures import Grey, fingerprint, fit_to, read_grey
from models.vision.planted import Planting, plant_all
from models.vision.recipe import Recipe, check, comparable, least_cells
from models.vision.sort import Head, Named, chances_of, describe
from models.vision.sort_fit import Sorted, sort
from models.vision.tiled import Originals, Tiled, Tiles, tiling_of

MIN_PICTURES = 20
PARITY_PICTURES = 30
PARITY_LIMIT = 1e-4
"""Largest difference between the numpy definition and the graph, in standard deviations of good parts (relative above 1)."""
COMPARED_LIMIT = 1e-3
"""The same where pictures are moved: single precision places them to 1e-5 of a pixel, which at a sharp edge is so much."""

TIMED = 3
"""Whole pictures whose time the card of a model of tiles has."""


class _Material(NamedTuple):
    """Pictures of good parts as the model sees them whole, what they show, and what is to be made of them."""

    greys: Sequence[Grey]
    parts: Parts
    recipe: Recipe
    folds: Mapping[int, Fold]


class _Learnt(NamedTuple):
    """What a fit has learnt.

    Attributes:
        looking: the way that is taken; parts[i] is what the picture of its `held_out` score i shows.
        shown: pictures, or tiles, like those the graph will see.
        where: (cells,), 1 for a cell of these that is looked at, else 0.
        looked_at: share of the whole picture that is.
        named: pictures, or tiles, with named defects.
    """

    looking: Looking
    parts: Sequence[str]
    shown: Sequence[Grey]
    where: Floats
    looked_at: float
    named: Sequence[Named]
    tiled: Tiled | None = None


def fit(
    greys: Sequence[Grey],
    parts: Parts,
    recipe: Recipe,
    progress: Progress | None = None,
    mask: Grey | None = None,
    *,
    named: Sequence[Named] = (),
    originals: Originals | None = None,
    folds: Mapping[int, Fold] = MappingProxyType({}),
) -> Release:
    """Return the model learnt from `greys` (size x size, uint8), which show `parts`; it names defects like those of `named`.

    `mask`, of any size, is bright where the part is to be looked at; without one everything is. `originals`, files of the same pictures, allow
    large ones to be seen in tiles. The same pictures and recipe give the same bytes on the same machine, but for `TilingCard.latency_ms`.
    Raises InputError if there are fewer than `MIN_PICTURES` pictures or two parts, or if the graph does not compute what `features`
    and `members` define. Below two kinds of `kinds.LEAST_PARTS` parts it names none. `folds`: what `fit_fold` has found elsewhere; the
    model is the same without.
    """
    check(recipe, recipe.name)
    if len(greys) < MIN_PICTURES or len(set(parts.names)) < 2:
        raise InputError(
            "no_pictures",
            f"{len(greys)} pictures of {len(set(parts.names))} parts are too few: at least {MIN_PICTURES} of 2 are needed",
            f"只有 {len(set(parts.names))} 个工件的 {len(greys)} 张图片，太少：至少需要 2 个工件、{MIN_PICTURES} 张",
        )
    learnt = _learn(_Material(greys, parts, recipe, folds), progress, mask, named, originals)
    looking = learnt.looking
    limits = calibrate(looking.held_out, learnt.parts, recipe.review_rate, recipe.reject_rate)
    sorted_ = _sort(learnt.named, looking.defined, learnt.where)
    head = sorted_.head if sorted_ else None
    onnx = looking.graph(limits.calibration, head)
    tested = _parity_pictures(learnt.shown)
    parity = parity_gap(onnx, tested, looking.defined, limits.calibration)
    if learnt.tiled:
        parity = max(parity, parity_gap(onnx, _parity_pictures(greys), learnt.tiled.whole, limits.calibration, "whole"))
    if head:
        shown = [one.grey for one in learnt.named]
        parity = max(parity, naming_gap(onnx, shown, looking.defined, head, learnt.where))
    most = COMPARED_LIMIT if looking.family != TEXTURE else PARITY_LIMIT
    if not parity <= most:
        raise InputError(
            "parity",
            f"no release: the graph differs from its definition by {parity:.1e}, more than {most:g}",
            f"不予发布：计算图与定义相差 {parity:.1e}，超过 {most:g}",
        )
    fitted = FitCard(
        family=looking.family,
        samples=len(greys),
        groups=len(set(parts.names)),
        data=fingerprint(greys),
        recipe={key: value for key, value in msgspec.to_builtins(recipe).items() if key not in {"name", "version"}},
        parity=parity,
        parity_samples=len(tested),
        parts=parts.rule,
        members=looking.evidence,
        looked_at=learnt.looked_at,
    )
    card = _card(recipe, limits, fitted, sorted_.cards if sorted_ else [], learnt.tiled)
    if card.tiling and originals:
        latency_ms = _latency_ms(Detector(Bundle(card, onnx, "", "")), originals)
        card = msgspec.structs.replace(card, tiling=msgspec.structs.replace(card.tiling, latency_ms=latency_ms))
    return Release(card, onnx)


def fit_fold(greys: Sequence[Grey], parts: Parts, recipe: Recipe, number: int, mask: Grey | None = None) -> Fold | None:
    """Return a part of `fit` that can be done elsewhere: fold `number` of comparing, None where that is not done."""
    check(recipe, recipe.name)
    if recipe.family == "texture" or (recipe.family == "auto" and not comparable(recipe)):
        return None
    where = _looked_at(mask, recipe, (recipe.size, recipe.size)).ravel()
    return learn_fold(greys, parts.names, plant_all(greys, recipe.planted, where), recipe, where, number=number)


def _learn(
    material: _Material,
    progress: Progress | None,
    mask: Grey | None,
    named: Sequence[Named],
    originals: Originals | None,
) -> _Learnt:
    """Return what is learnt of whole pictures or, where that is asked for or plainly better, of their tiles."""
    greys, parts, recipe, _ = material
    tiling = tiling_of(originals, recipe) if originals and recipe.family not in {COMPARE, ALIGNED} else None
    where = _looked_at(mask, recipe, (recipe.size, recipe.size)).ravel()
    planting = plant_all(greys, recipe.planted, where)
    asked = tiling is not None and isinstance(recipe.tile, int)
    whole = _whole(material, where, planting, progress, compare=not asked)
    # Tiles have no reference of their own to be laid over.
    if originals and tiling and whole.family == TEXTURE:
        plane = None if mask is None else _looked_at(mask, recipe, (tiling.width, tiling.height))
        tiles = Tiles(originals, parts.names, recipe, tiling, whole)
        tiled = tiles.learn(plane, progress)
        found = None if asked else tiles.evidence(greys, planting)
        if found is None or found.better:
            looking, named = (
                tiled.looking,
                [one._replace(grey=tiles.most_unusual(path)) for one, path in zip(named, originals.named, strict=True)],
            )
            share = 1.0 if plane is None else float(plane.mean())
            learnt = _Learnt(looking, tiled.parts, tiled.tiles, np.ones_like(where), share, named, tiled)
        else:
            learnt = _Learnt(whole, parts.names, greys, where, float(where.mean()), named)
        evidence = (
            [MemberCard("whole", found.whole, not found.better), MemberCard("tiles", found.tiles, found.better)]
            if found
            else []
        )
        return learnt._replace(looking=learnt.looking._replace(evidence=[*learnt.looking.evidence, *evidence]))
    return _Learnt(whole, parts.names, greys, where, float(where.mean()), named)


def _whole(
    material: _Material, where: Floats, planting: Planting, progress: Progress | None, *, compare: bool
) -> Looking:
    """Return the way of looking at whole pictures that the recipe asks for, or the better one; with `compare` unset only structure."""
    greys, parts, recipe, folds = material
    if recipe.family in {COMPARE, ALIGNED}:
        compared = learn_reference(greys, parts.names, planting, recipe, where, folds=folds)
        looking = comparing(compared, recipe)
        if compared and recipe.family == ALIGNED:
            looking = aligned(compared.reference, greys, planting, parts.names, recipe)
        if progress:
            progress(len(greys), len(greys))
        return looking
    looking = texture(feature_tables(greys, planting, recipe, progress), parts.names, recipe, where)
    if recipe.family == "auto" and compare and comparable(recipe):
        compared = learn_reference(greys, parts.names, planting, recipe, where, folds=folds)
        if compared:
            looking = better(looking, comparing(compared, recipe))
        if compared and looking.family == TEXTURE:
            looking = better(looking, aligned(compared.reference, greys, planting, parts.names, recipe))
    return looking


def _latency_ms(detector: Detector, originals: Originals) -> float:
    """Return the median time of a whole picture, from the picture in grey to the finding."""
    took = []
    for path in originals.good[:TIMED]:
        grey = read_grey(path, detector.sees)
        begun = perf_counter()
        detector.inspect(grey)
        took.append(perf_counter() - begun)
    return round(median(took) * 1000, 1)


def parity_gap(
    onnx: bytes, greys: Sequence[Grey], definition: Definition, calibration: Calibration, heatmap: str = "heatmap"
) -> float:
    """Return the largest difference of the output `heatmap`, and of the score that goes with it, between graph and numpy."""
    session = open_session(onnx)
    lost = (calibration.review + calibration.reject) / 2 * calibration.scale + calibration.loc
    gap = 0.0
    for grey in greys:
        looked = definition(grey)
        raw, raws = (looked.score, looked.raw_map) if looked else (lost, np.asarray(lost))
        score, found_map = session.run(["score", heatmap], {"picture": grey})
        pairs = [(score, raw), (found_map, raws)] if heatmap == "heatmap" else [(found_map, raws)]
        for found, defined in pairs:
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


def _looked_at(mask: Grey | None, recipe: Recipe, size: tuple[int, int]) -> Floats:
    """Return which cells (rows, columns) of pictures of `size` (width, height) are looked at: those at least half of which the mask
    shows bright. Raises InputError for too few."""
    cell = recipe.size // recipe.grid
    columns, rows = size[0] // cell, size[1] // cell
    if mask is None:
        return np.ones((rows, columns), np.float32)
    bright = (fit_to(Image.fromarray(mask), size) > 127).reshape(rows, cell, columns, cell).mean(axis=(1, 3))
    where: Floats = (bright >= 0.5).astype(np.float32)
    if where.sum() < least_cells(recipe.top):
        raise InputError(
            "mask",
            f"the mask leaves {int(where.sum())} of {where.size} cells to look at: draw it larger, or paint white where the part is",
            f"掩膜仅保留 {where.size} 个单元中的 {int(where.sum())} 个：请画大检测区域，或将工件区域涂为白色",
        )
    return where


def _parity_pictures(greys: Sequence[Grey]) -> list[Grey]:
    """Return `PARITY_PICTURES` inputs: good pictures, and each kind of input the model never saw (noise, black, white)."""
    side = greys[0].shape
    noise = np.random.default_rng(0)
    strange = [noise.integers(0, 256, side, dtype=np.uint8) for _ in range(3)]
    strange += [np.full(side, level, dtype=np.uint8) for level in (0, 255)]
    usual = [greys[index] for index in np.linspace(0, len(greys) - 1, PARITY_PICTURES - len(strange)).astype(int)]
    return usual + strange


def _card(recipe: Recipe, limits: Limits, fitted: FitCard, kinds: list[KindCard], tiled: Tiled | None) -> Card:
    plane = tiled.plane if tiled else None
    of_tiles = [TensorCard("whole", "float32", [recipe.grid, recipe.grid])] if tiled else []
    of_tiles += [] if plane is None else [TensorCard("looked_at", "float32", list(plane.shape))]
    aligned = [TensorCard("aligned", "int64", [1])] if fitted.family != TEXTURE else []
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
            *of_tiles,
            *naming,
        ],
        fit=fitted,
        review=limits.review,
        reject=limits.reject,
        kinds=kinds,
        tiling=tiled.tiling if tiled else None,
    )
