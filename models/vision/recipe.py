"""What a fit is asked to do. A recipe is one TOML file; every field has a default that suits a fixed camera."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from models.errors import InputError
from models.names import NAME, checked_name

Family = Literal["auto", "texture", "aligned", "compare"]


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the good-only recipe.

    Attributes:
        name: the model's name (lower-case letters, digits, dashes).
        version: the model's version, chosen by whoever releases it.
        family: "texture" looks at structure, "aligned" does so once the picture is laid over a taught reference, "compare" looks at what
            differs from that, for printed or flat parts; "auto" takes what finds planted defects plainly better.
        size: side of the square grey picture the model sees, pixels.
        scales: number of octaves of the Gabor bank, the first at full resolution.
        orientations: number of directions of the Gabor bank, evenly spread over 180 degrees.
        kernel: side of each Gabor kernel, pixels, odd.
        grid: side of the grid of cells; each cell gets its own Gaussian, and the heat map has this many cells a side.
        shrink: share of the position-free covariance in each cell's covariance, 0..1.
        tile: side of the tiles that pictures are cut in, pixels of theirs, each of which is seen in `size`; "whole" sees a picture as one;
            "auto" cuts large ones where that finds planted defects plainly better.
        top: number of most unusual cells whose mean is the score.
        planted: number of pictures with planted defects that the model learns from; at least one is made of every good one.
        folds: number of part-disjoint folds for calibration.
        review_rate: wanted share of good parts sent to review or rejected.
        reject_rate: wanted share of good parts rejected.
    """

    name: str
    version: str = "1"
    family: Family = "auto"
    size: int = 256
    scales: int = 4
    orientations: int = 4
    kernel: int = 9
    grid: int = 16
    shrink: float = 0.5
    tile: int | Literal["auto", "whole"] = "auto"
    top: int = 2
    planted: int = 400
    folds: int = 5
    review_rate: float = 0.05
    reject_rate: float = 0.01


def load_recipe(path: Path) -> Recipe:
    """Return the recipe in the TOML file `path`; raises InputError naming the file and the key."""
    try:
        return check(msgspec.toml.decode(path.read_bytes(), type=Recipe), str(path))
    except OSError as error:
        raise InputError(
            "recipe", f"{path}: cannot be read: {error.strerror}", f"{path}：无法读取：{error.strerror}"
        ) from error
    except (msgspec.MsgspecError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError("recipe", f"{path}: {error}", f"{path}：配方无效：{error}") from error


def check(recipe: Recipe, where: str) -> Recipe:
    """Return `recipe` if its numbers fit together; raises InputError otherwise."""
    coarsest = recipe.size >> (recipe.scales - 1)
    rules = {
        "name must be lower-case letters, digits and dashes": NAME.fullmatch(recipe.name) is not None,
        "kernel must be odd and between 3 and 31": recipe.kernel % 2 == 1 and 3 <= recipe.kernel <= 31,
        "scales must be between 1 and 6": 1 <= recipe.scales <= 6,
        "orientations must be between 2 and 12": 2 <= recipe.orientations <= 12,
        "size must be a multiple of grid * 2^(scales-1), at most 1024": 0 < recipe.size <= 1024
        and recipe.grid > 0
        and coarsest % recipe.grid == 0
        and coarsest << (recipe.scales - 1) == recipe.size
        and coarsest > recipe.kernel // 2,
        "top must be between 1 and the number of cells": 1 <= recipe.top <= recipe.grid**2,
        "tile must be auto, whole or between 16 and 4096 pixels": isinstance(recipe.tile, str)
        or 16 <= recipe.tile <= 4096,
        "comparing sees pictures whole: leave tile at auto": recipe.family in {"auto", "texture"}
        or isinstance(recipe.tile, str),
        "planted must be between 1 and 20000": 1 <= recipe.planted <= 20_000,
        "size must be a multiple of 64 and of 2 * grid for comparing": recipe.family in {"auto", "texture"}
        or comparable(recipe),
        "shrink must lie above 0 and at most 1": 0 < recipe.shrink <= 1,
        "folds must be between 2 and 20": 2 <= recipe.folds <= 20,
        "0 < reject_rate < review_rate < 0.5": 0 < recipe.reject_rate < recipe.review_rate < 0.5,
    }
    for rule, kept in rules.items():
        if not kept:
            raise InputError("recipe", f"{where}: {rule}", f"{where}：配方不满足：{rule}")
    return recipe


def least_cells(top: int) -> int:
    """Return how many cells at least have to be looked at for a score of the `top` highest."""
    return max(top, 4)


def comparable(recipe: Recipe) -> bool:
    """Return whether pictures of this size can be laid over a reference: an eighth of it is searched, half a cell averaged."""
    return recipe.size % 64 == 0 and recipe.size % (2 * recipe.grid) == 0


def with_name(recipe: Recipe, name: str) -> Recipe:
    """Return `recipe` under another name; raises InputError if no model may be called that."""
    return msgspec.structs.replace(recipe, name=checked_name(name))


def with_family(recipe: Recipe, family: Family) -> Recipe:
    """Return `recipe` looking that way; raises InputError if its size does not allow it."""
    return check(msgspec.structs.replace(recipe, family=family), recipe.name)


def with_tile(recipe: Recipe, tile: str) -> Recipe:
    """Return `recipe` cutting tiles so: "auto", "whole" or pixels; raises InputError for anything else."""
    if tile in {"auto", "whole"} or (tile.isascii() and tile.isdigit()):
        return check(msgspec.structs.replace(recipe, tile=int(tile) if tile.isdigit() else tile), recipe.name)
    raise InputError(
        "usage",
        f"--tile is auto, whole or a number of pixels, not {tile}",
        f"--tile 应为 auto、whole 或像素数，而非 {tile}",
    )
