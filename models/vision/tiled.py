"""Large pictures seen in tiles: one model for all tiles, limits from whole pictures, and whether it is worth it.

A defect of three pixels vanishes in a picture that is shrunk to a fifth. So tiles are learnt from like pictures of their own, with
defects planted in their size, and each held-out picture is judged by all of its tiles with members that never saw its part: its score is the
highest of them, which is what the limits are made of. Where it is not said how to look, both ways judge the same defects, small ones
planted in a tile and large ones planted in the shrunk picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from models.card import TilingCard
from models.evaluate import auroc
from models.session import open_session
from models.vision.export import feature_model
from models.vision.features import Floats
from models.vision.looking import Looking, Progress, feature_tables, texture
from models.vision.members import Members, unusualness
from models.vision.pictures import Grey, fit_to, read_grey, usual_size
from models.vision.planted import Planting, plant, plant_all
from models.vision.recipe import Recipe, least_cells
from models.vision.tiles import Grid, grid_of, tiling_for, top_score

LARGE = 3
"""So many times the side that the model sees a picture has to be long before it is seen in tiles without being asked for."""

MOST_TILES = 120
"""Most tiles then: about half a second to a second on one thread. A larger picture is shrunk to that."""

LEARNT_TILES = 400
"""So many tiles are learnt from, at least one of each picture."""

CALIBRATED = 200
"""By so many whole pictures limits are set; a limit of 1 % needs half."""

TRIED = 30
"""So many small and so many large defects say which way finds more."""

MOSTLY = 0.9
"""Share of a tile's cells that are looked at in those that are learnt from, where there are such."""


class Originals(NamedTuple):
    """Files of the pictures in full size, in the order of those given to the fit: good ones, and those with named defects."""

    good: Sequence[Path]
    named: Sequence[Path] = ()


class Tiled(NamedTuple):
    """Tiles as a way of looking.

    Attributes:
        looking: of a tile; `held_out` has the raw scores of whole pictures.
        parts: what those pictures show.
        tiling: how pictures are cut.
        tiles: some that were learnt from.
        plane: (rows, columns), 1 for a cell of the picture that is looked at, else 0; None if all are.
    """

    looking: Looking
    parts: list[str]
    tiling: TilingCard
    tiles: list[Grey]
    plane: Floats | None


def tiling_of(originals: Originals, recipe: Recipe) -> TilingCard | None:
    """Return how the pictures are cut; None if they are seen whole: because it was said, or because they are not so large."""
    if recipe.tile == "whole":
        return None
    size = usual_size(originals.good)
    if isinstance(recipe.tile, int):
        return tiling_for(size, recipe.tile, recipe.size, recipe.grid)
    tile = recipe.size
    while True:
        tiling = tiling_for(size, tile, recipe.size, recipe.grid)
        if len(grid_of(tiling, recipe.size, recipe.grid).places) <= MOST_TILES:
            break
        tile += recipe.size // 8
    return tiling if max(tiling.width, tiling.height) >= LARGE * recipe.size else None


class Tiles:
    """The pictures of a fit, cut in tiles.

    Args:
        plane: see `Tiled`.
    """

    def __init__(
        self,
        originals: Originals,
        parts: Sequence[str],
        recipe: Recipe,
        tiling: TilingCard,
        plane: Floats | None,
    ) -> None:
        self._originals, self._parts, self._recipe = originals, parts, recipe
        self._tiling, self._plane = tiling, plane
        self._grid: Grid = grid_of(tiling, recipe.size, recipe.grid)
        self._looked_at = np.ones(self._grid.shape, np.float32) if plane is None else plane
        self._places = self._grid.looked_at(self._looked_at, least_cells(recipe))
        self._session = open_session(feature_model(recipe))
        self._held = np.unique(np.linspace(0, len(parts) - 1, CALIBRATED).astype(int)).tolist()

    def learn(self, progress: Progress | None) -> Tiled:
        """Return what is learnt of tiles; `progress` is told of the pictures that limits are made from."""
        recipe = self._recipe
        tiles, shown = self._sample()
        cells = np.ones(recipe.grid**2, np.float32)
        planting = plant_all(tiles, recipe.planted, cells)
        looking = texture(feature_tables(tiles, planting, recipe, None), shown, recipe, cells, self._plane)
        scores = []
        for done, index in enumerate(self._held, 1):
            scores.append(self._score(self._read(index), looking.by_part[self._parts[index]]))
            if progress:
                progress(done, len(self._held))
        parts = [self._parts[index] for index in self._held]
        return Tiled(looking._replace(held_out=np.array(scores)), parts, self._tiling, tiles, self._plane)

    def compared(self, tiled: Tiled, whole: Looking, greys: Sequence[Grey], planting: Planting) -> tuple[float, float]:
        """Return how well whole pictures and tiles find the same defects (AUROC), each by members that never saw the part.

        `greys`, `planting`: the pictures as the model sees them whole, and defects planted in them.
        """
        by_whole, by_tiles = [], []
        for index, picture, shrunk in self._flawed(greys, planting):
            part = self._parts[index]
            (seen,) = self._session.run(["features"], {"picture": shrunk})
            by_whole.append(float(unusualness(seen[None], whole.by_part[part], self._recipe)[0][0]))
            by_tiles.append(self._score(picture, tiled.looking.by_part[part]))
        return auroc(whole.held_out, by_whole), auroc(tiled.looking.held_out, by_tiles)

    def most_unusual(self, path: Path, looking: Looking) -> Grey:
        """Return the tile of the picture in `path` that is the most unusual."""
        picture = read_grey(path, (self._tiling.width, self._tiling.height))
        tiles = [self._grid.tile(picture, place) for place in self._places]
        seen = [looking.defined(tile) for tile in tiles]
        return tiles[int(np.argmax([looked.score if looked else -np.inf for looked in seen]))]

    def _read(self, index: int) -> Grey:
        return read_grey(self._originals.good[index], (self._tiling.width, self._tiling.height))

    def _sample(self) -> tuple[list[Grey], list[str]]:
        """Return tiles to learn from, and the parts they show."""
        random = np.random.default_rng(0)
        places = self._grid.looked_at(self._looked_at, int(MOSTLY * self._recipe.grid**2)) or self._places
        each = min(-(-LEARNT_TILES // len(self._parts)), len(places))
        tiles, shown = [], []
        for index, part in enumerate(self._parts):
            picture = self._read(index)
            for at in random.choice(len(places), each, replace=False).tolist():
                tiles.append(self._grid.tile(picture, places[at]))
                shown.append(part)
        return tiles, shown

    def _score(self, picture: Grey, members: Members) -> float:
        """Return the raw score of a whole picture: that of its most unusual tile."""
        seen = [
            self._session.run(["features"], {"picture": self._grid.tile(picture, place)})[0] for place in self._places
        ]
        _, maps = unusualness(np.stack(seen), members, self._recipe)
        looked_at = (self._grid.within(self._looked_at, place) for place in self._places)
        return float(max(top_score(*pair, self._recipe.top)[0] for pair in zip(maps, looked_at, strict=True)))

    def _flawed(self, greys: Sequence[Grey], planting: Planting) -> Iterator[tuple[int, Grey, Grey]]:
        """Yield pictures with a defect: which picture, in full, and as the model sees it whole."""
        random = np.random.default_rng(1)
        side, cell = self._recipe.size, self._recipe.size // self._recipe.grid
        size = (self._tiling.width, self._tiling.height)
        for index in random.integers(len(self._parts), size=TRIED).tolist():
            picture = self._read(index).copy()
            top, left = self._places[int(random.integers(len(self._places)))]
            tile = picture[top * cell :, left * cell :][:side, :side]
            other = self._grid.tile(picture, self._places[int(random.integers(len(self._places)))])
            tile[:], _ = plant(tile, other, random)
            yield index, picture, fit_to(Image.fromarray(picture), side)
        for number in random.integers(len(planting.source), size=TRIED).tolist():
            index, flawed = int(planting.source[number]), planting.pictures[number]
            change = Image.fromarray(flawed.astype(np.float32) - greys[index]).resize(size, Image.Resampling.BILINEAR)
            whole = self._read(index) + np.asarray(change, np.float32)
            yield index, np.clip(whole, 0, 255).astype(np.uint8), flawed
