"""From features of good pictures, and of the same with planted defects, to members and the scores limits are made from.

Whatever is judged was not learnt from: the Gaussians and the classifier that score a picture here were fitted without its
part. The released ones are fitted on all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.card import MemberCard
from models.evaluate import auroc
from models.vision.calibrate import part_folds
from models.vision.features import Doubles, Floats
from models.vision.gaussian import fit_cells
from models.vision.members import (
    MEMBERS,
    Combination,
    Members,
    Seen,
    Usual,
    combine,
    member_maps,
    relative,
    score,
    see,
    within,
)
from models.vision.members import standard as standard_of
from models.vision.recipe import Recipe
from models.vision.taught import Taught, teach

CHANGED = 0.03
"""A cell is an example of a defect if so large a share of its pixels has changed."""

GOOD_ROWS = 20_000
"""So many cells of good pictures teach; more change nothing and take time."""

USELESS = 0.6
"""A member is left out that finds planted defects with a lower AUROC than this, unless none does better."""


class Planted(NamedTuple):
    """Good pictures with defects planted.

    Attributes:
        features: (planted, cells, dimensions).
        changed: (planted, cells), the share of the cell's pixels that changed.
        source: (planted,), the index of the good picture each was made from.
    """

    features: Floats
    changed: Floats
    source: npt.NDArray[np.int64]


class Learnt(NamedTuple):
    """Members, the raw score of each good picture by members that never saw its part, and what speaks for each member.

    `found`: how well all of them together find planted defects (AUROC). `by_part`: the members that never saw a part.
    """

    members: Members
    held_out: Doubles
    evidence: list[MemberCard]
    found: float
    by_part: dict[str, Members]


def learn(good: Floats, planted: Planted, parts: Sequence[str], recipe: Recipe, where: Floats) -> Learnt:
    """Return what is learnt of `good` (pictures, cells, dimensions), where parts[i] names the part that good[i] shows.

    `where`: (cells,), 1 for a cell that is looked at, else 0.
    """
    grid, random = recipe.grid, np.random.default_rng(0)
    folds = [(fold, fold[planted.source]) for fold in part_folds(parts, recipe.folds)]
    usual = [_usual(good[~fold], recipe, where) for fold, _ in folds]
    seen, seen_planted = _seen(good, recipe, planted, list(zip(usual, folds, strict=True)), where)
    example = planted.changed > CHANGED

    def taught_by(of_good: npt.NDArray[np.bool_], of_planted: npt.NDArray[np.bool_]) -> Taught:
        rows = seen.inputs[of_good][:, where > 0].reshape(-1, seen.inputs.shape[-1])
        if len(rows) > GOOD_ROWS:
            rows = rows[random.choice(len(rows), GOOD_ROWS, replace=False)]
        return teach(rows, seen_planted.inputs[of_planted][example[of_planted]])

    maps = np.empty((len(MEMBERS), len(good), grid, grid))
    maps_planted = np.empty((len(MEMBERS), len(planted.source), grid, grid))
    taught = [taught_by(~fold, ~theirs) for fold, theirs in folds]
    for (fold, theirs), one in zip(folds, taught, strict=True):
        maps[:, fold] = member_maps(_only(seen, fold), one, grid)
        maps_planted[:, theirs] = member_maps(_only(seen_planted, theirs), one, grid)
    scores = score(within(maps, where), recipe.top)
    found = [auroc(*pair) for pair in zip(scores, score(within(maps_planted, where), recipe.top), strict=True)]
    kept = np.array([one >= min(USELESS, max(found)) for one in found])
    combination = Combination(*(part.astype(np.float32) for part in (*standard_of(scores), kept / kept.sum())))
    everything = np.ones(len(good), bool), np.ones(len(planted.source), bool)
    members = Members(_usual(good, recipe, where), taught_by(*everything), combination, where)
    evidence = [MemberCard(*row) for row in zip(MEMBERS, map(float, found), map(bool, kept), strict=True)]
    together = [score(within(combine(each, combination), where), recipe.top) for each in (maps, maps_planted)]
    by_part = {
        parts[index]: Members(*of_fold, combination, where)
        for of_fold, (fold, _) in zip(zip(usual, taught, strict=True), folds, strict=True)
        for index in np.flatnonzero(fold).tolist()
    }
    return Learnt(members, together[0], evidence, auroc(*together), by_part)


def _usual(good: Floats, recipe: Recipe, where: Floats) -> Usual:
    return Usual(fit_cells(relative(good, where), recipe.shrink), fit_cells(good, recipe.shrink))


def _seen(
    good: Floats,
    recipe: Recipe,
    planted: Planted,
    folds: Sequence[tuple[Usual, tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]],
    where: Floats,
) -> tuple[Seen, Seen]:
    """Return what the members see of good and of planted pictures, by Gaussians that never saw their parts."""
    width = 2 * (2 * good.shape[-1] + 2)
    both = tuple(
        Seen(np.empty((count, recipe.grid**2)), np.empty((count, recipe.grid**2, width), np.float32))
        for count in (len(good), len(planted.source))
    )
    for usual, fold in folds:
        for filled, features, part in zip(both, (good, planted.features), fold, strict=True):
            found = see(features[part], usual, recipe.grid, where)
            filled.distance[part], filled.inputs[part] = found.distance, found.inputs
    return both[0], both[1]


def _only(seen: Seen, part: npt.NDArray[np.bool_]) -> Seen:
    return Seen(seen.distance[part], seen.inputs[part])
