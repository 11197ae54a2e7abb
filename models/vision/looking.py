"""Ways of looking at pictures, learnt: by structure, or by comparing with a reference; and which of two is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import msgspec
import numpy as np

from models.card import MemberCard
from models.errors import InputError
from models.session import open_session
from models.vision.compare import Reference, misfit, raw_map
from models.vision.compare_export import aligned_feature_model, aligned_model, comparison_model
from models.vision.compare_fit import Compared
from models.vision.export import Calibration, feature_model, inspection_model
from models.vision.features import Doubles, Floats, dimensions, features, features_of
from models.vision.learn import Planted, learn
from models.vision.members import Members, score, unusualness
from models.vision.pictures import Grey
from models.vision.planted import Planting
from models.vision.recipe import Recipe
from models.vision.registration import difference, standardised
from models.vision.sort import Head

TEXTURE, COMPARE, ALIGNED = "gabor-usual-taught", "compare", "aligned"
PLAINLY = 0.5
"""A way is plainly better that misses at most so much of what another misses of planted defects (1 - AUROC)."""

Progress = Callable[[int, int], None]
"""Called with pictures done and pictures in all."""


class Looked(NamedTuple):
    """What a model sees in a picture: raw score, raw map (grid, grid), features (cells, dimensions)."""

    score: float
    raw_map: Doubles
    features: Doubles


Definition = Callable[[Grey], Looked | None]
"""The model in numpy; None where it says that the picture does not lie right."""


class Looking(NamedTuple):
    """One way of looking, learnt: its name, each good picture's raw score by what never saw its part, the evidence for the card,
    how well it finds planted defects (AUROC), the graph for a calibration and what names defects, and its definition."""

    family: str
    held_out: Doubles
    evidence: list[MemberCard]
    found: float
    graph: Callable[[Calibration, Head | None], bytes]
    defined: Definition
    members: Members | None = None
    """Of structure: what was learnt of all pictures."""
    by_part: Mapping[str, Members] = MappingProxyType({})
    """And the members that never saw a part."""


def texture(tables: tuple[Floats, Planted], parts: Sequence[str], recipe: Recipe, where: Floats) -> Looking:
    """Return looking at structure, learnt from features; parts[i] is the part that picture i shows."""
    learnt = learn(*tables, parts, recipe, where)

    def defined(grey: Grey) -> Looked:
        seen = features(grey, recipe)
        raw, maps = unusualness(seen[None], learnt.members, recipe)
        return Looked(float(raw[0]), maps[0], seen)

    return Looking(
        TEXTURE,
        learnt.held_out,
        learnt.evidence,
        learnt.found,
        lambda calibration, head: inspection_model(recipe, learnt.members, calibration, head),
        defined,
        learnt.members,
        learnt.by_part,
    )


def plainly(usual: float, other: float) -> bool:
    """Return whether the other of two ways that find so much of planted defects (AUROC) is plainly better."""
    return 1 - other <= PLAINLY * (1 - usual)


def better(usual: Looking, other: Looking) -> Looking:
    """Return the other way if it is plainly better, else the usual one; the card shows the evidence for both."""
    taken, left = (other, usual) if plainly(usual.found, other.found) else (usual, other)
    left_out = [msgspec.structs.replace(member, kept=False) for member in left.evidence]
    both = [*left_out, *taken.evidence] if taken is other else [*taken.evidence, *left_out]
    return taken._replace(evidence=both)


def comparing(compared: Compared | None, recipe: Recipe) -> Looking:
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

    return Looking(
        COMPARE,
        compared.held_out,
        [MemberCard(COMPARE, compared.found, kept=True)],
        compared.found,
        lambda calibration, head: comparison_model(recipe, reference, calibration, head),
        defined,
    )


def aligned(
    reference: Reference, greys: Sequence[Grey], planting: Planting, parts: Sequence[str], recipe: Recipe
) -> Looking:
    """Return looking at structure of pictures laid over a template.

    The template is a median of all good pictures, of those that are judged here, too: what it knows of one of them is next to nothing.
    What is usual is learnt without their parts, as ever.
    """
    model = aligned_feature_model(recipe, reference.registration)
    learnt = learn(*feature_tables(greys, planting, recipe, None, model), parts, recipe, reference.where)
    template = reference.registration.levels[-1].template.astype(np.float64).reshape(recipe.size, recipe.size)

    def defined(grey: Grey) -> Looked | None:
        rest, _ = difference(standardised(grey), reference.registration)
        if misfit(rest, reference.edges) > reference.unlike:
            return None
        seen = features_of(rest + template, recipe)
        raw, maps = unusualness(seen[None], learnt.members, recipe)
        return Looked(float(raw[0]), maps[0], seen)

    return Looking(
        ALIGNED,
        learnt.held_out,
        [MemberCard(ALIGNED, learnt.found, kept=True)],
        learnt.found,
        lambda calibration, head: aligned_model(recipe, reference, learnt.members, calibration, head),
        defined,
    )


def feature_tables(
    greys: Sequence[Grey], planting: Planting, recipe: Recipe, progress: Progress | None, model: bytes = b""
) -> tuple[Floats, Planted]:
    """Return the features of all pictures, and of them with planted defects, by the same nodes the released graph holds.

    `model`: from picture to features; that of the picture as it lies unless given.
    """
    session = open_session(model or feature_model(recipe))
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
