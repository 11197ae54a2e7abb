"""Defects planted in the user's own pictures of good parts: what a model learns from where there are no real ones.

Nothing here knows what is inspected. Five kinds of change that no good part shows - a scratch, a blot, a rough patch, a
piece of another part, a displaced piece - in random size, place, direction and strength; strength goes by the picture's
own contrast, so that faint surfaces get faint defects. The idea is that of Li et al., "CutPaste" (2021), and Zavrtanik
et al., "DRAEM" (2021), without their nets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.vision.pictures import Grey

Plane = npt.NDArray[np.float32]

SEEN = 0.15
"""A pixel counts as changed from this change on, in standard deviations of the picture."""


TRIES = 30
"""How often a defect is planted anew that lies where nobody looks."""


class Planting(NamedTuple):
    """Good pictures with defects planted.

    Attributes:
        pictures: one defect each.
        changed: (planted, cells), the share of the cell's pixels that changed.
        source: (planted,), the index of the good picture each was made from.
    """

    pictures: list[Grey]
    changed: Plane
    source: npt.NDArray[np.int64]


def plant_all(greys: Sequence[Grey], count: int, where: Plane) -> Planting:
    """Return at least `count` defects planted in `greys`, at least one in each; `where`: (cells,), 1 where is looked at.

    The same pictures give the same defects.
    """
    random = np.random.default_rng(0)
    each, grid = -(-count // len(greys)), round(len(where) ** 0.5)
    cell = len(greys[0]) // grid
    source = np.repeat(np.arange(len(greys)), each)
    pictures, changed = [], np.empty((len(source), len(where)), np.float32)
    for place, index in enumerate(source.tolist()):
        for _ in range(TRIES):
            picture, mask = plant(greys[index], greys[int(random.integers(len(greys)))], random)
            changed[place] = mask.reshape(grid, cell, grid, cell).mean(axis=(1, 3)).ravel() * where
            if changed[place].any():
                break
        pictures.append(picture)
    return Planting(pictures, changed, source)


def plant(picture: Grey, other: Grey, random: np.random.Generator) -> tuple[Grey, Plane]:
    """Return `picture` (side x side) with one defect and a mask of the changed pixels, 0 or 1; `other` lends material."""
    level = picture.astype(np.float32)
    contrast = float(level.std()) + 4
    kind = int(random.integers(5))
    if kind == 0:
        changed = level + _scratch(random, len(level)) * contrast * random.uniform(0.6, 2.5) * random.choice(
            [-1, -1, 1]
        )
    elif kind == 1:
        changed = level + _spot(random, len(level)) * contrast * random.uniform(0.5, 2.5) * random.choice([-1, 1])
    elif kind == 2:
        grain = _clouds(random, len(level), len(level) >> int(random.integers(1, 5))) - 0.5
        changed = level + _spot(random, len(level)) * grain * contrast * random.uniform(2, 6)
    elif kind == 3:
        ragged = _clouds(random, len(level), int(random.choice([4, 8, 16]))) > random.uniform(0.7, 0.85)
        patch = (ragged & (_spot(random, len(level)) > 0)).astype(np.float32)
        places = tuple(int(place) for place in random.integers(0, len(level), 2))
        changed = level * (1 - patch) + patch * np.roll(np.rot90(other, int(random.integers(4))), places, (0, 1))
    else:
        patch = _spot(random, len(level))
        away = tuple(round(float(step) * len(level) / 256) for step in random.integers(-12, 13, 2))
        changed = level * (1 - patch) + patch * np.roll(level, away, (0, 1))
    mask = (np.abs(changed - level) > contrast * SEEN).astype(np.float32)
    return np.clip(changed, 0, 255).astype(np.uint8), mask


def _spot(random: np.random.Generator, side: int) -> Plane:
    """Return an ellipse of 3 to 40 pixels of 256 with a soft edge, 0..1."""
    row, column = np.mgrid[0:side, 0:side].astype(np.float32)
    unit = side / 256
    down, across = random.uniform(16 * unit, 240 * unit, 2)
    long = np.exp(random.uniform(np.log(3), np.log(40))) * unit
    short = long * np.exp(random.uniform(-1.2, 0))
    turn = random.uniform(0, np.pi)
    along = (column - across) * np.cos(turn) + (row - down) * np.sin(turn)
    beside = (row - down) * np.cos(turn) - (column - across) * np.sin(turn)
    spot: Plane = np.clip(1.5 - (along / long) ** 2 - (beside / short) ** 2, 0, 1).astype(np.float32)
    return spot


def _scratch(random: np.random.Generator, side: int) -> Plane:
    """Return a thin wandering line, 0..1: 20 to 300 pixels of 256 long, 1 to 5 wide."""
    unit = side / 256
    steps = int(random.integers(20, 120))
    heading = random.uniform(0, 2 * np.pi) + np.cumsum(random.normal(0, 0.25, steps))
    stride = random.uniform(1, 2.5) * unit
    rows = random.uniform(20, 236) * unit + np.cumsum(np.sin(heading)) * stride
    columns = random.uniform(20, 236) * unit + np.cumsum(np.cos(heading)) * stride
    width = random.uniform(0.6, 2.2) * max(unit, 0.5)
    line = np.zeros((side, side), np.float32)
    inside = (rows > 0) & (rows < side) & (columns > 0) & (columns < side)
    for row, column in zip(rows[inside], columns[inside], strict=True):
        top, left = max(int(row) - 6, 0), max(int(column) - 6, 0)
        near = line[top : int(row) + 7, left : int(column) + 7]
        y, x = np.mgrid[top : top + near.shape[0], left : left + near.shape[1]]
        np.maximum(near, np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * width**2)), out=near)
    return line


def _clouds(random: np.random.Generator, side: int, cells: int) -> Plane:
    """Return smooth noise, 0..1: random values on a grid of `cells`, blended between them (Perlin, 1985)."""
    values = random.random((cells + 1, cells + 1))
    place = np.linspace(0, cells, side, endpoint=False)
    at = place.astype(int)
    share = place - at
    share = share * share * (3 - 2 * share)
    rows = values[at] * (1 - share)[:, None] + values[at + 1] * share[:, None]
    clouds: Plane = (rows[:, at] * (1 - share) + rows[:, at + 1] * share).astype(np.float32)
    return clouds
