"""Naming defects: ten confirmed parts a kind, judged on parts never learnt from, beside two trivial ways.

`python -m tests.benchmarks.sort` takes moulded caps and printed labels, which are generated, and magnetic tiles, which are real; three
seeds each. The trivial ways are always saying the most frequent kind, and the nearest mean of the same features.
"""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from models.kinds import LEAST_PARTS
from models.session import open_session
from models.vision import synthetic
from models.vision.export import feature_model
from models.vision.fit import fit
from models.vision.parts import Parts
from models.vision.pictures import Grey
from models.vision.recipe import Family, Recipe
from models.vision.sort import Named
from tests.benchmarks.magnetic_tile import SET, tiles
from tests.doubles import printed_label

SEEDS = (0, 1, 2)
GOOD = 100
JUDGED = 25

Indices = npt.NDArray[np.int64]


class Case(NamedTuple):
    """Pictures of good parts, and of defective ones to learn from and to be judged by; no part is on both sides."""

    good: list[Grey]
    parts: list[str]
    learnt: list[Named]
    judged: list[Named]


def caps(seed: int) -> Case:
    """Return moulded caps with six kinds of defects."""
    return _generated(
        lambda part: synthetic.picture(40 + seed, part).grey,
        {kind: lambda part, kind=kind: synthetic.picture(40 + seed, part, kind).grey for kind in synthetic.DEFECTS},
    )


def labels(seed: int) -> Case:
    """Return printed labels with four kinds of defects."""
    return _generated(
        lambda part: printed_label.picture(40 + seed, part),
        {kind: lambda part, kind=kind: printed_label.picture(40 + seed, part, kind) for kind in printed_label.DEFECTS},
    )


def magnetic_tiles(seed: int) -> Case:
    """Return magnetic tiles with five kinds of defects; a tile is there under several exposures."""
    packed = tiles()
    with tarfile.open(SET) as tar:
        file = tar.extractfile("mt/index.csv")
        assert file is not None
        kinds = [row["label"] for row in csv.DictReader(io.StringIO(file.read().decode()))]
    random = np.random.default_rng(seed)
    learning = set[tuple[str, str]]()
    for kind in sorted(set(kinds) - {"free"}):
        parts = sorted({tile.tile for tile, its in zip(packed, kinds, strict=True) if its == kind})
        learning |= {(part, kind) for part in random.permutation(parts)[:LEAST_PARTS].tolist()}
    spent = {part for part, _ in learning}
    named = [Named(tile.grey, tile.tile, kind) for tile, kind in zip(packed, kinds, strict=True) if kind != "free"]
    good = [tile for tile in packed if not tile.defective]
    return Case(
        [tile.grey for tile in good],
        [tile.tile for tile in good],
        [one for one in named if (one.part, one.kind) in learning],
        [one for one in named if one.part not in spent],
    )


def _generated(good: Callable[[int], Grey], bad: dict[str, Callable[[int], Grey]]) -> Case:
    sides = (range(1000, 1000 + LEAST_PARTS), range(2000, 2000 + JUDGED))
    learnt, judged = (
        [Named(picture(part), f"{kind} {part}", kind) for kind, picture in bad.items() for part in side]
        for side in sides
    )
    return Case([good(part) for part in range(GOOD)], [str(part) for part in range(GOOD)], learnt, judged)


def figures(case: Case, family: Family) -> list[float]:
    """Return macro-F1 of the most probable kind, of the nearest mean and of the most frequent; share named, and right of these."""
    recipe = Recipe("sort", family=family)
    release = fit(case.good, Parts("listed", case.parts), recipe, named=case.learnt)
    kinds = [card.name for card in release.card.kinds]
    session = open_session(release.onnx)
    found = [session.run(["kinds", "kind"], {"picture": one.grey}) for one in case.judged]
    truth = np.array([kinds.index(one.kind) for one in case.judged])
    named = np.array([int(kind[0]) for _, kind in found])
    told = named >= 0
    right = float((named == truth)[told].mean()) if told.any() else float("nan")
    return [
        macro_f1(truth, np.array([int(chances.argmax()) for chances, _ in found]), len(kinds)),
        macro_f1(truth, _nearest(case, recipe, kinds), len(kinds)),
        macro_f1(truth, np.full(len(truth), np.bincount(truth).argmax()), len(kinds)),
        float(told.mean()),
        right,
    ]


def _nearest(case: Case, recipe: Recipe, kinds: Sequence[str]) -> Indices:
    session = open_session(feature_model(recipe))

    def seen(greys: Sequence[Named]) -> npt.NDArray[np.float64]:
        tables = [session.run(["features"], {"picture": one.grey})[0] for one in greys]
        return np.stack([np.concatenate([table.mean(axis=0), table.max(axis=0)]) for table in tables])

    learnt, judged = seen(case.learnt), seen(case.judged)
    spread = learnt.std(axis=0) + 1e-6
    means = np.stack([learnt[[one.kind == kind for one in case.learnt]].mean(axis=0) for kind in kinds])
    away = (((judged[:, None] - means) / spread) ** 2).sum(axis=-1)
    return away.argmin(axis=1).astype(np.int64)


def macro_f1(truth: Indices, said: Indices, kinds: int) -> float:
    """Return the mean of the kinds' F1."""
    each = [
        2 * np.sum((truth == kind) & (said == kind)) / max(np.sum(truth == kind) + np.sum(said == kind), 1)
        for kind in range(kinds)
    ]
    return float(np.mean(each))


def main() -> None:
    table = Table("set", "macro-F1", "nearest mean", "most frequent", "named", "right of these", box=None)
    cases: list[tuple[str, Callable[[int], Case], Family]] = [
        ("moulded caps (generated)", caps, "texture"),
        ("printed labels (generated)", labels, "compare"),
    ]
    if SET.exists():
        cases.append(("magnetic tiles", magnetic_tiles, "texture"))
    for name, case, family in cases:
        rows = [figures(case(seed), family) for seed in SEEDS]
        table.add_row(name, *(f"{figure:.3f}" for figure in np.mean(rows, axis=0)))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
