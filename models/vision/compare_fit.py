"""From good pictures of a printed or flat part to a taught reference, and the scores its limits are made from.

Whatever is judged was not learnt from: the template and the tolerance a picture is compared with here were made without its part.
The released ones are made of all. Pictures that do not lie over each other make no reference: their misfit is then hardly
less than that of pictures pushed aside on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.evaluate import auroc
from models.session import open_session
from models.vision.calibrate import part_folds
from models.vision.compare import MAPS, Reference, Tolerance, combined, maps, means, misfit, piece, standards
from models.vision.compare_export import difference_model
from models.vision.features import Doubles, Floats
from models.vision.members import score, within
from models.vision.pictures import Grey
from models.vision.planted import Planting
from models.vision.recipe import Recipe
from models.vision.registration import registration, relit, slopes, standardised, warped

TEMPLATE_OF = 60
"""The template is the median of so many pictures; more change nothing and take memory."""

PASSES = 2
"""How often the template is made: first over one picture, then over the median."""

SHARED = 10
"""What pixels of such slope differ in general counts as much, for a pixel's tolerance, as so many pictures."""

LEAST_SPREAD = 0.02
"""Smallest spread of a pixel, in standard deviations of the picture: finer than a camera tells."""

PLANTED = 160
"""So many planted defects say how well comparing finds them."""

PUSHED = 0.02
"""By so large a part of the side pictures are pushed aside to see what it does to the misfit."""

PUSHED_PICTURES = 12
"""How many pictures of each fold are pushed."""

WELL = 0.8
"""Good pictures lie over the template if none has more than this of the misfit of those pushed aside."""


class Compared(NamedTuple):
    """A reference; each good picture's raw score by one that never saw its part; how well it finds planted defects (AUROC)."""

    reference: Reference
    held_out: Doubles
    found: float


class Fold(NamedTuple):
    """What the pictures of some parts are to a template made without them; it depends on nothing but pictures and recipe.

    Attributes:
        misfits: of each good picture held out. pushed: of those pushed aside.
        good: (maps, held out, grid, grid). planted: (maps, planted, grid, grid), of those made from them.
    """

    misfits: Doubles
    pushed: Doubles
    good: Doubles
    planted: Doubles


def learn_fold(
    greys: Sequence[Grey], parts: Sequence[str], planting: Planting, recipe: Recipe, where: Floats, *, number: int
) -> Fold | None:
    """Return the fold `number` for `learn_reference`; None where there is none, or none can be learnt."""
    sample, laid = _sampled(greys, recipe)
    folds = list(part_folds(parts, recipe.folds))
    if number >= len(folds) or folds[number][sample].all():
        return None
    template = np.median(laid[~folds[number][sample]], axis=0)
    learner = _FoldLearner(greys, planting, recipe, folds[number], _Taught(template, recipe, where))
    return learner.whole()


def learn_reference(
    greys: Sequence[Grey],
    parts: Sequence[str],
    planting: Planting,
    recipe: Recipe,
    where: Floats,
    *,
    folds: Mapping[int, Fold] = MappingProxyType({}),
) -> Compared | None:
    """Return what is learnt of `greys` (side x side), where parts[i] is the part that picture i shows.

    None if they cannot be laid over each other. `where`: (cells,), 1 for a cell that is looked at, else 0. `folds`: by their number
    those that have been learnt elsewhere.
    """
    sample, laid = _sampled(greys, recipe)
    grid = recipe.grid
    of_good = np.empty((len(MAPS), len(greys), grid, grid))
    flawed = _flawed(planting)
    of_planted = np.empty((len(MAPS), len(flawed), grid, grid))
    misfits, pushed = np.empty(len(greys)), list[float]()
    for number, fold in enumerate(part_folds(parts, recipe.folds)):
        if fold[sample].all():
            return None
        found = folds.get(number)
        learner = None
        if found is None:
            learner = _FoldLearner(
                greys, planting, recipe, fold, _Taught(np.median(laid[~fold[sample]], axis=0), recipe, where)
            )
        # That the pictures cannot be laid over each other shows before most of the work is done.
        told = learner or found
        assert told is not None  # noqa: S101 - it is learnt here or was elsewhere
        pushed += told.pushed.tolist()
        misfits[fold] = told.misfits
        if _limit(misfits[fold], pushed) is None:
            return None
        if learner:
            found = learner.whole()
        assert found is not None  # noqa: S101 - as above
        of_good[:, fold] = found.good
        of_planted[:, fold[planting.source[flawed]]] = found.planted
    unlike = _limit(misfits, pushed)
    if unlike is None:
        return None
    loc, scale = standards(score(within(of_good, where), recipe.top))
    held_out, planted = (score(within(combined(each, loc, scale), where), recipe.top) for each in (of_good, of_planted))
    taught = _Taught(np.median(laid, axis=0), recipe, where)
    tolerance = taught.tolerance(greys)
    reference = Reference(taught.registration, tolerance, taught.edges, unlike, loc, scale, where)
    return Compared(reference, held_out, auroc(held_out, planted))


def _sampled(greys: Sequence[Grey], recipe: Recipe) -> tuple[npt.NDArray[np.int64], Doubles]:
    """Return which pictures templates are made of, and these laid over each other."""
    sample = np.unique(np.linspace(0, len(greys) - 1, TEMPLATE_OF).astype(np.int64))
    return sample, _laid([greys[index] for index in sample.tolist()], recipe)


def _flawed(planting: Planting) -> npt.NDArray[np.int64]:
    return np.unique(np.linspace(0, len(planting.source) - 1, PLANTED).astype(np.int64))


class _FoldLearner:
    """A fold in two steps: `misfits` and `pushed` are there at once, the maps when they are asked for."""

    def __init__(
        self,
        greys: Sequence[Grey],
        planting: Planting,
        recipe: Recipe,
        fold: npt.NDArray[np.bool_],
        taught: _Taught,
    ) -> None:
        self._greys, self._planting, self._recipe, self._fold, self._taught = greys, planting, recipe, fold, taught
        held = np.flatnonzero(fold).tolist()
        pushed = [each for index in held[:PUSHED_PICTURES] for each in taught.pushed(greys[index])]
        self._rests = [taught.difference(greys[index]) for index in held]
        self.misfits = np.array([misfit(rest, taught.edges) for rest in self._rests])
        self.pushed = np.array(pushed)

    def whole(self) -> Fold:
        """Return the fold."""
        others = [self._greys[index] for index in np.flatnonzero(~self._fold).tolist()]
        tolerance = self._taught.tolerance(others)
        good = np.stack([maps(rest, tolerance, self._recipe) for rest in self._rests], axis=1)
        flawed, grid = _flawed(self._planting), self._recipe.grid
        mine = flawed[self._fold[self._planting.source[flawed]]].tolist()
        planted = np.empty((len(MAPS), len(mine), grid, grid))
        for place, index in enumerate(mine):
            planted[:, place] = maps(self._taught.difference(self._planting.pictures[index]), tolerance, self._recipe)
        return Fold(self.misfits, self.pushed, good, planted)


class _Taught:
    """A template and what is made of it."""

    def __init__(self, template: Doubles, recipe: Recipe, where: Floats) -> None:
        self.registration = registration(template)
        self._recipe = recipe
        self._session = open_session(difference_model(recipe, self.registration))
        across, down = slopes(template)
        self._slope = np.hypot(across, down)
        cell = recipe.size // recipe.grid
        looked_at = where.reshape(recipe.grid, recipe.grid).repeat(cell, axis=0).repeat(cell, axis=1)
        self.edges = (self._slope * looked_at / max((self._slope * looked_at).sum(), 1e-9)).astype(np.float32)

    def difference(self, grey: Grey) -> Doubles:
        """Return the difference of a picture to the template, by the same nodes the released graph holds."""
        found: Doubles = self._session.run(["difference"], {"picture": grey})[0].astype(np.float64)
        return found

    def pushed(self, grey: Grey) -> list[float]:
        """Return the misfits of a picture pushed aside in four directions."""
        (motion,) = self._session.run(["motion"], {"picture": grey})
        level, known = standardised(grey), self.registration.levels[-1]
        aside = []
        for right, down in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            moved = motion.astype(np.float64)
            moved[:2, 2] += 2 * PUSHED * np.array([right, down])
            rest = relit(warped(level, moved, known.places), known)
            aside.append(misfit(rest.reshape(level.shape), self.edges))
        return aside

    def tolerance(self, greys: Sequence[Grey]) -> Tolerance:
        """Return what good pictures differ: each pixel's own, and as far as they are few what pixels of its slope do."""
        side, part = self._recipe.size, piece(self._recipe)
        fine, coarse = np.zeros((side, side)), np.zeros((side // part, side // part))
        for grey in greys:
            rest = self.difference(grey)
            fine += rest**2
            coarse += means(rest, self._recipe) ** 2
        count = len(greys)
        slope = np.stack([np.ones(side * side), self._slope.ravel() ** 2], axis=1)
        usual = np.linalg.lstsq(slope, fine.ravel() / count, rcond=None)[0]
        alike = np.maximum(slope @ np.maximum(usual, 0), LEAST_SPREAD**2).reshape(fine.shape)
        fine = (fine + SHARED * alike) / (count + SHARED)
        coarse = (coarse + SHARED * coarse.mean() / count) / (count + SHARED)
        return Tolerance(
            (1 / np.sqrt(np.maximum(fine, LEAST_SPREAD**2))).astype(np.float32),
            (1 / np.sqrt(np.maximum(coarse, (LEAST_SPREAD / part) ** 2))).astype(np.float32),
        )


def _laid(greys: Sequence[Grey], recipe: Recipe) -> Doubles:
    """Return pictures laid over each other, (pictures, side, side)."""
    template = standardised(greys[0])
    everywhere = np.ones(recipe.grid**2, np.float32)
    laid = template[None]
    for _ in range(PASSES):
        taught = _Taught(template, recipe, everywhere)
        laid = np.stack([template + taught.difference(grey) for grey in greys])
        template = np.median(laid, axis=0)
    return laid


def _limit(misfits: Doubles, pushed: Sequence[float]) -> float | None:
    """Return the misfit above which a picture does not lie over the template; None if good ones hardly lie better than pushed."""
    highest, pushed_least = float(misfits.max()), float(np.quantile(pushed, 0.05))
    return float(np.sqrt(highest * pushed_least)) if highest < WELL * pushed_least else None
