"""Large pictures seen in tiles: one model for all tiles, limits from whole pictures, and whether it is worth it.

A defect of three pixels vanishes in a picture that is shrunk to a fifth. So tiles are learnt from like pictures of their own, with
defects planted in their size; and as a stain that is larger than a tile looks even in it, the picture seen whole stays beside them, put in
their units. Each held-out picture is judged by all of that with members that never saw its part: its score is the highest, which is what
the limits are made of. Where it is not said how to look, both ways judge the same defects, small ones planted in a tile and large ones
planted in the shrunk picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from models.card import TilingCard
from models.conformal import conformal_quantile
from models.errors import InputError
from models.evaluate import auroc
from models.session import open_session
from models.vision.export import TileParts, feature_model, inspection_model
from models.vision.features import Floats, features
from models.vision.looking import Definition, Looked, Looking, Progress, feature_tables, texture
from models.vision.members import in_units, standard, unusualness
from models.vision.pictures import MAX_PIXELS, Grey, read_grey, shrunk, usual_size
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

TRIED = 40
"""So many small and so many large defects say which way finds more."""

MOSTLY = 0.9
"""Share of a tile's cells that are looked at in those that are learnt from, where there are such."""


class Originals(NamedTuple):
    """Files of the pictures in full size, in the order of those given to the fit: good ones, and those with named defects."""

    good: Sequence[Path]
    named: Sequence[Path] = ()


class Tiled(NamedTuple):
    """Tiles, and the whole picture beside them, as a way of looking.

    Attributes:
        looking: of a tile; `held_out` has the raw scores of whole pictures.
        parts: what those pictures show.
        tiling: how pictures are cut.
        tiles: some that were learnt from.
        whole: the map of the whole picture as the graph's output `whole` has it, in raw units of tiles.
        plane: (rows, columns), 1 for a cell of the picture that is looked at, else 0; None if all are.
    """

    looking: Looking
    parts: list[str]
    tiling: TilingCard
    tiles: list[Grey]
    whole: Definition
    plane: Floats | None


class Evidence(NamedTuple):
    """How well a picture seen whole, and in tiles besides, finds the same defects (AUROC); whether tiles are plainly better."""

    whole: float
    tiles: float
    better: bool


def tiling_of(originals: Originals, recipe: Recipe) -> TilingCard | None:
    """Return how the pictures are cut; None if they are seen whole: because it was said, or because they are not so large.

    Raises InputError for tiles that are asked for and far too many.
    """
    if recipe.tile == "whole":
        return None
    size = usual_size(originals.good)
    if isinstance(recipe.tile, int):
        tiling = tiling_for(size, recipe.tile, recipe.size, recipe.grid)
        if tiling.width * tiling.height > MAX_PIXELS:
            least = ceil(recipe.size * (size[0] * size[1] / MAX_PIXELS) ** 0.5) + 1
            raise InputError(
                "tile",
                f"tiles of {recipe.tile} pixels are too small for pictures of {size[0]} x {size[1]}: use {least} or more",
                f"图片为 {size[0]} x {size[1]}，{recipe.tile} 像素的分块太小：请使用 {least} 或更大",
            )
        return tiling
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
        whole: what was learnt of the same pictures seen whole.
        plane: see `Tiled`.
    """

    def __init__(
        self, originals: Originals, parts: Sequence[str], recipe: Recipe, tiling: TilingCard, whole: Looking
    ) -> None:
        self._originals, self._parts, self._recipe = originals, parts, recipe
        self._tiling, self._whole = tiling, whole
        self._size = (tiling.width, tiling.height)
        self._grid: Grid = grid_of(tiling, recipe.size, recipe.grid)
        self._session = open_session(feature_model(recipe))
        self._held = np.unique(np.linspace(0, len(parts) - 1, CALIBRATED).astype(int)).tolist()
        self._unit = 0.0, 1.0

    def learn(self, plane: Floats | None, progress: Progress | None) -> Tiled:
        """Return what is learnt of tiles; `progress` is told of the pictures that limits are made from."""
        recipe, whole = self._recipe, self._whole
        self._looked_at = np.ones(self._grid.shape, np.float32) if plane is None else plane
        self._places = self._grid.looked_at(self._looked_at, least_cells(recipe.top))
        tiles, shown = self._sample()
        cells = np.ones(recipe.grid**2, np.float32)
        planting = plant_all(tiles, recipe.planted, cells)
        self._tile = texture(feature_tables(tiles, planting, recipe, None), shown, recipe, cells)
        seen = []
        for done, index in enumerate(self._held, 1):
            picture = self._read(index)
            seen.append((self._of_tiles(picture, index), self._of_whole(picture, index)))
            if progress:
                progress(done, len(self._held))
        of_tiles, of_whole = np.array(seen).T
        (tile_loc, whole_loc), (tile_scale, whole_scale) = standard(np.stack([of_tiles, of_whole]))
        scale = float(tile_scale / whole_scale)
        self._unit = float(tile_loc - whole_loc * scale), scale
        self._good = np.maximum(of_tiles, self._unit[0] + scale * of_whole), of_whole
        learnt, learnt_whole = self._tile.members, whole.members
        assert learnt is not None  # noqa: S101 - it looks at structure
        assert learnt_whole is not None  # noqa: S101 - so does this
        extra = TileParts(in_units(learnt_whole, *self._unit), plane)
        looking = self._tile._replace(
            held_out=self._good[0],
            graph=lambda calibration, head: inspection_model(recipe, learnt, calibration, head, extra),
        )

        def map_of_whole(grey: Grey) -> Looked:
            found = features(grey, recipe)
            raw, maps = unusualness(found[None], extra.whole, recipe)
            return Looked(float(raw[0]), maps[0], found)

        parts = [self._parts[index] for index in self._held]
        return Tiled(looking, parts, self._tiling, tiles, map_of_whole, plane)

    def evidence(self, greys: Sequence[Grey], planting: Planting) -> Evidence:
        """Return which way finds more of the same defects, each by members that never saw the part.

        `greys`, `planting`: the pictures as the model sees them whole, and defects planted in them. Tiles are plainly better if they find
        more at the review limit, and by more than twice what chance would make of those that one way alone finds (McNemar, 1947).
        """
        seen = []
        for index, picture in self._flawed(greys, planting):
            of_whole = self._of_whole(picture, index)
            seen.append((max(self._of_tiles(picture, index), self._unit[0] + self._unit[1] * of_whole), of_whole))
        by_tiles, by_whole = np.array(seen).T
        limits = [conformal_quantile(good, self._recipe.review_rate)[0] for good in self._good]
        found, found_whole = by_tiles > limits[0], by_whole > limits[1]
        more, fewer = np.count_nonzero(found & ~found_whole), np.count_nonzero(found_whole & ~found)
        better = more - fewer > 2 * (more + fewer) ** 0.5
        return Evidence(auroc(self._good[1], by_whole), auroc(self._good[0], by_tiles), bool(better))

    def most_unusual(self, path: Path) -> Grey:
        """Return the tile of the picture in `path` that is the most unusual."""
        picture = read_grey(path, self._size)
        tiles = [self._grid.tile(picture, place) for place in self._places]
        seen = [self._tile.defined(tile) for tile in tiles]
        return tiles[int(np.argmax([looked.score if looked else -np.inf for looked in seen]))]

    def _read(self, index: int) -> Grey:
        return read_grey(self._originals.good[index], self._size)

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

    def _of_tiles(self, picture: Grey, index: int) -> float:
        """Return the raw score of the most unusual tile of a picture of what picture `index` shows."""
        seen = np.stack([self._features(self._grid.tile(picture, place)) for place in self._places])
        _, maps = unusualness(seen, self._tile.by_part[self._parts[index]], self._recipe)
        looked_at = (self._grid.within(self._looked_at, place) for place in self._places)
        return float(max(top_score(*pair, self._recipe.top)[0] for pair in zip(maps, looked_at, strict=True)))

    def _of_whole(self, picture: Grey, index: int) -> float:
        """Return the raw score of a picture seen whole, in its own units."""
        seen = self._features(shrunk(picture, self._recipe.size))
        return float(unusualness(seen[None], self._whole.by_part[self._parts[index]], self._recipe)[0][0])

    def _features(self, grey: Grey) -> Floats:
        (found,) = self._session.run(["features"], {"picture": grey})
        table: Floats = found
        return table

    def _flawed(self, greys: Sequence[Grey], planting: Planting) -> Iterator[tuple[int, Grey]]:
        """Yield pictures with a defect, small and large ones, and which picture it was planted in."""
        random = np.random.default_rng(1)
        side, cell = self._recipe.size, self._recipe.size // self._recipe.grid
        for index in random.integers(len(self._parts), size=TRIED).tolist():
            picture = self._read(index).copy()
            top, left = self._places[int(random.integers(len(self._places)))]
            tile = picture[top * cell :, left * cell :][:side, :side]
            other = self._grid.tile(picture, self._places[int(random.integers(len(self._places)))])
            tile[:], _ = plant(tile, other, random)
            yield index, picture
        for number in random.integers(len(planting.source), size=TRIED).tolist():
            index, flawed = int(planting.source[number]), planting.pictures[number]
            change = Image.fromarray(flawed.astype(np.float32) - greys[index])
            change = change.resize(self._size, Image.Resampling.BILINEAR)
            picture = self._read(index) + np.asarray(change, np.float32)
            yield index, np.clip(picture, 0, 255).astype(np.uint8)
