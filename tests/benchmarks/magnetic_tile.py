"""Magnetic tiles (Huang, Qiu, Yuan, "Surface defect saliency of magnetic tile"): unseen parts, never split by picture.

`python -m tests.benchmarks.magnetic_tile` fits and judges three part-disjoint splits and prints each beside its trivial
baseline, the brightness of the picture alone.
"""

from __future__ import annotations

import csv
import io
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console
from rich.table import Table

from models.bundle import read_bundle, write_bundle
from models.evaluate import Evaluation, evaluate
from models.signing import create_key, load_key, public_key
from models.vision.detector import Detector
from models.vision.fit import fit
from models.vision.parts import Parts
from models.vision.pictures import Grey, decode, fit_to
from models.vision.recipe import Recipe

SET = Path(__file__).parents[3] / "shared" / "data" / "sets" / "magnetic-tile-subset.tar"
RECIPE = Recipe("magnetic-tile")
SEEDS = (0, 1, 2)


class Tile(NamedTuple):
    grey: Grey
    tile: str
    defective: bool


def tiles() -> list[Tile]:
    """Return the packed set; raises FileNotFoundError where it is not here."""
    with tarfile.open(SET) as tar:
        files = {member.name.removeprefix("mt/"): member for member in tar if member.isfile()}

        def content(name: str) -> bytes:
            file = tar.extractfile(files[name])
            assert file is not None
            return file.read()

        rows = list(csv.DictReader(io.StringIO(content("index.csv").decode())))
        return [
            Tile(
                fit_to(decode(content(row["image"]), row["image"]), RECIPE.size),
                row["tile_group"],
                row["defect"] == "1",
            )
            for row in rows
        ]


def judge(tiles: list[Tile], seed: int, key: Ed25519PrivateKey, folder: Path) -> Evaluation:
    """Learn from three quarters of the good tiles, judge on the others and all defects."""
    good = sorted({tile.tile for tile in tiles if not tile.defective})
    held_out = set(np.random.default_rng(seed).permutation(good)[: len(good) // 4])
    train = [tile for tile in tiles if not tile.defective and tile.tile not in held_out]
    unseen = [tile.grey for tile in tiles if not tile.defective and tile.tile in held_out]
    bad = [tile.grey for tile in tiles if tile.defective]
    release = fit([tile.grey for tile in train], Parts("listed", [tile.tile for tile in train]), RECIPE)
    write_bundle(folder, release.card, release.onnx, key)
    detector = Detector(read_bundle(folder, [public_key(key)]))
    return evaluate(unseen, bad, [detector.inspect(g) for g in unseen], [detector.inspect(g) for g in bad])


def main() -> None:
    if not SET.exists():
        sys.exit(f"the set of magnetic tiles is not here: {SET.name}")
    table = Table("seed", "AUROC", "trivial", "FPR at 5 %", "recall there", "s", box=None)
    packed = tiles()
    with tempfile.TemporaryDirectory() as folder:
        create_key(Path(folder) / "key.pem")
        key = load_key(Path(folder) / "key.pem")
        rows = []
        for seed in SEEDS:
            began = time.perf_counter()
            result = judge(packed, seed, key, Path(folder) / str(seed))
            seconds = time.perf_counter() - began
            figures = (
                result.auroc,
                result.trivial_auroc,
                result.false_review.value,
                result.recall_review.value,
                seconds,
            )
            rows.append(figures)
            table.add_row(str(seed), *map(_shown, figures))
    table.add_row("mean", *map(_shown, np.mean(rows, axis=0)))
    Console().print(table)


def _shown(figure: float) -> str:
    return f"{figure:.3f}"


if __name__ == "__main__":
    main()
