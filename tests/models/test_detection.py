"""The released model finds what a person sees, on parts it never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.bundle import read_bundle
from models.evaluate import Evaluation, evaluate
from models.vision.detector import Detector, Finding
from models.vision.synthetic import DEFECTS, Defect, picture
from models.vision.zoo import SERIES


@pytest.fixture(scope="module")
def detector(signed_bundle: Path, trust: list[str]) -> Detector:
    return Detector(read_bundle(signed_bundle, trust))


@pytest.fixture(scope="module")
def judged(detector: Detector) -> Evaluation:
    series = (301, 302, 303)
    good = [picture(seed, part).grey for seed in series for part in range(80)]
    bad = [picture(seed, part, DEFECTS[part % len(DEFECTS)]).grey for seed in series for part in range(100, 148)]
    return evaluate(good, bad, [detector.inspect(grey) for grey in good], [detector.inspect(grey) for grey in bad])


def test_planted_defects_are_rejected(judged: Evaluation) -> None:
    assert judged.recall_reject.value >= 0.95
    assert judged.auroc >= 0.99


def test_good_parts_are_not(judged: Evaluation) -> None:
    assert judged.false_reject.value <= 0.03
    assert judged.false_review.value <= 0.10  # 5 % wanted, +- 2 standard deviations of 200 fitted and 240 judged parts


def test_brightness_alone_would_not_do(judged: Evaluation) -> None:
    assert judged.trivial_auroc < 0.7


@pytest.mark.parametrize("defect", DEFECTS)
def test_the_heat_map_shows_the_place(detector: Detector, defect: Defect) -> None:
    """The brightest cell lies on the defect or beside it (a cell is 16 pixels wide), in 9 of 10 pictures."""
    hits = []
    for part in range(10):
        flawed = picture(304, part, defect)
        heat = detector.inspect(flawed.grey).heatmap
        row, column = np.unravel_index(heat.argmax(), heat.shape)
        mask = np.pad(flawed.mask, 16)
        hits.append(mask[16 * row : 16 * row + 48, 16 * column : 16 * column + 48].any())
    assert sum(hits) >= 9


def test_verdict_follows_the_limits(detector: Detector) -> None:
    findings = [detector.inspect(picture(305, part, "scratch" if part % 2 else None).grey) for part in range(60)]

    def expected(finding: Finding) -> str:
        over = (finding.score > finding.review) + (finding.score > finding.reject)
        return ("pass", "review", "reject")[over]

    assert all(finding.verdict == expected(finding) for finding in findings)
    assert {finding.verdict for finding in findings} >= {"pass", "reject"}


def test_pictures_depend_on_their_numbers_alone() -> None:
    assert (picture(1, 2, "flash").grey == picture(1, 2, "flash").grey).all()
    assert (picture(1, 2).grey != picture(1, 3).grey).any()
    assert (picture(1, 2).grey != picture(SERIES, 2).grey).any()


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_changes_the_part_where_its_mask_says(defect: Defect) -> None:
    for part in range(5):
        good, flawed = picture(9, part), picture(9, part, defect)
        change = np.abs(good.grey.astype(int) - flawed.grey)
        assert not good.mask.any()
        assert flawed.mask.sum() >= 20
        assert change[flawed.mask].max() >= 25, "a person must be able to see it"
        assert change[flawed.mask].mean() > 5 * change[~flawed.mask].mean()
