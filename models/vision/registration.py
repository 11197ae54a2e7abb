"""Lays a picture over a template: shift, turn, scale and light are found and taken away, and what is left is a difference.

A coarse search - normalised correlation of the template's middle, turned by a few angles, with a picture an eighth of the size - is
refined from level to level by the inverse compositional algorithm of Baker and Matthews, "Lucas-Kanade 20 years on" (2004): the
template's slopes are known beforehand, so a step is one product with a fixed matrix. Light is a bounded gain and an offset, each
a plane over the picture (their section on linear appearance variation). Residuals count no more than `BOUND`, so that a defect
does not drag the picture. Here is the definition in numpy; `compare_export` states the same in ONNX.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.vision.features import CONTRAST_FLOOR, Doubles, Floats
from models.vision.gaussian import smooth
from models.vision.pictures import Grey

LEVELS = ((8, 8), (4, 5), (2, 3), (1, 1))
"""By what the picture is divided, and how many steps are taken there; the coarse search is on the first."""

TURNS = np.radians([-6.0, -3.0, 0.0, 3.0, 6.0])
"""Angles the coarse search tries, radians."""

REACH = 8
"""The coarse search looks for shifts of up to one part in so many of the picture's side."""

BOUND = 0.5
"""A residual counts no more than this, in standard deviations of the picture."""

GAIN = 0.4
"""Brightness may differ by up to so much of its contrast from place to place. Without a bound a blank picture would be the
template in very little light."""

FLAT = 0.05
"""Contrast below which a piece of a picture, in standard deviations of all of it, is like nothing in the coarse search."""

MOTIONS = np.array(
    [[[0, -1, 0], [1, 0, 0], [0, 0, 0]], [[1, 0, 0], [0, 1, 0], [0, 0, 0]], [[0, 0, 1], [0, 0, 0], [0, 0, 0]],
     [[0, 0, 0], [0, 0, 1], [0, 0, 0]]], np.float64,
)  # fmt: skip
"""Turn, scale, shift to the right and down, as what a small step adds to the unit matrix."""


class Level(NamedTuple):
    """What is known of the template at one size. Coordinates run from -1 to 1 over the picture, x before y.

    Attributes:
        places: (pixels, 3), each pixel's x, y and 1.
        template: (pixels,), standardised.
        light: (6, pixels), gives gain and offset of a residual, as planes.
        steps: (9, pixels), gives the small motion, a 3 x 3 matrix, of a residual.
    """

    places: Floats
    template: Floats
    light: Floats
    steps: Floats


class Search(NamedTuple):
    """The coarse search.

    Attributes:
        pieces: (turns, side, side), the template's middle, turned; zero mean, unit norm.
        motions: (turns * shifts * shifts, 9), the motion each place in the correlation stands for.
    """

    pieces: Floats
    motions: Floats


class Registration(NamedTuple):
    """A template ready to be laid over pictures; `levels` from coarse to fine."""

    search: Search
    levels: tuple[Level, ...]


def standardised(picture: Grey) -> Doubles:
    """Return `picture` (side x side) slightly smoothed, with zero mean and about unit standard deviation."""
    level: Doubles = picture.astype(np.float64) / 255
    level = (level - level.mean()) / (level.std() + CONTRAST_FLOOR)
    smoothed: Doubles = smooth(level[None])[0]
    return smoothed


def smaller(level: Doubles, by: int) -> Doubles:
    """Return the means of `by` x `by` pixels."""
    side = len(level) // by
    mean: Doubles = level.reshape(side, by, side, by).mean(axis=(1, 3))
    return mean


def registration(template: Doubles) -> Registration:
    """Return what is needed to lay `template` (side x side, standardised) over pictures."""
    return Registration(
        _search(smaller(template, LEVELS[0][0])), tuple(_level(smaller(template, by)) for by, _ in LEVELS)
    )


def places(side: int) -> Doubles:
    """Return x, y and 1 of all pixels, shape (side * side, 3)."""
    line = np.linspace(-1, 1, side)
    y, x = np.meshgrid(line, line, indexing="ij")
    return np.stack([x.ravel(), y.ravel(), np.ones(side * side)], axis=1)


def slopes(template: Doubles) -> tuple[Doubles, Doubles]:
    """Return how the template changes along x and along y, per unit of `places`."""
    unit = (len(template) - 1) / 2
    down, across = (np.asarray(slope, np.float64) * unit for slope in np.gradient(template))
    return across, down


def _level(template: Doubles) -> Level:
    where = places(len(template))
    flat = template.ravel()
    light = np.concatenate([where * flat[:, None], where], axis=1)
    across, down = (slope.ravel() for slope in slopes(template))
    moved = np.stack([motion[:2] @ where.T for motion in MOTIONS])  # (motions, 2, pixels)
    descent = (moved[:, 0] * across + moved[:, 1] * down).T
    of_light = np.linalg.pinv(light, rcond=1e-9)
    descent -= light @ (of_light @ descent)
    steps = MOTIONS.reshape(len(MOTIONS), 9).T @ np.linalg.pinv(descent, rcond=1e-9)
    return Level(*(part.astype(np.float32) for part in (where, flat, of_light, steps)))


def _search(template: Doubles) -> Search:
    side = len(template)
    reach = max(side // REACH, 1)
    pieces, motions = [], []
    for turn in TURNS:
        across, beside = np.cos(turn), np.sin(turn)
        matrix = np.array([[across, -beside, 0], [beside, across, 0], [0, 0, 1]])
        # What shows at x in the picture if it is turned so: the template at the place turned back.
        piece = warped(template, np.linalg.inv(matrix), places(side)).reshape(side, side)
        piece = piece[reach : side - reach, reach : side - reach]
        piece = piece - piece.mean()
        pieces.append(piece / max(float(np.linalg.norm(piece)), 1e-9))
        for down, right in np.ndindex(2 * reach + 1, 2 * reach + 1):
            moved = matrix.copy()
            moved[:2, 2] = np.array([right - reach, down - reach]) * 2 / (side - 1)
            motions.append(moved.ravel())
    return Search(np.asarray(pieces, np.float32), np.asarray(motions, np.float32))


def warped(level: Doubles, motion: Doubles, where: npt.NDArray[np.floating]) -> Doubles:
    """Return `level` at the places that `motion` (3 x 3) takes `where` to, between pixels by the four around, edges repeated."""
    side = len(level)
    moved = where.astype(np.float64) @ motion[:2].T
    at = np.clip((moved + 1) / 2 * (side - 1), 0, side - 1)
    first = np.minimum(at.astype(int), side - 2)
    share = at - first
    x, y, right, down = first[:, 0], first[:, 1], share[:, 0], share[:, 1]
    upper = level[y, x] * (1 - right) + level[y, x + 1] * right
    lower = level[y + 1, x] * (1 - right) + level[y + 1, x + 1] * right
    mixed: Doubles = upper * (1 - down) + lower * down
    return mixed


def relit(seen: Doubles, level: Level) -> Doubles:
    """Return `seen` (pixels,) less the template, once gain and offset are taken away; the second look bounds residuals."""
    rest = seen - level.template
    light = level.light.astype(np.float64) @ rest
    rest = _without(seen, light, level)
    light = light + level.light.astype(np.float64) @ bounded(rest)
    return _without(seen, light, level)


def _without(seen: Doubles, light: Doubles, level: Level) -> Doubles:
    gain = 1 + GAIN * np.tanh(level.places @ light[:3] / GAIN)
    rest: Doubles = (seen - level.places @ light[3:]) / gain - level.template
    return rest


def bounded(rest: Doubles) -> Doubles:
    """Return residuals of which none counts more than `BOUND`."""
    soft: Doubles = BOUND * np.tanh(rest / BOUND)
    return soft


def begin(level: Doubles, search: Search) -> Doubles:
    """Return the motion (3 x 3) the coarse search finds in `level`, the picture at the first of `LEVELS`."""
    pieces = search.pieces.astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(level, pieces.shape[1:])
    alike = np.einsum("rcij,tij->trc", windows, pieces)
    spread = windows.var(axis=(2, 3)) + FLAT**2
    alike = alike / np.sqrt(spread * pieces[0].size)
    best: Doubles = search.motions[int(np.argmax(alike))].astype(np.float64).reshape(3, 3)
    return best


def difference(level: Doubles, found: Registration) -> tuple[Doubles, Doubles]:
    """Return the difference of `level` (side x side, standardised) to the template, same shape, and the motion that was found."""
    motion = begin(smaller(level, LEVELS[0][0]), found.search)
    rest = np.zeros(0)
    for (by, steps), known in zip(LEVELS, found.levels, strict=True):
        here = smaller(level, by)
        for step in range(steps + (by == 1)):
            rest = relit(warped(here, motion, known.places), known)
            if step < steps:
                small = (known.steps.astype(np.float64) @ bounded(rest)).reshape(3, 3)
                motion = motion - motion @ small
    return rest.reshape(level.shape), motion
