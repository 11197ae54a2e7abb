"""A real surface: magnetic tiles (Huang, Qiu, Yuan, "Surface defect saliency of magnetic tile"), never split by picture."""

from __future__ import annotations

import csv
import io
import tarfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from models.bundle import read_bundle, write_bundle
from models.evaluate import Evaluation, evaluate
from models.vision.detector import Detector
from models.vision.fit import fit
from models.vision.pictures import Grey, decode, fit_to
from models.vision.recipe import Recipe

SET = Path(__file__).parents[3] / "shared" / "data" / "sets" / "magnetic-tile-subset.tar"
RECIPE = Recipe("magnetic-tile")


class Tile(NamedTuple):
    grey: Grey
    tile: str
    defective: bool


@pytest.fixture(scope="module")
def tiles() -> list[Tile]:
    if not SET.exists():
        pytest.skip(f"the set of magnetic tiles is not here: {SET.name}")
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


def judge(tiles: list[Tile], seed: int, key: Ed25519PrivateKey, trust: list[str], folder: Path) -> Evaluation:
    """Learn from three quarters of the good tiles, judge on the others and all defects."""
    good = sorted({tile.tile for tile in tiles if not tile.defective})
    held_out = set(np.random.default_rng(seed).permutation(good)[: len(good) // 4])
    train = [tile for tile in tiles if not tile.defective and tile.tile not in held_out]
    unseen = [tile.grey for tile in tiles if not tile.defective and tile.tile in held_out]
    bad = [tile.grey for tile in tiles if tile.defective]
    release = fit([tile.grey for tile in train], [tile.tile for tile in train], RECIPE)
    write_bundle(folder, release.card, release.onnx, key)
    detector = Detector(read_bundle(folder, trust))
    return evaluate(unseen, bad, [detector.inspect(g) for g in unseen], [detector.inspect(g) for g in bad])


def test_magnetic_tiles_of_unseen_parts(
    tiles: list[Tile], key: Ed25519PrivateKey, trust: list[str], tmp_path: Path
) -> None:
    results = [judge(tiles, seed, key, trust, tmp_path / str(seed)) for seed in (0, 1, 2)]
    for seed, result in enumerate(results):
        print(
            f"magnetic tile, tile-disjoint, seed {seed}: AUROC {result.auroc:.3f}, brightness alone "
            f"{result.trivial_auroc:.3f}, good to review {result.false_review.value:.1%} (wanted 5 %), "
            f"defects to review {result.recall_review.value:.1%}"
        )
    mean = float(np.mean([result.auroc for result in results]))
    assert mean >= 0.80
    assert mean > np.mean([result.trivial_auroc for result in results]) + 0.1
    assert 0.02 <= np.mean([result.false_review.value for result in results]) <= 0.09
