"""Models this project ships as recipes: fitted where they are needed, from pictures the project generates."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import as_file, files

from models.errors import InputError
from models.vision.pictures import Grey
from models.vision.recipe import Recipe, load_recipe
from models.vision.synthetic import picture

SERIES = 20
"""Seed of the pictures a zoo model is fitted on; demos and tests judge it on other series."""

PICTURES = 120
"""As many parts as a limit of 1 % needs to be more than provisional, and a few."""


def zoo_names() -> list[str]:
    """Return the names of all recipes in the zoo, sorted."""
    return sorted(entry.name for entry in files("models").joinpath("zoo").iterdir() if entry.is_dir())


def zoo_recipe(name: str) -> Recipe:
    """Return the recipe `name`; raises InputError naming the known ones if there is none."""
    if name not in zoo_names():
        known = ", ".join(zoo_names())
        raise InputError("zoo", f"the zoo has no '{name}'; it has: {known}", f"模型库中没有“{name}”；可用的有：{known}")
    with as_file(files("models").joinpath("zoo", name, "recipe.toml")) as path:
        return load_recipe(path)


def zoo_pictures() -> Iterator[Grey]:
    """Yield the good pictures a zoo recipe is fitted on."""
    return (picture(SERIES, part).grey for part in range(PICTURES))
