"""A real surface, one of the splits that the benchmark of the same name judges."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.benchmarks.magnetic_tile import SET, judge, tiles


def test_magnetic_tiles_of_unseen_parts(key: Ed25519PrivateKey, tmp_path: Path) -> None:
    if not SET.exists():
        pytest.skip(f"the set of magnetic tiles is not here: {SET.name}")
    result = judge(tiles(), 0, key, tmp_path / "tile")
    assert result.auroc >= 0.80
    assert result.auroc > result.trivial_auroc + 0.1
    assert result.false_review.value <= 0.09
