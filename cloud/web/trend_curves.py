"""What becomes of an answer of history before it is drawn or counted: gaps, a counter's growth, figures of a curve."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from cloud.telemetry.schemas import Curve, Sample

MISSED = 3
"""Samples so many times further apart than usual have a gap between them."""


class Dot(NamedTuple):
    """One place of a drawn curve; no value is a gap. `low` and `high` are the extremes of what it stands for."""

    time: datetime
    value: float | None
    low: float | None = None
    high: float | None = None


class Figures(NamedTuple):
    """A curve in numbers, of the samples shown; None where there is nothing to say.

    Attributes:
        mean: of the samples, each weighted by its readings.
        growth: of a counter over the span, resets left out.
        good: share of the readings that have good quality.
    """

    low: float | None
    mean: float | None
    high: float | None
    last: float | None
    growth: float | None
    good: float | None


def dots(curve: Curve, *, grows: bool, steps: bool) -> list[Dot]:
    """Return what to draw of a curve.

    `grows` draws a counter as its growth since the beginning. A reading that is not usable is a gap, and so is a silence
    - but not in a curve that `steps`, whose value holds until the next one.
    """
    numbers = [sample for sample in curve.samples if not isinstance(sample.value, str)]
    drawn = _grown(curve, numbers) if grows else [_dot(sample) for sample in numbers]
    return drawn if steps else with_gaps(drawn)


def with_gaps(drawn: Sequence[Dot]) -> list[Dot]:
    """Return `drawn` with a gap wherever two neighbours are `MISSED` times further apart than neighbours usually are."""
    if len(drawn) < 3:
        return list(drawn)
    apart = [(after.time - before.time).total_seconds() for before, after in pairwise(drawn)]
    usual = statistics.median(apart)
    result = [drawn[0]]
    for (before, after), distance in zip(pairwise(drawn), apart, strict=True):
        if distance > MISSED * usual:
            result.append(Dot(before.time + (after.time - before.time) / 2, None))
        result.append(after)
    return result


def figures(curve: Curve) -> Figures:
    """Return a curve's numbers."""
    used = [sample for sample in curve.samples if isinstance(sample.value, (int, float))]
    if not used:
        return Figures(None, None, None, None, None, curve.completeness)
    if curve.aggregation == "counter_delta":
        grown = [dot.value for dot in _grown(curve, used) if dot.value is not None]
        return Figures(None, None, None, None, grown[-1], curve.completeness)
    weight = sum(sample.n for sample in used)
    mean = sum(float(sample.value or 0) * sample.n for sample in used) / weight if weight else None
    return Figures(
        low=min((sample.low for sample in used if sample.low is not None), default=None),
        mean=mean if curve.aggregation == "avg" else None,
        high=max((sample.high for sample in used if sample.high is not None), default=None),
        last=float(used[-1].value or 0),
        growth=None,
        good=curve.completeness,
    )


def _dot(sample: Sample) -> Dot:
    value = None if sample.value is None else float(sample.value)
    return Dot(sample.time, value, sample.low, sample.high)


def _grown(curve: Curve, samples: Sequence[Sample]) -> list[Dot]:
    """Return a counter's growth since the first sample; one that falls has begun again at 0."""
    total, before = 0.0, None
    result = []
    rolled_up = curve.covered is not None  # buckets: their value is the growth within each
    for sample in samples:
        if sample.value is None:
            result.append(Dot(sample.time, None))
            continue
        value = float(sample.value)
        if rolled_up:
            total += value
        elif before is not None:
            total += value - before if value >= before else value
        before = value
        result.append(Dot(sample.time, total))
    return result
