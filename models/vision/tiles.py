"""Large pictures in tiles: where the tiles lie, and one heat map of theirs.

A picture is brought to one size, `TilingCard.width` x `height`, and cut in squares that overlap. Tiles begin at whole cells,
so the cells of their maps lie on each other; where tiles overlap, a cell counts the less, the nearer it is to its tile's edge, as what a
tile sees there ends at the edge. Each tile goes through the same graph, and so does the whole picture, shrunk, which has a map of its
own there; a part is as unusual as the most unusual of them, and it is that score of whole pictures that the limits are made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.card import Card, TilingCard
from models.errors import BundleRefused
from models.vision.pictures import MAX_PIXELS

Grey = npt.NDArray[np.uint8]
Maps = npt.NDArray[np.floating]

OVERLAP = 2
"""Cells that neighbouring tiles share."""


class Grid(NamedTuple):
    """Where tiles lie on a picture. Pixels and cells are those of the picture as it is cut.

    Attributes:
        side: of a tile, pixels.
        cells: of a tile's heat map, a side.
        tops, lefts: where the rows and columns of tiles begin, in cells.
    """

    side: int
    cells: int
    tops: list[int]
    lefts: list[int]

    @property
    def places(self) -> list[tuple[int, int]]:
        """Return top and left of each tile, in cells, row by row."""
        return [(top, left) for top in self.tops for left in self.lefts]

    @property
    def shape(self) -> tuple[int, int]:
        """Return the cells of the whole picture: rows and columns."""
        return self.tops[-1] + self.cells, self.lefts[-1] + self.cells

    def tile(self, picture: Grey, place: tuple[int, int]) -> Grey:
        """Return the tile at `place` of a picture."""
        cell = self.side // self.cells
        top, left = place[0] * cell, place[1] * cell
        return np.ascontiguousarray(picture[top : top + self.side, left : left + self.side])

    def within(self, plane: Maps, place: tuple[int, int]) -> Maps:
        """Return the tile's cells of a `plane` of the picture's cells."""
        return plane[place[0] : place[0] + self.cells, place[1] : place[1] + self.cells]

    def looked_at(self, cells: Maps, least: int) -> list[tuple[int, int]]:
        """Return the places of tiles of which at least `least` of the picture's `cells` are looked at (above 0)."""
        return [place for place in self.places if np.count_nonzero(self.within(cells, place) > 0) >= least]

    def stitched(self, maps: Sequence[tuple[tuple[int, int], Maps]]) -> npt.NDArray[np.float32]:
        """Return one map of tiles' maps with their places; 0 where there is none."""
        line = np.minimum(np.arange(self.cells), np.arange(self.cells)[::-1])
        weight = np.outer(line, line) + 1e-3
        total, counted = np.zeros(self.shape), np.zeros(self.shape)
        for place, each in maps:
            self.within(total, place)[:] += weight * each
            self.within(counted, place)[:] += weight
        return (total / np.maximum(counted, 1e-3)).astype(np.float32)

    def spread(self, whole: Maps) -> Maps:
        """Return the map of a picture seen whole over the picture's cells."""
        rows, columns = (np.arange(count) * len(whole) // count for count in self.shape)
        return whole[np.ix_(rows, columns)]


def tiling_for(size: tuple[int, int], tile: int, side: int, grid: int) -> TilingCard:
    """Return how pictures of `size` (width, height) are cut in tiles of `tile` of their pixels for a model that sees `side` pixels.

    The picture is scaled by side / tile and to whole cells, never to less than one tile.
    """
    cell = side // grid
    width, height = (max(side, round(length * side / tile / cell) * cell) for length in size)
    return TilingCard(tile=tile, overlap=OVERLAP * cell, width=width, height=height)


def grid_of(tiling: TilingCard, side: int, cells: int) -> Grid:
    """Return where the tiles lie."""
    cell = side // cells
    tops, lefts = (_starts(length // cell, cells) for length in (tiling.height, tiling.width))
    return Grid(side, cells, tops, lefts)


def grid_of_card(card: Card) -> Grid | None:
    """Return where the tiles of a model lie; None if it sees pictures whole. Raises BundleRefused for tiles that fit no picture."""
    if card.tiling is None:
        return None
    shapes = {tensor.name: tensor.shape for tensor in card.output}
    side, cells = card.input[0].shape[0], shapes["heatmap"][0]
    width, height = card.sees
    fits = min(width, height) >= side > OVERLAP * (side // cells) and width * height <= MAX_PIXELS
    if not fits or width % (side // cells) or height % (side // cells):
        raise BundleRefused(
            "card",
            f"tiles of {side} pixels do not fit {width} x {height}",
            f"{side} 像素的分块与 {width} x {height} 不符",
        )
    grid = grid_of(card.tiling, side, cells)
    if shapes.get("looked_at", list(grid.shape)) != list(grid.shape):
        raise BundleRefused("card", "looked_at is not of the picture's cells", "looked_at 与图片单元不符")
    return grid


def _starts(length: int, cells: int) -> list[int]:
    """Return where tiles of `cells` begin over `length` cells: evenly spread, sharing at least `OVERLAP`."""
    count = ceil((length - OVERLAP) / (cells - OVERLAP))
    return [round(number * (length - cells) / max(count - 1, 1)) for number in range(count)]


def top_score(heatmap: Maps, looked_at: Maps, top: int) -> npt.NDArray[np.float32]:
    """Return the mean of the `top` highest cells of a tile that are looked at, shape (1,), as the graph does over all cells."""
    cells = heatmap[looked_at > 0].astype(np.float32)
    highest: npt.NDArray[np.float32] = np.sort(cells)[-top:].mean(keepdims=True)
    return highest  # not a number sorts last, and so is the mean
