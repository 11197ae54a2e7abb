"""Limits keep their promise, by theorem: checked exactly, and as people meet it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.conformal import conformal_quantile, wilson_interval
from models.evaluate import auroc
from models.vision.calibrate import calibrate, part_folds

_scores = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=120)
_rates = st.floats(0.005, 0.4)


@given(scores=_scores, rate=_rates)
def test_conformal_quantile_covers_exactly(scores: list[float], rate: float) -> None:
    """Of n + 1 exchangeable scores, at most the share `rate` exceed the limit made from the n others - for any scores."""
    values = np.array(scores)
    exceeded, assured = 0, True
    for index, score in enumerate(values):
        limit, assured = conformal_quantile(np.delete(values, index), rate)
        exceeded += score > limit
    if assured:
        assert exceeded <= rate * len(values) + 1e-6


@given(scores=_scores, rate=_rates)
def test_it_is_assured_exactly_when_there_are_enough(scores: list[float], rate: float) -> None:
    limit, assured = conformal_quantile(np.array(scores), rate)
    assert assured == (len(scores) + 1e-6 >= 1 / rate - 1) or abs(len(scores) - 1 / rate + 1) < 1e-6
    assert limit in scores
    if not assured:
        assert limit == max(scores)


def test_more_caution_never_lowers_the_limit() -> None:
    scores = np.random.default_rng(0).normal(size=500)
    limits = [conformal_quantile(scores, rate)[0] for rate in (0.2, 0.1, 0.05, 0.01)]
    assert limits == sorted(limits)


@given(parts=st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=60), folds=st.integers(2, 6))
def test_folds_hold_each_picture_once_and_never_split_a_part(parts: list[str], folds: int) -> None:
    masks = np.array(list(part_folds(parts, folds)))
    assert (masks.sum(axis=0) == 1).all()
    assert masks.any(axis=1).all()
    for part in set(parts):
        assert masks[:, [name == part for name in parts]].any(axis=1).sum() == 1


def test_false_rejects_are_as_promised_on_new_parts() -> None:
    """Scores that hang together within a part: the limit from 150 parts of 3 pictures, judged on 20,000 new parts."""
    rng = np.random.default_rng(5)
    realised = []
    for _ in range(40):
        raw = (rng.normal(size=(150, 1)) + 0.3 * rng.normal(size=(150, 3))).ravel()
        limits = calibrate(raw, [str(n // 3) for n in range(450)], 0.05, 0.01)
        new = rng.normal(size=20_000) + 0.3 * rng.normal(size=20_000)
        score = (new - limits.calibration.loc) / limits.calibration.scale
        realised.append((score > limits.review.value).mean())
    assert 0.03 < np.mean(realised) < 0.07


def test_the_interval_counts_parts_not_pictures() -> None:
    raw = np.random.default_rng(1).normal(size=400)
    single = calibrate(raw, [str(n) for n in range(400)], 0.05, 0.01).review
    grouped = calibrate(raw, [str(n // 20) for n in range(400)], 0.05, 0.01).review
    assert grouped.value == single.value
    assert grouped.high - grouped.low > single.high - single.low
    assert (single.provisional, grouped.provisional) == (False, False)
    assert calibrate(raw, [str(n // 40) for n in range(400)], 0.05, 0.01).review.provisional


def test_wilson_interval_against_published_values() -> None:
    """Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I: method 3."""
    for hits, count, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        assert wilson_interval(hits, count) == pytest.approx((low, high), abs=1e-4)


@given(good=_scores, bad=_scores)
def test_auroc_is_the_share_of_pairs_in_order(good: list[float], bad: list[float]) -> None:
    pairs = [(b > g) + 0.5 * (b == g) for b in bad for g in good]
    assert auroc(good, bad) == pytest.approx(np.mean(pairs))
